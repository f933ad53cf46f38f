"""Port of jobs that run as several tasks in the cloud."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class JobExecution:
    """State of one execution of a job."""

    name: str
    tasks: int
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    """Tasks that failed for good, after all their retries."""
    cancelled: int = 0
    retried: int = 0
    """Attempts of tasks that were started again."""
    is_done: bool = False
    has_succeeded: bool = False
    message: str = ""
    """Why the execution failed; empty otherwise."""
    log_address: str = ""
    """Address of a page with the log of all tasks; empty if there is none yet."""

    @property
    def finished(self) -> int:
        """Number of tasks that have ended."""
        return self.succeeded + self.failed + self.cancelled


class BatchJobs(Protocol):
    """Starts jobs that are deployed and reads the state of their executions."""

    def start(self, job: str, arguments: Sequence[str], tasks: int | None = None) -> JobExecution:
        """Start an execution of a job with other arguments, and with its own number of tasks if `tasks` is `None`.

        Raises `NotFound` if there is no such job, `Forbidden` without the permission, and `Unavailable`, after which the
        execution may have been started or not.
        """
        ...

    def read(self, execution: str) -> JobExecution:
        """Return the state of an execution. Raises `NotFound`, `Forbidden` and `Unavailable`."""
        ...
