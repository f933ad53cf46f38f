"""Fetchers of pictures and clients whose names resolve to a local server."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.adapters.checked_http import CheckedHttp, HostLimits, RetryPolicy, Timeouts
from lookalike.adapters.checked_http.connection import default_tls_context
from lookalike.adapters.http_pictures import HttpPictures
from lookalike.domain.web_address import AllowedHosts
from tests.emulators.web_server import Handler, WebServer

HOST = "images.shop.example"
PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 40
MAX_BYTES = 100_000
USER_AGENT = "lookalike/test"


opened_clients: list[CheckedHttp] = []
"""Clients of the running test, which the fixture `server` closes."""


class FakeResolver:
    """Answers with the given lists of addresses one after another, the last one repeatedly. Records the names."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers or [["127.0.0.1"]])
        self.names: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.names.append(host)
        return self._answers[min(len(self.names), len(self._answers)) - 1]


def client_of(
    server: WebServer,
    resolver: FakeResolver | None = None,
    allowed: str | None = None,
    timeouts: Timeouts | None = None,
    tls: Callable[[], ssl.SSLContext] | None = None,
) -> CheckedHttp:
    """Return a client that may connect to the server as HOST, unless another list is given."""
    hosts = f"{HOST}:{server.server_port},127.0.0.0/8" if allowed is None else allowed
    client = CheckedHttp(
        AllowedHosts.parse(hosts), timeouts or Timeouts(2, 2, 5), resolver or FakeResolver(), tls or default_tls_context
    )
    opened_clients.append(client)
    return client


def pictures_of(client: CheckedHttp, policy: RetryPolicy | None = None) -> HttpPictures:
    """Return a fetcher with short waits."""
    limits = HostLimits(first_delay=0.2, max_delay=0.4)
    return HttpPictures(client, MAX_BYTES, USER_AGENT, limits, policy or RetryPolicy(3, 0.05, 3))


def address(server: WebServer, path: str = "/a.jpg", scheme: str = "http") -> str:
    """Return the address of a path on HOST."""
    return f"{scheme}://{HOST}:{server.server_port}{path}"


def reply(status: int = 200, data: bytes = PICTURE, **headers: str) -> Callable[[Handler], None]:
    """Return a response for `WebServer.responses`."""
    return lambda handler: handler.reply(status, data, **{"Content_Type": "image/jpeg", **headers})


def in_turn(*responses: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Return a response that is another one for each request."""
    remaining = iter(responses)
    return lambda handler: next(remaining)(handler)


def trust(pem: Path) -> Callable[[], ssl.SSLContext]:
    """Return a function that makes a context which trusts a certificate."""
    return lambda: ssl.create_default_context(cafile=str(pem))
