"""HTTP requests with JSON bodies."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT = 90
"""Seconds. The first request of an instance waits for its start."""
RETRIED = (429, 502, 503, 504)
ATTEMPTS = 3


class RequestFailed(Exception):
    """A request got an error status or no response."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Address:
    """Where requests go. `host` replaces the header `Host`."""

    url: str
    host: str = ""


def call(
    method: str,
    address: Address,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    attempts: int = ATTEMPTS,
) -> Any:
    """Send a request and return the JSON body of the response, or `None` if it is empty.

    Repeats requests that got 429, 502, 503 or 504. Raises `RequestFailed` for other errors, and when attempts run out.
    """
    sent = {"Content-Type": "application/json", "User-Agent": "lookalike-release", **(headers or {})}
    if address.host:
        sent["Host"] = address.host
    data = None if body is None else json.dumps(body).encode()
    for attempt in range(attempts):
        try:
            return _send(method, address.url + path, data, sent)
        except RequestFailed as error:
            if error.status not in RETRIED or attempt == attempts - 1:
                raise
            time.sleep(2**attempt)
    return None


def _send(method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> Any:
    request = urllib.request.Request(url, data, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        with error:
            detail = error.read()[:500].decode(errors="replace")
        raise RequestFailed(f"{method} {url} was answered with {error.code}: {detail}", error.code) from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", "") or error or type(error).__name__
        raise RequestFailed(f"{method} {url} got no response: {reason}") from None
    try:
        return json.loads(text) if text else None
    except ValueError:
        start = text[:100].decode(errors="replace")
        raise RequestFailed(f"{method} {url} was answered with something other than JSON: {start}") from None
