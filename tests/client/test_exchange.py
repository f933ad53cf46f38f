"""Attempts, waits, errors and cancellation of a call, without input or output."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from lookalike.client import (
    ApiError,
    AsyncClient,
    Busy,
    Cancelled,
    Client,
    ClientError,
    ConnectionFailed,
    InvalidField,
    NotFound,
    ResponseTimeout,
    RetryPolicy,
    UnexpectedResponse,
)
from lookalike.client.calls import Call, JobOptions
from lookalike.client.errors import ERROR_CLASSES
from lookalike.client.exchange import ProgressReports, Session, Step, Wait, run_call
from lookalike.client.models import Job, SplitPhoto
from lookalike.client.retries import MAX_JITTER, parse_retry_after
from lookalike.domain import errors as server_errors

SESSION = Session("http://shop.example/", "secret", 30, RetryPolicy(retries=2, max_wait=60))
SEARCH = Call("POST", "/search", lambda body: body, body={}, is_idempotent=True, job=JobOptions("my-job"))
LOGIN = Call("POST", "/api/auth/login", lambda body: body, body={})
REQUEST = httpx.Request("POST", "http://shop.example/search")


def respond(status: int, code: str = "", headers: dict[str, str] | None = None, **details: Any) -> httpx.Response:
    body = {"success": not code, "request_id": "r1", "message": "Why", "error": {"code": code, "details": details}}
    return httpx.Response(status, json=body if code else {"data": 1}, headers=headers, request=REQUEST)


def play(call: Call[bytes], *outcomes: httpx.Response | BaseException) -> tuple[list[Step], Any]:
    """Answer each request with the next outcome. Returns the steps and the result or exception."""
    steps, remaining, taken = run_call(SESSION, call), list(outcomes), list[Step]()
    try:
        taken.append(next(steps))
        while True:
            outcome = remaining.pop(0) if isinstance(taken[-1], httpx.Request) else None
            taken.append(steps.throw(outcome) if isinstance(outcome, BaseException) else steps.send(outcome))
    except StopIteration as end:
        return taken, end.value
    except BaseException as error:
        assert not remaining
        return taken, error


def waits(steps: list[Step]) -> list[float]:
    return [step.seconds for step in steps if isinstance(step, Wait)]


def paths(steps: list[Step]) -> list[str]:
    return [step.url.path for step in steps if isinstance(step, httpx.Request)]


@pytest.mark.parametrize(("status", "code"), [(429, "busy"), (429, "rate_limited"), (503, "unavailable"), (503, "")])
def test_retry_waits_at_least_as_long_as_the_server_asks(status: int, code: str) -> None:
    steps, result = play(SEARCH, respond(status, code, {"Retry-After": "7"}), respond(200))
    (wait,) = waits(steps)
    assert 7 <= wait <= 7 * (1 + MAX_JITTER) and b"data" in result


def test_retries_without_retry_after_back_off_and_end() -> None:
    steps, error = play(SEARCH, *[respond(503, "unavailable")] * 3)
    first, second = waits(steps)
    assert 0.3 < first <= 0.5 < second <= 1.0
    assert isinstance(error, ApiError) and error.error_code == "unavailable" and len(paths(steps)) == 3


def test_longer_wait_than_permitted_raises_at_once() -> None:
    steps, error = play(SEARCH, respond(429, "busy", {"Retry-After": "61"}))
    assert isinstance(error, Busy) and waits(steps) == []


def test_request_with_a_further_effect_is_not_repeated() -> None:
    for outcome in (respond(503, "unavailable", {"Retry-After": "1"}), httpx.ConnectError("refused")):
        steps, error = play(LOGIN, outcome)
        assert isinstance(error, ApiError | ConnectionFailed) and waits(steps) == []


def test_lost_connection_is_retried_and_then_reported() -> None:
    steps, result = play(SEARCH, httpx.ConnectError("refused"), respond(200))
    assert len(waits(steps)) == 1 and b"data" in result
    _, error = play(SEARCH, *[httpx.RemoteProtocolError("closed")] * 3)
    assert isinstance(error, ConnectionFailed) and "shop.example" in str(error)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1), httpx.ReadTimeout("slow")])
def test_interruption_cancels_the_job_once_the_server_knows_it(interruption: BaseException) -> None:
    steps, error = play(SEARCH, interruption, respond(404, "not_found"), respond(200))
    assert paths(steps) == ["/search", "/cancel_request/my-job", "/cancel_request/my-job"]
    expected = ResponseTimeout if isinstance(interruption, httpx.ReadTimeout) else type(interruption)
    assert type(error) is expected


def test_interruption_while_waiting_and_without_a_server_ends_at_once() -> None:
    steps, error = play(SEARCH, KeyboardInterrupt(), httpx.ConnectError("refused"))
    assert isinstance(error, KeyboardInterrupt) and len(steps) == 2
    steps, error = play(LOGIN, KeyboardInterrupt())
    assert isinstance(error, KeyboardInterrupt) and len(steps) == 1


def test_request_carries_token_and_id_of_the_job() -> None:
    steps, _ = play(SEARCH, respond(200))
    (request,) = steps
    assert isinstance(request, httpx.Request) and str(request.url) == "http://shop.example/search"
    assert request.headers["Authorization"] == "Bearer secret" and request.headers["X-Request-Id"] == "my-job"
    assert request.extensions["timeout"]["read"] == 30


def test_error_has_code_status_and_details_of_the_server() -> None:
    _, error = play(SEARCH, respond(422, "invalid_field", field="limit"))
    assert isinstance(error, InvalidField) and error.field == "limit" and error.status == 422
    assert error.request_id == "r1" and error.message == "Why" and "invalid_field" in str(error)
    _, error = play(SEARCH, respond(200, "cancelled"))
    assert isinstance(error, Cancelled)


def test_every_code_of_the_server_has_a_class() -> None:
    kinds = [kind for kind in vars(server_errors).values() if isinstance(kind, type)]
    codes = {kind.code for kind in kinds if issubclass(kind, server_errors.LookalikeError)}
    assert codes == set(ERROR_CLASSES)


def test_unknown_errors_and_responses_are_reported_as_such() -> None:
    _, error = play(SEARCH, respond(418, "teapot"))
    assert type(error) is ApiError and error.error_code == "teapot"
    _, error = play(SEARCH, httpx.Response(502, text="<h1>Bad gateway</h1>", request=REQUEST))
    assert type(error) is ApiError and error.error_code == "" and "502" in str(error)
    client = Client("http://shop.example", transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<p>Hi")))
    with pytest.raises(UnexpectedResponse), client:
        client.user()


def test_response_that_cannot_be_decoded_cancels_the_job() -> None:
    steps, result = play(SEARCH, httpx.DecodingError("Error -3 while decompressing data"), respond(200))
    assert isinstance(result, UnexpectedResponse) and "decompressing" in str(result)
    assert paths(steps) == ["/search", "/cancel_request/my-job"]


@pytest.mark.parametrize("url", ["localhost:5001", "http://", "http://shop:port", "http://xn--a.example", ""])
def test_client_refuses_an_address_that_is_not_one(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a server"):
        Client(url)


def test_request_that_cannot_be_sent_is_reported() -> None:
    call = Call("GET", "/garments", lambda body: body, query={"text": "x" * 100_000})
    with Client("http://localhost:9") as client, pytest.raises(ClientError, match="GET /garments cannot be sent"):
        client.send(call)


def test_retry_after_is_a_number_or_a_date() -> None:
    assert parse_retry_after("5") == 5 and parse_retry_after("-5") == 0
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 98 < (parse_retry_after(moment) or 0) <= 100
    assert parse_retry_after("soon") is parse_retry_after(None) is None


def test_client_waits_and_retries() -> None:
    responses = [respond(503, "unavailable", {"Retry-After": "0"}), respond(404, "not_found")]
    client = Client("http://shop.example", transport=httpx.MockTransport(lambda _: responses.pop(0)))
    with pytest.raises(NotFound), client:
        client.garment("missing")
    assert responses == []


class SplitServer:
    """Answers a split only after the progress of its job was asked for twice, or the reports have ended."""

    def __init__(self) -> None:
        self.is_watched, self.count = threading.Event(), 0

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/request_status/"):
            self.count += 1
            if self.count == 2:
                self.is_watched.set()
            times = {"created": "2026-11-28T11:10:33+00:00", "updated": "2026-11-28T11:10:34+00:00", "finished": None}
            fields = {"request_id": "r1", "status": "processing", "kind": "split", "stage": "detecting", **times}
            return httpx.Response(200, json=fields)
        self.is_watched.wait(1.5)
        return httpx.Response(200, json={"width": 3, "height": 4, "data": {"segments": []}})

    async def respond_later(self, request: httpx.Request) -> httpx.Response:
        return await asyncio.to_thread(self.respond, request)


def split(*, is_async: bool, on_progress: Callable[[Job], None]) -> SplitPhoto:
    async def split_later() -> SplitPhoto:
        async with AsyncClient(transport=httpx.MockTransport(SplitServer().respond_later)) as client:
            return await client.split(b"photo", on_progress=on_progress)

    if is_async:
        return asyncio.run(split_later())
    with Client(transport=httpx.MockTransport(SplitServer().respond)) as client:
        return client.split(b"photo", on_progress=on_progress)


@pytest.mark.parametrize("is_async", [False, True])
def test_progress_is_reported_while_the_job_runs(is_async: bool) -> None:
    reported = list[Job]()
    assert split(is_async=is_async, on_progress=reported.append).width == 3
    assert reported[0].stage == "detecting" and reported[0].kind == "split"


@pytest.mark.parametrize("response", [respond(503, "unavailable"), httpx.Response(200, text="<p>", request=REQUEST)])
def test_unreadable_progress_does_not_end_the_job(response: httpx.Response) -> None:
    reported = list[Job]()
    ProgressReports(SESSION, JobOptions("my-job", reported.append)).report(response)
    assert reported == []


@pytest.mark.parametrize("is_async", [False, True])
def test_exception_of_the_callback_is_raised_after_the_job(is_async: bool) -> None:
    def fail(_: Job) -> None:
        raise RuntimeError("of the callback")

    with pytest.raises(RuntimeError, match="of the callback"):
        split(is_async=is_async, on_progress=fail)
