"""Figures about jobs, each by one query."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, String, and_, case, cast, func, select, text

from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.tables import jobs
from lookalike.adapters.catalog.values import to_naive_utc
from lookalike.domain.job_statistics import JobCount, JobDurations, JobErrorCount
from lookalike.domain.model import JobStatus

HOUR_LENGTH = len("2026-11-29 10")
"""Characters of the date and the hour in a time as text."""


class JobStatisticQueries(Database):
    """Queries of the port `Catalog` about jobs of a period."""

    @read_transaction
    def job_counts(self, tx: Connection, since: datetime) -> list[JobCount]:
        """Return the number of jobs that started since that time, by hour, kind and status, in this order."""
        # Both databases write a time as text in the same form.
        hour = func.substr(cast(jobs.c.create_time, String), 1, HOUR_LENGTH)
        groups = (hour, jobs.c.kind, jobs.c.status)
        query = select(*groups, func.count()).where(*_started_since(since)).group_by(*groups).order_by(*groups)
        return [
            JobCount(datetime.strptime(hour, "%Y-%m-%d %H").replace(tzinfo=UTC), kind, JobStatus(status), count)
            for hour, kind, status, count in tx.execute(query)
        ]

    @read_transaction
    def job_error_counts(self, tx: Connection, since: datetime) -> list[JobErrorCount]:
        """Return the number of failed jobs that started since that time, by kind and error, the most frequent first."""
        is_failed = jobs.c.status == JobStatus.FAILED.value
        groups, count = (jobs.c.kind, jobs.c.error), func.count().label("number")
        query = select(*groups, count).where(*_started_since(since), is_failed).group_by(*groups)
        found = [JobErrorCount(*row) for row in tx.execute(query)]
        return sorted(found, key=lambda one: (-one.count, one.kind, one.error or ""))

    @read_transaction
    def job_durations(self, tx: Connection, since: datetime) -> list[JobDurations]:
        """Return median and 95th percentile of the durations of completed jobs that started since that time, by kind."""
        is_completed = jobs.c.status == JobStatus.COMPLETED.value
        by_kind = (jobs.c.kind, _seconds(tx).label("seconds"))
        finished = (
            select(*by_kind).where(*_started_since(since), is_completed, jobs.c.finish_time.is_not(None)).subquery()
        )
        rank = func.row_number().over(partition_by=finished.c.kind, order_by=finished.c.seconds)
        size = func.count().over(partition_by=finished.c.kind)
        ranked = select(finished, rank.label("rank_number"), size.label("size")).subquery()
        percentiles = (func.max(case((_is_percentile(ranked.c, percent), ranked.c.seconds))) for percent in (50, 95))
        query = select(ranked.c.kind, ranked.c.size, *percentiles).group_by(ranked.c.kind, ranked.c.size)
        rows: Iterator[Any] = iter(tx.execute(query.order_by(ranked.c.kind)))
        return [JobDurations(kind, count, float(median), float(p95)) for kind, count, median, p95 in rows]


def _started_since(since: datetime) -> tuple[ColumnElement[bool], ...]:
    moment = to_naive_utc(since)
    # A job is not updated before it starts, and only the time of the update has an index.
    return jobs.c.update_time >= moment, jobs.c.create_time >= moment


def _seconds(tx: Connection) -> ColumnElement[Any]:
    """Return the duration of a finished job."""
    start, end = jobs.c.create_time, jobs.c.finish_time
    if tx.dialect.name == "sqlite":
        return (func.julianday(end, type_=Float) - func.julianday(start, type_=Float)) * 86_400
    return func.timestampdiff(text("MICROSECOND"), start, end, type_=Float) / 1e6


def _is_percentile(row: Any, percent: int) -> ColumnElement[bool]:
    """Match the row at the smallest rank that at least `percent` of the rows do not exceed."""
    needed = percent * row.size
    return and_(100 * row.rank_number >= needed, 100 * (row.rank_number - 1) < needed)
