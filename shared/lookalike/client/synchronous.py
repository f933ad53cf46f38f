"""The client whose methods block until they have their result."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

import httpx

from lookalike.client.calls import Call, JobOptions, PageCall
from lookalike.client.exchange import PROGRESS_INTERVAL, ProgressReports, Session, Step, Steps, run_call
from lookalike.client.operations import Operations
from lookalike.client.retries import RetryPolicy

T = TypeVar("T")


class Client(Operations):
    """Client of a server. Threads may share it. Close it at the end, or use it in a `with` statement.

    Ctrl-C during an upload or a search cancels it on the server, too.
    """

    def __init__(
        self,
        url: str = "http://localhost:5001",
        token: str = "",
        *,
        timeout: float = 120.0,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Create a client. It connects when it is used. Raises `ValueError` if `url` is not the address of a server.

        `token` is an access token or an API key, and `timeout` the seconds to wait for data from the server. `transport`
        is for tests and for proxies.
        """
        self._session = Session(url, token, timeout, retry or RetryPolicy())
        self._http = httpx.Client(transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a call and return its result. Raises `ClientError`."""
        with self._reported_progress(call.job):
            return self._drive(run_call(self._session, call))

    def iterate(self, page_call: PageCall[T]) -> Iterator[T]:
        """Yield the items of all pages, each requested when it is needed."""
        page = self.send(page_call(None))
        yield from page.items
        while page.cursor is not None:
            page = self.send(page_call(page.cursor))
            yield from page.items

    def _drive(self, steps: Steps[T]) -> T:
        """Perform the steps of an exchange, and return its result."""
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._perform(step)
                except BaseException as error:
                    # The exchange cancels its job on the server, also after Ctrl-C, and raises the error again.
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def _perform(self, step: Step) -> httpx.Response | None:
        if isinstance(step, httpx.Request):
            return self._http.send(step)
        time.sleep(step.seconds)
        return None

    @contextmanager
    def _reported_progress(self, job: JobOptions | None) -> Iterator[None]:
        """Report the progress of a job from a thread. Raises what the callback raised, after the job has ended."""
        if job is None or job.on_progress is None:
            yield
            return
        reports, is_over, failures = ProgressReports(self._session, job), threading.Event(), list[Exception]()

        def report_until_over() -> None:
            while not is_over.wait(PROGRESS_INTERVAL):
                try:
                    reports.report(self._http.send(reports.build_request()))
                except httpx.RequestError:
                    continue
                except Exception as error:
                    # raised by the caller's thread, since nothing catches errors of this one
                    failures.append(error)
                    return

        thread = threading.Thread(target=report_until_over, name="lookalike-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
        if failures:
            raise failures[0]
