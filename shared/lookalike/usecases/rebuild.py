"""Rebuilds of the index that administrators request.

In the cloud, only the function that the schedule calls has the memory and the time to build. A request is therefore a job
that waits for its next call. No other function needs the right to call it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict
from lookalike.domain.model import Caller, Job, JobStatus, Manifest
from lookalike.domain.ports import Catalog
from lookalike.usecases.jobs import error_code
from lookalike.usecases.leases import Leases

KIND = "rebuild"
WAITING, BUILDING = "waiting for the schedule", "building"
LEASE = "index rebuild"
BUSY = "The index is being rebuilt already: wait until that has finished"
MAX_JOBS = 100


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Requests and runs rebuilds. `builds_here` is false where another process, which a schedule calls, builds."""

    catalog: Catalog
    build: Callable[[], Manifest]
    leases: Leases
    builds_here: bool

    def request(self, caller: Caller, job_id: str) -> Manifest | None:
        """Rebuild the index, or let the next call of the schedule do it and return `None`.

        Raises `Conflict` if a rebuild waits or runs already, or if another version is published meanwhile.
        """
        if not self.builds_here and self.pending():
            raise Conflict("A rebuild was requested already: it begins with the next call of the schedule")
        self.catalog.start_job(job_id, KIND, caller)
        if not self.builds_here:
            self.catalog.set_job_stage(job_id, WAITING)
            return None
        manifest = self.run_pending()
        if manifest is None:
            self.catalog.finish_job(job_id, JobStatus.FAILED, Conflict.code)
            raise Conflict(BUSY)
        return manifest

    def pending(self) -> list[Job]:
        """Return the rebuilds that wait or run, newest first. One whose process has ended begins again."""
        return [job for job in self._unfinished() if not job.cancel_requested]

    def _unfinished(self) -> list[Job]:
        return self.catalog.list_running_jobs(MAX_JOBS, KIND)

    def run_pending(self) -> Manifest | None:
        """Build if a rebuild was requested and not canceled. `None` without one, or while another process builds.

        Raises the errors of the build, with which the request then has failed.
        """
        if not self._unfinished():
            return None
        with ExitStack() as stack:
            try:
                stack.enter_context(self.leases.hold(LEASE, BUSY, CancelToken()))
            except Conflict:
                return None
            # another process can have done it before this one had the lease
            for job in self._unfinished():
                if job.cancel_requested:
                    self.catalog.finish_job(job.id, JobStatus.CANCELLED)
            wanted = self.pending()
            return self._build(wanted) if wanted else None

    def _build(self, jobs: list[Job]) -> Manifest:
        for job in jobs:
            self.catalog.set_job_stage(job.id, BUILDING)
        try:
            manifest = self.build()
        except BaseException as error:
            for job in jobs:
                self.catalog.finish_job(job.id, JobStatus.FAILED, error_code(error))
            raise
        for job in jobs:
            self.catalog.finish_job(job.id, JobStatus.COMPLETED)
        return manifest
