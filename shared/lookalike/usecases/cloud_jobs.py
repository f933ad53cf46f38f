"""Start a job in the cloud and follow it to its end."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lookalike.domain.errors import LookalikeError, Unavailable
from lookalike.domain.ports.batch_jobs import BatchJobs, JobExecution

log = logging.getLogger("lookalike.cloud_jobs")
POLL_SECONDS = 5.0
MAX_FAILED_POLLS = 24
"""Requests for the state that may fail one after the other: two minutes. The job runs on meanwhile."""


@dataclass(frozen=True, slots=True)
class CloudJobs:
    """Runs jobs as tasks in the cloud. `sleep` waits a number of seconds."""

    jobs: BatchJobs
    sleep: Callable[[float], object] = time.sleep

    def start(self, job: str, arguments: Sequence[str], tasks: int | None = None) -> JobExecution:
        """Start an execution; see `BatchJobs.start`."""
        return self.jobs.start(job, arguments, tasks)

    def follow(self, execution: JobExecution, progress: Callable[[JobExecution], object]) -> JobExecution:
        """Wait until an execution has ended, and return its last state.

        `progress` is called with each state. Raises `LookalikeError` if a task failed or the execution was cancelled, and
        `Unavailable` if the state cannot be read for two minutes.
        """
        failed_polls = 0
        while not execution.is_done:
            self.sleep(POLL_SECONDS)
            try:
                execution, failed_polls = self.jobs.read(execution.name), 0
            except Unavailable:
                failed_polls += 1
                if failed_polls > MAX_FAILED_POLLS:
                    raise
                log.warning("The state of a job could not be read", exc_info=True)
                continue
            progress(execution)
        if not execution.has_succeeded:
            raise LookalikeError(_describe_failure(execution))
        return execution


def _describe_failure(execution: JobExecution) -> str:
    name = execution.name.rpartition("/")[2]
    counts = f"{execution.succeeded} of {execution.tasks} tasks succeeded, {execution.failed} failed"
    counts += f", {execution.cancelled} were cancelled" if execution.cancelled else ""
    reason = f" {execution.message}" if execution.message else ""
    log_address = f" Log: {execution.log_address}" if execution.log_address else ""
    return f"{name} did not succeed: {counts}.{reason} Start the command again to continue.{log_address}"
