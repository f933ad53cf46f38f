"""Retries of requests with exponential backoff."""

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from socket import EAI_AGAIN, gaierror

from lookalike.adapters.checked_http.client import CheckedHttp, WebRequest, WebResponse
from lookalike.adapters.checked_http.host_limits import HostLimits, sleep
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Unavailable
from lookalike.domain.web_address import WebAddress

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after how many seconds a request is repeated."""

    attempts: int = 4
    first_wait: float = 0.5
    """Doubled with each further attempt, and shortened at random by up to a half (jitter)."""
    max_wait: float = 60.0
    """A longer wait that a server asks for with `Retry-After` ends the attempts."""

    def seconds_before(self, attempt: int) -> float:
        """Return the seconds to wait before an attempt, from 1 for the first repetition."""
        return min(self.first_wait * 2.0 ** (attempt - 1), self.max_wait) * random.uniform(0.5, 1)


def send_with_retries(
    client: CheckedHttp,
    build_request: Callable[[], WebRequest],
    limits: HostLimits,
    policy: RetryPolicy,
    cancel: CancelToken,
) -> WebResponse:
    """Send a request, built anew for each attempt, until its response is not a temporary failure.

    Raises `Unavailable` after the last attempt, and the errors of `CheckedHttp.send`, which are not retried.
    """
    attempt = 1
    while True:
        request = build_request()
        outcome = _attempt(client, request, limits, policy, cancel)
        if isinstance(outcome, WebResponse) and outcome.status not in RETRIED_STATUSES:
            return outcome
        requested = retry_after(outcome) if isinstance(outcome, WebResponse) else 0.0
        if attempt == policy.attempts or requested > policy.max_wait:
            raise _unavailable(request.address, outcome, attempt, requested)
        sleep(max(policy.seconds_before(attempt), requested), cancel)
        attempt += 1


def _attempt(
    client: CheckedHttp, request: WebRequest, limits: HostLimits, policy: RetryPolicy, cancel: CancelToken
) -> WebResponse | Exception:
    """Return the response or the failure of the connection."""
    host = request.address.host
    with limits.slot(host, cancel):
        try:
            response = client.send(request, cancel)
        except (OSError, HTTPException) as error:
            if not is_temporary(error):
                raise Unavailable(f"{request.address} cannot be fetched: {describe(error)}") from error
            return error
    limits.record(host, response.status, min(retry_after(response), policy.max_wait))
    return response


def is_temporary(error: OSError | HTTPException) -> bool:
    """Return whether a failed connection may succeed later."""
    if isinstance(error, gaierror):
        return error.errno == EAI_AGAIN
    if isinstance(error, HTTPException) and not isinstance(error, ConnectionError):
        return isinstance(error, IncompleteRead)
    return not isinstance(error, ssl.SSLCertVerificationError)


def describe(error: Exception) -> str:
    """Return a phrase about a failed connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid ({error.verify_message})"
    if isinstance(error, gaierror):
        return f"the host name cannot be resolved ({error.strerror})"
    if isinstance(error, IncompleteRead):
        return "the response ended early"
    return str(error) or type(error).__name__


def retry_after(response: WebResponse) -> float:
    """Return the seconds of the header `Retry-After` (a number or a date, RFC 9110 section 10.2.3), 0 without it."""
    value = str(response.headers.get("Retry-After", "")).strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max((aware - datetime.now(UTC)).total_seconds(), 0.0)


def _unavailable(address: WebAddress, outcome: WebResponse | Exception, attempts: int, requested: float) -> Unavailable:
    if isinstance(outcome, Exception):
        return Unavailable(f"{address} cannot be reached after {attempts} attempts: {describe(outcome)}")
    wait = f" and asks to wait {requested:.0f} s" if requested else ""
    return Unavailable(f"{address} responds with status {outcome.status}{wait}, after {attempts} attempts")
