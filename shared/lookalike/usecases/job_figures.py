"""Figures of the last day, from the rows of the jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lookalike.domain.job_statistics import JobCount, JobDurations, JobErrorCount
from lookalike.domain.ports import Catalog, Clock
from lookalike.usecases.deferred_writes import DeferredWrites

PERIOD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Jobs that started from `since` to `until`, durations of completed jobs, and reasons of failed ones."""

    since: datetime
    until: datetime
    counts: Sequence[JobCount]
    durations: Sequence[JobDurations]
    errors: Sequence[JobErrorCount]


@dataclass(frozen=True, slots=True)
class JobFigures:
    """Counts the jobs of all users. Jobs whose rows were deleted are not counted."""

    catalog: Catalog
    clock: Clock
    deferred: DeferredWrites
    """Rows of searches that are not written yet."""

    def last_day(self) -> DayFigures:
        """Return the figures of the last 24 hours."""
        self.deferred.wait()
        until = self.clock()
        since = until - PERIOD
        catalog = self.catalog
        return DayFigures(
            since,
            until,
            catalog.job_counts(since),
            catalog.job_durations(since),
            catalog.job_error_counts(since),
        )
