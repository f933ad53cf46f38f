"""Every upload and search is a job: a row that any process can see and cancel."""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Conflict, InvalidField, LookalikeError, NotFound
from lookalike.domain.model import Caller, Job, JobStatus
from lookalike.domain.ports import Catalog

log = logging.getLogger("lookalike.jobs")
POLL_SECONDS = 0.1
"""Seconds between two looks at the catalog, while any job runs here: who is cancelled, and what to show of each."""


@dataclass
class RunningJob:
    """A job that runs in this process. `entering` names what comes next, and stops here if it must not."""

    id: str
    cancel: CancelToken
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Seconds of each stage so far."""
    stage: str = ""
    """What it is doing. The watch brings it to the row: a request of milliseconds need not wait for that."""
    _since: float = 0.0

    def enter_stage(self, stage: str) -> None:
        self.cancel.check()
        self.leave_stage()
        self.stage, self._since = stage, time.monotonic()

    def leave_stage(self) -> None:
        if self.stage:
            self.stage_seconds[self.stage] = round(
                self.stage_seconds.get(self.stage, 0) + time.monotonic() - self._since, 4
            )


class Jobs:
    """Runs jobs, and tells those of this process when another one cancelled them. `seconds` bounds each."""

    def __init__(self, catalog: Catalog, seconds: float) -> None:
        self._catalog, self._seconds = catalog, seconds
        self._watch = CancellationWatcher(catalog)

    @contextmanager
    def run_job(self, kind: str, caller: Caller, job_id: str) -> Iterator[RunningJob]:
        """A job from start to end: completed, or cancelled or failed by what is raised inside."""
        self._catalog.start_job(job_id, kind, caller)
        work = RunningJob(job_id, CancelToken(time.monotonic() + self._seconds))
        try:
            with self._watch.watch(work):
                yield work
                work.cancel.check()
        except BaseException as error:
            self._end(work, kind, JobStatus.CANCELLED if isinstance(error, Cancelled) else JobStatus.FAILED)
            raise
        if self._end(work, kind, JobStatus.COMPLETED) is JobStatus.CANCELLED:
            raise Cancelled("The request was cancelled")

    def _end(self, work: RunningJob, kind: str, status: JobStatus) -> JobStatus:
        work.leave_stage()
        try:
            status = self._catalog.finish_job(work.id, status)
        except LookalikeError:
            # the caller learns of what went wrong first; the row is failed by the next clean-up
            if status is JobStatus.COMPLETED:
                raise
            log.warning("The end of a job could not be recorded", exc_info=True)
        log.info("%s %s", kind, status, extra={"stages": work.stage_seconds})
        return status

    def cancel_job(self, job_id: str, caller: Caller) -> None:
        """Raises `NotFound` for others' jobs too, `Conflict` if it has ended."""
        job = self.get_job(job_id, caller)
        if not self._catalog.request_cancel(job.id):
            raise Conflict(f"Request {job_id} has already ended", status=str(job.status))

    def get_job(self, job_id: str, caller: Caller) -> Job:
        """Raises `NotFound`, also for a job that the caller may not see."""
        job = self._catalog.job(job_id)
        if job is None or not can_access(caller, job):
            raise NotFound(f"No request {job_id!r}")
        return job

    def list_jobs(self, caller: Caller) -> list[Job]:
        return self._catalog.list_jobs(caller)

    def delete_finished_jobs(self, caller: Caller, max_age: float) -> int:
        """Forget the caller's own jobs last touched more than `max_age` seconds ago; how many."""
        return self._catalog.delete_finished_jobs(caller, datetime.now(UTC) - timedelta(seconds=max_age))


def can_access(caller: Caller, job: Job) -> bool:
    """The account's own, an administrator, or, for an anonymous job, whoever knows its id."""
    return job.owner is None or caller.is_admin or job.owner == caller.user


def validate_or_create_job_id(requested: str | None) -> str:
    """The caller's own choice, or a new one."""
    if requested is None or requested == "":
        return str(uuid.uuid4())
    if len(requested) > 200 or not requested.isascii() or not requested.isprintable() or set(requested) & set("/\\ ?#"):
        raise InvalidField("request_id must be 1 to 200 printable characters without / ? #", field="request_id")
    return requested


class CancellationWatcher:
    """One thread a process, while anything runs: asks the catalog who was cancelled and the clock who is late."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._works: dict[str, RunningJob] = {}
        self._shown: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, work: RunningJob) -> Iterator[None]:
        with self._lock:
            self._works[work.id] = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._works[work.id]

    def _run(self) -> None:
        while works := self._running():
            try:
                self._look(works)
            except LookalikeError:
                # looked again in a moment; completing a job asks its row once more anyway
                log.warning("The catalog could not be asked for cancelled jobs", exc_info=True)
            time.sleep(POLL_SECONDS)

    def _running(self) -> dict[str, RunningJob]:
        with self._lock:
            if not self._works:
                self._thread = None
            return dict(self._works)

    def _look(self, works: dict[str, RunningJob]) -> None:
        for work in works.values():
            if work.cancel.deadline is not None and time.monotonic() >= work.cancel.deadline:
                work.cancel.expire()
        for cancelled in self._catalog.cancel_requested(list(works)):
            works[cancelled].cancel.cancel()
        self._show(works)

    def _show(self, works: dict[str, RunningJob]) -> None:
        stages = {name: work.stage for name, work in works.items() if work.stage}
        for name, stage in stages.items():
            if self._shown.get(name) != stage:
                self._catalog.set_job_stage(name, stage)
        self._shown = stages
