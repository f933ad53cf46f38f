"""Pictures at addresses on the web, fetched from permitted hosts only.

The requests are those of `checked_http`, which uses `http.client` of the standard library; its documentation says why.
"""

from collections.abc import Callable
from email.message import Message

from lookalike.adapters.checked_http import (
    CheckedHttp,
    HostLimits,
    RetryPolicy,
    WebRequest,
    WebResponse,
    send_with_retries,
)
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Forbidden, InvalidField, LookalikeError, NotFound, UnsupportedFormat
from lookalike.domain.ports.pictures import FetchedPicture, Validators
from lookalike.domain.web_address import WebAddress, parse_web_address

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
ACCEPT = "image/jpeg, image/png, image/webp, image/avif, image/*;q=0.5, */*;q=0.1"
MAX_VALIDATOR_LENGTH = 1024
"""Characters of an ETag or date that is kept."""


class HttpPictures:
    """Implementation of the port `PictureFetcher` for http and https. `max_bytes` limits a picture.

    With another `check` of the response's headers, it fetches files of other types.
    """

    def __init__(
        self,
        client: CheckedHttp,
        max_bytes: int,
        user_agent: str,
        limits: HostLimits | None = None,
        policy: RetryPolicy | None = None,
        check: Callable[[WebAddress, Message], None] | None = None,
    ) -> None:
        self._client, self._max_bytes, self._user_agent = client, max_bytes, user_agent
        self._check = check or check_picture
        self._limits, self._policy = limits or HostLimits(), policy or RetryPolicy()

    def fetch(self, address: str, known: Validators, cancel: CancelToken) -> FetchedPicture | None:
        """Return the picture, or `None` if it has not changed; see `PictureFetcher.fetch`."""
        current = parse_web_address(address)
        for _ in range(MAX_REDIRECTS + 1):
            response = self._get(current, known, cancel)
            if response.status not in REDIRECTS:
                return _picture(current, response, known)
            current = _redirect_target(current, response)
        raise Forbidden(f"{address.partition('?')[0]} redirects more than {MAX_REDIRECTS} times, last to {current}")

    def close(self) -> None:
        """Close the connections that are kept open. The next call opens new ones."""
        self._client.close()

    def _get(self, address: WebAddress, known: Validators, cancel: CancelToken) -> WebResponse:
        headers = {"User-Agent": self._user_agent, "Accept": ACCEPT, "Accept-Encoding": "identity"}
        headers |= _conditions(known)
        request = WebRequest(
            "GET", address, headers, max_bytes=self._max_bytes, check=lambda found: self._check(address, found)
        )
        return send_with_retries(self._client, lambda: request, self._limits, self._policy, cancel)


def _conditions(known: Validators) -> dict[str, str]:
    found = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in found.items() if value and _is_header_value(value)}


def _picture(address: WebAddress, response: WebResponse, known: Validators) -> FetchedPicture | None:
    if response.status == 200:
        return FetchedPicture(response.data, _validators(response.headers))
    if response.status == 304 and _conditions(known):
        return None
    raise _status_error(response.status)(f"{address} responds with status {response.status}", field="address")


def _status_error(status: int) -> Callable[..., LookalikeError]:
    if status in (404, 410):
        return NotFound
    return Forbidden if status in (401, 403, 451) else InvalidField


def _validators(headers: Message) -> Validators:
    etag, modified = (headers.get(name) for name in ("ETag", "Last-Modified"))
    return Validators(
        etag if etag and _is_header_value(etag) else None, modified if modified and _is_header_value(modified) else None
    )


def _is_header_value(text: str) -> bool:
    """Return whether a value may be sent back: short, without line breaks, in the characters of headers."""
    return len(text) <= MAX_VALIDATOR_LENGTH and text.isascii() and text.isprintable()


def _redirect_target(address: WebAddress, response: WebResponse) -> WebAddress:
    """Return where a response redirects to. Raises `Forbidden` unless it is the same host, or https instead of http."""
    target = address.join(str(response.headers.get("Location", "")))
    is_same_port = target.port == address.port or (address.port, target.port) == (80, 443)
    if target.host != address.host or not is_same_port or (address.scheme, target.scheme) == ("https", "http"):
        raise Forbidden(
            f"{address} redirects to {target}; only redirects to the same host are followed: "
            "give the address of the picture itself"
        )
    return target


def check_picture(address: WebAddress, headers: Message) -> None:
    """Check that a response may be a picture. The bytes are checked when the picture is decoded."""
    # without the header, the type is unknown: RFC 9110, section 8.3
    kind = headers.get_content_type().lower() if "Content-Type" in headers else "application/octet-stream"
    if not kind.startswith("image/") and not kind.endswith("/octet-stream"):
        raise UnsupportedFormat(f"{address} has the type {kind}; only pictures are accepted")
    check_encoding(address, headers)


def check_encoding(address: WebAddress, headers: Message) -> None:
    """Check that a response is not compressed."""
    encoding = str(headers.get("Content-Encoding", "identity")).strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedFormat(f"{address} is sent compressed ({encoding}), which was not asked for")
