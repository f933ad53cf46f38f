"""Steps between a call and its result: attempts, waits, errors and cancellation, without input or output.

`run_call` is a generator. It yields steps, and gets the outcome of each: the response to a request, or the exception
that it raised. Both clients drive it, one with blocking functions and one with coroutines.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from lookalike import __version__
from lookalike.client.calls import Call, JobOptions, quoted
from lookalike.client.errors import (
    ApiError,
    ClientError,
    ConnectionFailed,
    ResponseTimeout,
    UnexpectedResponse,
    find_error,
)
from lookalike.client.models import Job
from lookalike.client.retries import RETRIED_STATUSES, RetryPolicy

T = TypeVar("T")
NOTICE_SECONDS = 2.0
"""Time in which a job that is to be canceled must become known to the server: it may have got the request just now."""
NOTICE_INTERVAL = 0.1
CANCEL_TIMEOUT = httpx.Timeout(5.0)
PROGRESS_INTERVAL = 0.3
"""Seconds between two looks at the stage of a job."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: wait for some seconds."""

    seconds: float


Step = httpx.Request | Wait
Steps = Generator[Step, httpx.Response | None, T]


@dataclass(slots=True)
class Session:
    """How requests to one server are built and repeated."""

    url: str
    token: str = field(repr=False)
    timeout: float
    policy: RetryPolicy

    def __post_init__(self) -> None:
        """Raise `ValueError` if the URL is not the address of a server."""
        try:
            url = httpx.URL(self.url)
            is_address = url.scheme in ("http", "https") and bool(url.host)
        except (httpx.InvalidURL, UnicodeError):
            is_address = False
        if not is_address:
            raise ValueError(f"{self.url!r} is not the address of a server: give one such as http://localhost:5001")

    def build_request(self, call: Call[Any], timeout: httpx.Timeout | None = None) -> httpx.Request:
        """Build the request of a call."""
        headers = {"User-Agent": f"lookalike-client/{__version__}", "Accept": "*/*"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if call.job:
            headers["X-Request-Id"] = call.job.request_id
        limits = timeout or httpx.Timeout(self.timeout, connect=min(10.0, self.timeout))
        return httpx.Request(
            call.method,
            self.url.rstrip("/") + call.path,
            params={name: value for name, value in call.query.items() if value is not None},
            headers=headers,
            json=call.body,
            data=dict(call.form) if call.files else None,
            files=[(name, (name, photo)) for name, photo in call.files.items()] or None,
            extensions={"timeout": limits.as_dict()},
        )


def run_call(session: Session, call: Call[T]) -> Steps[T]:
    """Send a call until it has a result or may not be sent again. Raises `ClientError`.

    If it is interrupted or gets no response in time, its job is canceled on the server.
    """
    try:
        response = yield from _send_repeatedly(session, call)
    except (ApiError, ConnectionFailed, GeneratorExit):
        raise
    except BaseException:
        if call.job:
            yield from _cancel(session, call.job.request_id)
        raise
    try:
        return call.parse(response.content)
    except (ValueError, KeyError, TypeError) as error:
        raise UnexpectedResponse(f"{call.method} {response.url} has an unknown response: {error}") from error


def _send_repeatedly(session: Session, call: Call[T]) -> Steps[httpx.Response]:
    for retry in range(session.policy.retries + 1):
        wait: float | None = None
        try:
            response = yield session.build_request(call)
        except httpx.InvalidURL as error:
            raise ClientError(f"{call.method} {call.path} cannot be sent: {error}") from error
        except httpx.DecodingError as error:
            raise UnexpectedResponse(
                f"{call.method} {call.path} has a response that cannot be decoded: {error}"
            ) from error
        except httpx.TransportError as error:
            failure: ClientError = _transport_failure(session, call, error)
            # A request without a response is not sent again: the server may still work on it.
            if isinstance(failure, ConnectionFailed):
                wait = session.policy.wait_seconds(retry, None)
        else:
            assert response is not None
            found = find_error(response)
            if found is None:
                return response
            failure = found
            if response.status_code in RETRIED_STATUSES:
                wait = session.policy.wait_seconds(retry, response.headers.get("Retry-After"))
        if wait is None or not call.may_be_repeated:
            raise failure
        yield Wait(wait)
    raise AssertionError("the last attempt returns or raises")


def _transport_failure(session: Session, call: Call[Any], error: httpx.TransportError) -> ClientError:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        failure: ClientError = ResponseTimeout(f"No response to {call.method} {call.path} in {session.timeout} s")
    else:
        failure = ConnectionFailed(f"{session.url} cannot be reached: {error!r}")
    failure.__cause__ = error
    return failure


def _cancel(session: Session, request_id: str) -> Steps[None]:
    """Cancel a job. Failures are ignored: the exception that ended the call matters more to the caller."""
    cancel = Call("POST", f"/cancel_request/{quoted(request_id)}", bytes)
    for _ in range(round(NOTICE_SECONDS / NOTICE_INTERVAL)):
        try:
            response = yield session.build_request(cancel, CANCEL_TIMEOUT)
        except httpx.RequestError:
            return
        if response is None or response.status_code != 404:
            return
        yield Wait(NOTICE_INTERVAL)


class ProgressReports:
    """Looks at the state of a job, and reports each change of its stage to the callback."""

    def __init__(self, session: Session, job: JobOptions) -> None:
        self._session, self._job, self._last = session, job, ("", "")

    def build_request(self) -> httpx.Request:
        """Build the request for the state of the job."""
        return self._session.build_request(
            Call("GET", f"/request_status/{quoted(self._job.request_id)}", bytes), CANCEL_TIMEOUT
        )

    def report(self, response: httpx.Response) -> None:
        """Call the callback if the stage has changed. Errors are ignored: the call itself reports what matters."""
        if find_error(response) or self._job.on_progress is None:
            return
        try:
            job = Job.model_validate_json(response.content)
        except ValueError:
            return
        if (job.status, job.stage) != self._last:
            self._last = (job.status, job.stage)
            self._job.on_progress(job)
