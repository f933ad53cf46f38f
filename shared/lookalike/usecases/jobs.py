"""Jobs: every upload, split and search has a database row, through which any process can observe and cancel it."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lookalike.domain import stage_times
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Conflict, InvalidField, LookalikeError, NotFound
from lookalike.domain.model import INTERRUPTED, Caller, Job, JobStatus
from lookalike.domain.ports import Catalog
from lookalike.domain.stage_times import Stage
from lookalike.usecases.deferred_writes import DeferredWrites

log = logging.getLogger("lookalike.jobs")
MEASURED_STAGES = {
    "claiming": Stage.CLAIM,
    "reading": Stage.DECODE,
    "detecting": Stage.DETECT,
    "embedding": Stage.EMBED,
    "searching": Stage.SEARCH,
    "fetching": Stage.PICTURES,
    "cutting": Stage.ENCODE,
    "storing": Stage.STORE,
}
"""How the stages of jobs, which `/request_status` shows, are named in the measurements of the request."""
POLL_SECONDS = 0.1
"""Interval at which a process with running jobs reads cancellations from the catalog and writes the jobs' stages."""
LATE_ROW_SECONDS = 0.05
"""Age from which a read-only job is visible to other processes. The next poll writes its row."""
MAX_ID_LENGTH = 200


@dataclass
class RunningJob:
    """A job that runs in this process."""

    id: str
    cancel_token: CancelToken
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Duration of each finished stage."""
    stage: str = ""
    """Current stage. `CancellationWatcher` writes it to the row, so that requests do not wait for the database."""
    progress: str = ""
    """How far the work is, shown instead of the stage. Change it at most every few seconds: each change is written."""
    late_row: "LateRow | None" = None
    """Set if the job had no row when it began."""
    _stage_start: float = 0.0
    _end_measurement: Callable[[], None] = field(default=lambda: None, repr=False)

    def enter_stage(self, stage: str) -> None:
        """Start the next stage. Raises `Cancelled` or `DeadlineExceeded` if the job must stop."""
        self.cancel_token.check()
        self.leave_stage()
        self.stage, self._stage_start = stage, time.monotonic()
        self._end_measurement = stage_times.enter_stage(MEASURED_STAGES[stage])

    def leave_stage(self) -> None:
        """Add the time since the start of the current stage to `stage_seconds`."""
        if self.stage:
            seconds = self.stage_seconds.get(self.stage, 0) + time.monotonic() - self._stage_start
            self.stage_seconds[self.stage] = round(seconds, 4)
            self._end_measurement()


class LateRow:
    """Row of a job that is written once the job has run for `LATE_ROW_SECONDS`, or after its end."""

    def __init__(self, catalog: Catalog, kind: str, caller: Caller) -> None:
        self._catalog, self._kind, self._caller = catalog, kind, caller
        self._due, self._lock = time.monotonic() + LATE_ROW_SECONDS, threading.Lock()
        self._created, self._is_written, self._is_closed = datetime.now(UTC), False, False

    def write_if_due(self, job_id: str) -> bool:
        """Write the row of the running job if it is time. Returns whether the job has a row."""
        with self._lock:
            if not (self._is_written or self._is_closed) and time.monotonic() >= self._due:
                self._catalog.start_job(job_id, self._kind, self._caller)
                self._is_written = True
            return self._is_written

    def close(self) -> bool:
        """Prevent that the row is still written. Returns whether it was written."""
        with self._lock:
            self._is_closed = True
            return self._is_written

    def finished_job(self, job_id: str, status: JobStatus, error: str | None) -> Job:
        """Return the job as its row describes it after its end."""
        end, caller = datetime.now(UTC), self._caller
        times = self._created, end, end
        return Job(job_id, self._kind, caller.owner, caller.address, status, "", False, *times, error)


class Jobs:
    """Runs jobs with a limit of `time_limit` seconds each, and shows, cancels and deletes them."""

    def __init__(self, catalog: Catalog, time_limit: float, deferred: DeferredWrites | None = None) -> None:
        self._catalog, self._time_limit = catalog, time_limit
        self._deferred = deferred or DeferredWrites(is_deferred=False)
        self._watcher = CancellationWatcher(catalog)

    @contextmanager
    def run_job(self, kind: str, caller: Caller, job_id: str, deadline: float | None = None) -> Iterator[RunningJob]:
        """Run the body of the `with` statement as a job. The job ends as completed, cancelled or failed.

        `deadline` is a value of `time.monotonic()` at which the job must stop, if that is before its time limit.

        Raises `Conflict` if a job with that id is running, `Cancelled` if cancellation was requested before the end,
        and every exception of the body.
        """
        with stage_times.stage(Stage.JOB):
            self._catalog.start_job(job_id, kind, caller)
        limit = time.monotonic() + self._time_limit
        job = RunningJob(job_id, CancelToken(limit if deadline is None else min(limit, deadline)))
        with self._run(job, kind):
            yield job

    @contextmanager
    def run_read_only_job(self, kind: str, caller: Caller, job_id: str, is_new_id: bool = True) -> Iterator[RunningJob]:
        """Like `run_job`, for a body that writes nothing.

        If the id was created for this job, nobody knows it yet and could cancel the job. Its row is then written only
        once the job has run for `LATE_ROW_SECONDS`, or after its end, so that fast searches wait for no write.
        """
        if not is_new_id:
            with self.run_job(kind, caller, job_id) as job:
                yield job
            return
        job = RunningJob(job_id, CancelToken(time.monotonic() + self._time_limit))
        job.late_row = LateRow(self._catalog, kind, caller)
        with self._run(job, kind):
            yield job

    @contextmanager
    def _run(self, job: RunningJob, kind: str) -> Iterator[None]:
        """Run the body while the job is watched, and write its end to its row."""
        has_returned = False
        try:
            with self._watcher.watch(job):
                yield
                has_returned = True
                job.cancel_token.check()
        except BaseException as error:
            end = JobStatus.CANCELLED if isinstance(error, Cancelled) else JobStatus.FAILED
            reason = error_code(error) if end is JobStatus.FAILED else None
            # The transaction of an upload completes its job. If the deadline passes between that and the end of the
            # body, the photo is stored, and an error would say that it is not.
            if self._finish(job, kind, end, reason) is JobStatus.COMPLETED and has_returned:
                return
            raise
        # A cancellation that the watcher has not seen yet is still found by the transaction that completes the job.
        if self._finish(job, kind, JobStatus.COMPLETED) is JobStatus.CANCELLED:
            raise Cancelled("The request was cancelled")

    def _finish(self, job: RunningJob, kind: str, status: JobStatus, error: str | None = None) -> JobStatus:
        job.leave_stage()
        try:
            with stage_times.stage(Stage.JOB):
                status = self._write_end(job, status, error)
        except LookalikeError:
            # The exception that ended the job matters more to the caller. The next clean-up marks the row as failed.
            if status is JobStatus.COMPLETED:
                raise
            log.warning("The end of a job could not be recorded", exc_info=True)
        log.info("%s %s", kind, status, extra={"stages": job.stage_seconds})
        return status

    def _write_end(self, job: RunningJob, status: JobStatus, error: str | None) -> JobStatus:
        """Write the end of a job to its row. Returns its final status."""
        if job.late_row is None or job.late_row.close():
            return self._catalog.finish_job(job.id, status, error)
        self._deferred.add(self._catalog.add_finished_jobs, job.late_row.finished_job(job.id, status, error))
        return status

    def cancel_job(self, job_id: str, caller: Caller) -> None:
        """Request the cancellation of a job.

        Raises `NotFound`, also for a job that the caller may not see, and `Conflict` if the job has ended.
        """
        job = self.get_job(job_id, caller)
        if not self._catalog.request_cancel(job.id):
            raise Conflict(f"Request {job_id} has already ended", status=str(job.status))

    def get_job(self, job_id: str, caller: Caller) -> Job:
        """Return a job. Raises `NotFound`, also for a job that the caller may not see."""
        self._deferred.wait()
        job = self._catalog.job(job_id)
        if job is None or not can_access(caller, job):
            raise NotFound(f"There is no request {job_id!r}")
        return job

    def list_jobs(self, caller: Caller) -> list[Job]:
        """Return the caller's jobs, newest first."""
        self._deferred.wait()
        return self._catalog.list_jobs(caller)

    def list_running(self, limit: int) -> list[Job]:
        """Return the running jobs of all callers, newest first. For administrators only."""
        return self._catalog.list_running_jobs(limit)

    def delete_finished_jobs(self, caller: Caller, max_age: float) -> int:
        """Delete the caller's finished jobs older than `max_age` seconds. Returns the number of changed jobs.

        Older jobs that are still marked as running are marked as failed: their process is gone.
        """
        self._deferred.wait()
        return self._catalog.delete_finished_jobs(caller, datetime.now(UTC) - timedelta(seconds=max_age))


def error_code(error: BaseException) -> str:
    """Return the stable code of an error, as a response has it: `internal` for unexpected errors."""
    if isinstance(error, LookalikeError):
        return error.code
    return LookalikeError.code if isinstance(error, Exception) else INTERRUPTED


def can_access(caller: Caller, job: Job) -> bool:
    """Return whether the caller is the job's owner or an administrator, or the job is anonymous.

    The id of an anonymous job is its only protection. Ids chosen by the server cannot be guessed.
    """
    return job.owner is None or caller.is_admin or job.owner == caller.owner


def validate_or_create_job_id(requested: str | None) -> str:
    """Return the id that the caller chose, or a new UUID if it is missing or empty. Raises `InvalidField`."""
    if requested is None or requested == "":
        return str(uuid.uuid4())
    is_printable = requested.isascii() and requested.isprintable()
    if len(requested) > MAX_ID_LENGTH or not is_printable or set(requested) & set("/\\ ?#"):
        message = f"request_id must be 1 to {MAX_ID_LENGTH} printable ASCII characters without spaces and / \\ ? #"
        raise InvalidField(message, field="request_id")
    return requested


class CancellationWatcher:
    """Thread that runs while this process has running jobs.

    It cancels the tokens of jobs whose cancellation was requested or whose time is over, and writes their stages.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._jobs: dict[str, RunningJob] = {}
        self._written_stages: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, job: RunningJob) -> Iterator[None]:
        """Watch a job inside the context. Starts the thread if it is not running."""
        with self._lock:
            self._jobs[job.id] = job
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cancellation-watcher", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._jobs[job.id]

    def _run(self) -> None:
        try:
            while jobs := self._watched_jobs():
                self._poll_or_log(jobs)
                time.sleep(POLL_SECONDS)
        except BaseException:
            # The next job starts a new thread, which watches all jobs. The error is logged by `threading.excepthook`.
            with self._lock:
                self._thread = None
            raise

    def _poll_or_log(self, jobs: dict[str, RunningJob]) -> None:
        try:
            self._poll(jobs)
        except LookalikeError:
            # Retried at the next poll. A cancellation cannot be missed: completing a job checks for it as well.
            log.warning("The catalog could not be read for cancelled jobs", exc_info=True)

    def _watched_jobs(self) -> dict[str, RunningJob]:
        with self._lock:
            # Under the lock of `watch`: no job can be added between this check and the end of the thread.
            if not self._jobs:
                self._thread = None
            return dict(self._jobs)

    def _poll(self, jobs: dict[str, RunningJob]) -> None:
        for job in jobs.values():
            # work that waits inside a model does not call `check` and would not notice the deadline itself
            if job.cancel_token.deadline is not None and time.monotonic() >= job.cancel_token.deadline:
                job.cancel_token.expire()
        visible = [job.id for job in jobs.values() if job.late_row is None or job.late_row.write_if_due(job.id)]
        if not visible:
            return
        for job_id in self._catalog.cancel_requested(visible):
            jobs[job_id].cancel_token.cancel()
        self._write_stages({job_id: jobs[job_id] for job_id in visible})

    def _write_stages(self, jobs: dict[str, RunningJob]) -> None:
        stages = {job_id: shown for job_id, job in jobs.items() if (shown := job.progress or job.stage)}
        for job_id, stage in stages.items():
            if self._written_stages.get(job_id) != stage:
                self._catalog.set_job_stage(job_id, stage)
        self._written_stages = stages
