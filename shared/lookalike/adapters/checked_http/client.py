"""One HTTP request at a time to a permitted address, ended at once on cancellation."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPResponse, IncompleteRead

from lookalike.adapters.checked_http.connection import (
    CheckedConnection,
    Resolver,
    Timeouts,
    default_tls_context,
    resolve_host,
)
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import TooLarge, Unavailable
from lookalike.domain.web_address import AllowedHosts, WebAddress

POLL_SECONDS = 0.1
"""How often a waiting call looks at its cancellation token."""
CHUNK_SIZE = 1 << 16
IDLE_SECONDS = 10.0
"""Time after which an unused connection is not used again."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request. The body of a response with status 200 is read up to `max_bytes`; other bodies are not read."""

    method: str
    address: WebAddress
    headers: Mapping[str, str]
    body: bytes | None = None
    max_bytes: int = 0
    check: Callable[[Message], None] = lambda _: None
    """Checks the headers of a response with status 200 before its body is read, and raises if it is not wanted."""


@dataclass(frozen=True, slots=True)
class WebResponse:
    """A response."""

    status: int
    headers: Message
    data: bytes = field(repr=False, default=b"")


class CheckedHttp:
    """Sends requests to permitted hosts. Safe to use from several threads.

    Each request runs in a thread of its own, since resolving a name and connecting cannot be interrupted. The caller
    stops waiting when the token is cancelled; the thread ends at its next operation on the closed connection.
    Connections of GET requests are kept open for the next request to the same host.
    """

    def __init__(
        self,
        allowed: AllowedHosts,
        timeouts: Timeouts | None = None,
        resolver: Resolver = resolve_host,
        tls: Callable[[], ssl.SSLContext] = default_tls_context,
    ) -> None:
        self._allowed, self._resolver = allowed, resolver
        self._timeouts = timeouts or Timeouts()
        self._build_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, CheckedConnection]]] = {}

    def send(self, request: WebRequest, cancel: CancelToken) -> WebResponse:
        """Send a request once and return its response, whatever the status. Follows no redirects.

        Raises `Forbidden`, `TooLarge`, `Cancelled`, `DeadlineExceeded`, `Unavailable` after the total time, the error
        of `request.check`, and `OSError` or `HTTPException` if the connection fails.
        """
        cancel.check()
        self._allowed.check_host(request.address)
        exchange, result = _Exchange(), Future[WebResponse]()
        threading.Thread(target=self._run, args=(request, exchange, result), daemon=True).start()
        deadline = time.monotonic() + self._timeouts.total
        while not wait([result], POLL_SECONDS).done:
            if cancel.is_cancelled or time.monotonic() > deadline:
                exchange.abort()
                cancel.check()
                raise Unavailable(f"{request.address} did not respond completely within {self._timeouts.total:g} s")
        return result.result()

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            kept = [connection for group in self._idle.values() for _, connection in group]
            self._idle.clear()
        for connection in kept:
            connection.close()

    def _run(self, request: WebRequest, exchange: "_Exchange", result: "Future[WebResponse]") -> None:
        try:
            result.set_result(self._exchange(request, exchange))
        except Exception as error:
            # raised again in the caller's thread
            result.set_exception(error)

    def _exchange(self, request: WebRequest, exchange: "_Exchange") -> WebResponse:
        kept = self._take_idle(request.address) if request.method == "GET" else None
        if kept is not None:
            try:
                return self._perform(kept, request, exchange)
            except (ConnectionError, ssl.SSLError):
                # A server may close a connection at any time that it is not used: the request was not answered.
                if exchange.is_aborted:
                    raise
        return self._perform(self._open(request.address), request, exchange)

    def _open(self, address: WebAddress) -> CheckedConnection:
        addresses = self._resolver(address.host, address.port)
        self._allowed.check_addresses(address, addresses)
        return CheckedConnection(address, addresses, self._timeouts, self._tls_for(address))

    def _perform(self, connection: CheckedConnection, request: WebRequest, exchange: "_Exchange") -> WebResponse:
        exchange.use(connection)
        is_kept = False
        try:
            connection.request(request.method, request.address.target, request.body, dict(request.headers))
            with connection.getresponse() as response:
                data, is_complete = _read(response, request)
                is_kept = is_complete and not response.will_close and request.method == "GET"
            return WebResponse(response.status, response.headers, data)
        finally:
            if is_kept:
                self._keep_idle(request.address, connection)
            else:
                connection.close()

    def _tls_for(self, address: WebAddress) -> ssl.SSLContext | None:
        if address.scheme == "http":
            return None
        with self._lock:
            if self._tls is None:
                self._tls = self._build_tls()
            return self._tls

    def _take_idle(self, address: WebAddress) -> CheckedConnection | None:
        self._close_unused()
        with self._lock:
            group = self._idle.get(address.origin)
            return group.pop()[1] if group else None

    def _keep_idle(self, address: WebAddress, connection: CheckedConnection) -> None:
        with self._lock:
            self._idle.setdefault(address.origin, []).append((time.monotonic(), connection))

    def _close_unused(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        with self._lock:
            unused = [one for group in self._idle.values() for since, one in group if since < oldest]
            kept = {origin: [one for one in group if one[0] >= oldest] for origin, group in self._idle.items()}
            self._idle = {origin: group for origin, group in kept.items() if group}
        for connection in unused:
            connection.close()


class _Exchange:
    """The connection that a request uses at the moment, for another thread to abort."""

    def __init__(self) -> None:
        self.is_aborted = False
        self._connection: CheckedConnection | None = None

    def use(self, connection: CheckedConnection) -> None:
        self._connection = connection
        if self.is_aborted:
            connection.abort()

    def abort(self) -> None:
        self.is_aborted = True
        if self._connection is not None:
            self._connection.abort()


def _read(response: HTTPResponse, request: WebRequest) -> tuple[bytes, bool]:
    """Return the body, and whether the response was read to its end."""
    expected = response.length
    if response.status == 200:
        request.check(response.headers)
    if response.status != 200 or not request.max_bytes:
        return b"", expected == 0
    if (expected or 0) > request.max_bytes:
        raise _too_large(request)
    data = bytearray()
    # `read1` returns what has arrived; `expected` ends the loop, since `read1` would wait for the next response.
    while len(data) != expected and (chunk := response.read1(CHUNK_SIZE)):
        data += chunk
        if len(data) > request.max_bytes:
            raise _too_large(request)
    if expected is not None and len(data) < expected:
        raise IncompleteRead(b"", expected - len(data))
    return bytes(data), True


def _too_large(request: WebRequest) -> TooLarge:
    limit = request.max_bytes // 2**20
    return TooLarge(f"{request.address} has more than {limit} MiB; at most {limit} MiB are accepted")
