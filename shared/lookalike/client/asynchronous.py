"""The client whose methods are coroutines, for asyncio."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import httpx

from lookalike.client.calls import Call, JobOptions, PageCall
from lookalike.client.exchange import PROGRESS_INTERVAL, ProgressReports, Session, Step, Steps, run_call
from lookalike.client.operations import Operations
from lookalike.client.retries import RetryPolicy

T = TypeVar("T")


class AsyncClient(Operations):
    """Client of a server, with the methods of `Client` as coroutines and its iterators as asynchronous ones.

    If the task that awaits an upload or a search is canceled, as by Ctrl-C, the job is canceled on the server, too.
    """

    def __init__(
        self,
        url: str = "http://localhost:5001",
        token: str = "",
        *,
        timeout: float = 120.0,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Create a client, with the parameters of `Client`."""
        self._session = Session(url, token, timeout, retry or RetryPolicy())
        self._http = httpx.AsyncClient(transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its result. Raises `ClientError`."""
        async with self._reported_progress(call.job):
            return await self._drive(run_call(self._session, call))

    async def iterate(self, page_call: PageCall[T]) -> AsyncIterator[T]:
        """Yield the items of all pages, each requested when it is needed."""
        page = await self.send(page_call(None))
        for item in page.items:
            yield item
        while page.cursor is not None:
            page = await self.send(page_call(page.cursor))
            for item in page.items:
                yield item

    async def _drive(self, steps: Steps[T]) -> T:
        """Perform the steps of an exchange, and return its result."""
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._perform(step)
                except BaseException as error:
                    # The exchange cancels its job on the server, also if this task is canceled, and raises the error again.
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _perform(self, step: Step) -> httpx.Response | None:
        if isinstance(step, httpx.Request):
            return await self._http.send(step)
        await asyncio.sleep(step.seconds)
        return None

    @asynccontextmanager
    async def _reported_progress(self, job: JobOptions | None) -> AsyncIterator[None]:
        """Report the progress of a job from a task. Raises what the callback raised, after the job has ended."""
        if job is None or job.on_progress is None:
            yield
            return
        reports = ProgressReports(self._session, job)

        async def report_until_over() -> None:
            while True:
                await asyncio.sleep(PROGRESS_INTERVAL)
                try:
                    reports.report(await self._http.send(reports.build_request()))
                except httpx.RequestError:
                    continue

        task = asyncio.create_task(report_until_over())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()
