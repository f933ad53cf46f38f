"""Fake jobs in the cloud."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lookalike.domain.errors import LookalikeError, NotFound
from lookalike.domain.ports.batch_jobs import JobExecution


@dataclass
class FakeBatchJobs:
    """Jobs whose tasks end one after the other, one with each call of `read`.

    `jobs`: default number of tasks by name. `errors`: raised by the next calls. `failing`: indexes of tasks that fail.
    """

    jobs: dict[str, int]
    errors: list[LookalikeError] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    started: list[tuple[str, ...]] = field(default_factory=list)
    executions: dict[str, JobExecution] = field(default_factory=dict)

    def start(self, job: str, arguments: Sequence[str], tasks: int | None = None) -> JobExecution:
        """Start an execution."""
        self._raise_error()
        if job not in self.jobs:
            raise NotFound(f"There is no job {job}")
        name = f"{job}-{len(self.executions) + 1}"
        self.started.append(tuple(arguments))
        self.executions[name] = JobExecution(name, tasks or self.jobs[job], log_address="log")
        return self.executions[name]

    def read(self, execution: str) -> JobExecution:
        """Return the state, after one more task has ended."""
        self._raise_error()
        state = self.executions.get(execution)
        if state is None:
            raise NotFound(f"There is no execution {execution}")
        if state.finished < state.tasks:
            running = state.tasks - state.finished - 1
            if state.finished in self.failing:
                state = replace(state, failed=state.failed + 1, running=running)
            else:
                state = replace(state, succeeded=state.succeeded + 1, running=running)
        else:
            message = "A task failed" if state.failed else ""
            state = replace(state, running=0, is_done=True, has_succeeded=not state.failed, message=message)
        self.executions[execution] = state
        return state

    def _raise_error(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
