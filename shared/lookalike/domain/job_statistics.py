"""Figures about jobs."""

from dataclasses import dataclass
from datetime import datetime

from lookalike.domain.model import JobStatus


@dataclass(frozen=True, slots=True)
class JobCount:
    """Number of jobs of one kind and status that started in one hour."""

    hour: datetime
    """Start of the hour, in UTC."""
    kind: str
    status: JobStatus
    count: int


@dataclass(frozen=True, slots=True)
class JobErrorCount:
    """Number of failed jobs of one kind with one reason."""

    kind: str
    error: str | None
    """Code of the error, as `Job.error`."""
    count: int


@dataclass(frozen=True, slots=True)
class JobDurations:
    """Durations of the completed jobs of one kind, in seconds with a resolution of about a millisecond."""

    kind: str
    count: int
    median: float
    """The smallest duration that at least half of the jobs did not exceed."""
    p95: float
    """The smallest duration that at least 95 % of the jobs did not exceed."""
