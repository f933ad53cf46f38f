"""Stage times: how long each stage of a request takes.

`measure_stages` starts the measurement of a request in the current thread. Below it, `stage` and `enter_stage` measure;
without it, and in other threads, they do nothing. Work that a request hands to a thread pool is therefore measured once,
by the stage in which the request waits for it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """Measured stages. The names are those of the header `Server-Timing`, of the logs and of traces."""

    JOB = "job"
    """Writing of the job's row, at its start and at its end."""
    CLAIM = "claim"
    """An upload waits for others of the same name, and checks whether the name is free."""
    DECODE = "decode"
    QUEUE = "queue"
    """Waiting for the models. Not part of `detect` and `embed`."""
    DETECT = "detect"
    EMBED = "embed"
    SEARCH = "search"
    """Search in the index."""
    ROWS = "rows"
    """Reading of rows from the catalog. Not part of `search`."""
    PICTURES = "pictures"
    """Fetching of stored images, or signing of their addresses."""
    ENCODE = "encode"
    """Cutting out and encoding of the garments' images."""
    STORE = "store"
    """Writing of objects and rows."""


@dataclass(slots=True, eq=False)
class StageInterval:
    """One run of a stage. `start` and `end` are values of the clock; `parent` is the interval that contains it."""

    stage: Stage
    start: float
    parent: "StageInterval | None"
    end: float = 0.0
    is_open: bool = True
    nested_seconds: float = 0.0
    """Duration of the intervals directly inside this one."""

    @property
    def seconds(self) -> float:
        """Duration without the intervals inside."""
        # rounding errors could make it negative
        return max(0.0, self.end - self.start - self.nested_seconds)


@dataclass(slots=True, eq=False)
class StageTimes:
    """Stages of one request, measured in the thread that handles it."""

    clock: Callable[[], float] = time.monotonic
    start: float = 0.0
    """Value of the clock at the start of the request."""
    intervals: list[StageInterval] = field(default_factory=list)
    """In the order of their starts."""
    _open: StageInterval | None = None

    def enter(self, stage: Stage) -> StageInterval:
        """Start an interval inside the open one."""
        self._open = StageInterval(stage, self.clock(), self._open)
        self.intervals.append(self._open)
        return self._open

    def leave(self, interval: StageInterval) -> None:
        """End an interval, and those inside it that are still open. Does nothing if it has ended."""
        while interval.is_open and self._open:
            self._close(self._open)

    def leave_all(self) -> None:
        """End all intervals that are still open."""
        while self._open:
            self._close(self._open)

    def _close(self, interval: StageInterval) -> None:
        interval.end, interval.is_open, self._open = self.clock(), False, interval.parent
        if interval.parent:
            interval.parent.nested_seconds += interval.end - interval.start

    def seconds(self) -> dict[Stage, float]:
        """Return the seconds of each measured stage, without those of nested stages, in the order of `Stage`."""
        totals: dict[Stage, float] = {}
        for interval in self.intervals:
            totals[interval.stage] = totals.get(interval.stage, 0.0) + interval.seconds
        return {stage: totals[stage] for stage in Stage if stage in totals}


_current: ContextVar[StageTimes | None] = ContextVar("stage_times", default=None)


@contextmanager
def measure_stages() -> Iterator[StageTimes]:
    """Measure the stages inside the context. All are ended at its end."""
    times = StageTimes(start=time.monotonic())
    token = _current.set(times)
    try:
        yield times
    finally:
        _current.reset(token)
        times.leave_all()


def enter_stage(stage: Stage) -> Callable[[], None]:
    """Start a stage, and return the function that ends it."""
    times = _current.get()
    if times is None:
        return lambda: None
    interval = times.enter(stage)
    return lambda: times.leave(interval)


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Measure the body of the `with` statement as a stage."""
    leave = enter_stage(name)
    try:
        yield
    finally:
        leave()
