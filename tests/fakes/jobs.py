"""Jobs of the catalog in memory."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lookalike.adapters.catalog.jobs import job_row
from lookalike.adapters.catalog.tables import jobs
from lookalike.adapters.catalog.values import validated
from lookalike.domain.errors import Cancelled, Conflict, NotFound
from lookalike.domain.job_statistics import JobCount, JobDurations, JobErrorCount
from lookalike.domain.model import INTERRUPTED, Caller, Job, JobStatus
from tests.fakes.database import FakeDatabase, is_own_job, transaction


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


class FakeJobs(FakeDatabase):
    """Queries of the port `Catalog` about jobs."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Job] = {}

    @transaction
    def start_job(self, job_id: str, kind: str, caller: Caller) -> Job:
        job_row(job_id, kind, caller)
        old, moment = self._jobs.get(job_id), datetime.now(UTC)
        if old and old.status is JobStatus.PROCESSING:
            raise Conflict("A request with this id is running")
        status = JobStatus.PROCESSING
        job = Job(job_id, kind, caller.owner, caller.address, status, "", False, moment, moment)
        self._jobs[job_id] = job
        return job

    @transaction
    def add_finished_jobs(self, finished: Sequence[Job]) -> None:
        for job in finished:
            job_row(job.id, job.kind, Caller(job.owner, address=job.address))
            validated(jobs, error=job.error)
            if job.id in self._jobs:
                raise Conflict("A request with this id exists")
        self._jobs |= {job.id: job for job in finished}

    @transaction
    def job(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    @transaction
    def list_jobs(self, caller: Caller, limit: int = 100) -> list[Job]:
        own = (job for job in self._jobs.values() if is_own_job(caller, job))
        return sorted(own, key=lambda job: job.created, reverse=True)[:limit]

    @transaction
    def list_running_jobs(self, limit: int = 100, kind: str | None = None) -> list[Job]:
        running = (job for job in self._jobs.values() if job.status is JobStatus.PROCESSING)
        running = (job for job in running if kind in (None, job.kind))
        return sorted(running, key=lambda job: job.created, reverse=True)[:limit]

    @transaction
    def job_counts(self, since: datetime) -> list[JobCount]:
        hours = ((job.created.replace(minute=0, second=0, microsecond=0), job) for job in self._started_since(since))
        counts = Counter((hour, job.kind, job.status) for hour, job in hours)
        return [JobCount(*group, count) for group, count in sorted(counts.items())]

    @transaction
    def job_durations(self, since: datetime) -> list[JobDurations]:
        by_kind = defaultdict(list)
        for job in self._started_since(since):
            if job.status is JobStatus.COMPLETED and job.finished:
                by_kind[job.kind].append((job.finished - job.created).total_seconds())
        return [
            JobDurations(kind, len(seconds), *(percentile(seconds, share) for share in (0.5, 0.95)))
            for kind, seconds in sorted(by_kind.items())
        ]

    @transaction
    def job_error_counts(self, since: datetime) -> list[JobErrorCount]:
        failed = [job for job in self._started_since(since) if job.status is JobStatus.FAILED]
        counts = Counter((job.kind, job.error) for job in failed)
        found = [JobErrorCount(*group, count) for group, count in counts.items()]
        return sorted(found, key=lambda one: (-one.count, one.kind, one.error or ""))

    def _started_since(self, since: datetime) -> list[Job]:
        return [job for job in self._jobs.values() if job.created >= since]

    @transaction
    def set_job_stage(self, job_id: str, stage: str) -> None:
        validated(jobs, stage=stage)
        self._update_running(job_id, stage=stage)

    @transaction
    def finish_job(self, job_id: str, status: JobStatus, error: str | None = None) -> JobStatus:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("The request does not exist")
        is_cancelled = status is JobStatus.COMPLETED and job.cancel_requested
        self._finish(job_id, JobStatus.CANCELLED if is_cancelled else status, error)
        return self._jobs[job_id].status

    @transaction
    def request_cancel(self, job_id: str) -> bool:
        return self._update_running(job_id, cancel_requested=True)

    @transaction
    def cancel_requested(self, job_ids: Sequence[str]) -> set[str]:
        return {job_id for job_id in job_ids if job_id in self._jobs and self._jobs[job_id].cancel_requested}

    @transaction
    def delete_finished_jobs(self, caller: Caller | None, before: datetime) -> int:
        own = [job for job in self._jobs.values() if caller is None or is_own_job(caller, job)]
        stale = [job for job in own if job.updated < before]
        for job in stale:
            if not self._finish(job.id, JobStatus.FAILED, INTERRUPTED):
                del self._jobs[job.id]
        return len(stale)

    @transaction
    def delete_jobs_of_owner(self, user: str) -> int:
        own = [job for job in self._jobs.values() if job.owner == user]
        finished = [job.id for job in own if job.status is not JobStatus.PROCESSING]
        for job_id in finished:
            del self._jobs[job_id]
        return len(finished)

    def _complete(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.cancel_requested:
            raise Cancelled("The request was cancelled")
        if not self._finish(job_id, JobStatus.COMPLETED):
            raise Conflict("The request has already ended")

    def _update_running(self, job_id: str, **values: object) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.status is not JobStatus.PROCESSING:
            return False
        self._jobs[job_id] = replace(job, **{"updated": datetime.now(UTC), **values})  # type: ignore[arg-type]
        return True

    def _finish(self, job_id: str, status: JobStatus, error: str | None = None) -> bool:
        moment, error = datetime.now(UTC), error if status is JobStatus.FAILED else None
        validated(jobs, error=error)
        return self._update_running(job_id, status=status, updated=moment, finished=moment, error=error)
