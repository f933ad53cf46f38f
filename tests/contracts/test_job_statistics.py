"""Contract of the port `Catalog`: figures about jobs of a period."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.job_statistics import JobCount, JobErrorCount
from lookalike.domain.model import Job, JobStatus
from lookalike.domain.ports import Catalog
from tests.contracts.rows import ANNA, BERT, few_examples, serial
from tests.fakes.jobs import percentile

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
COMPLETED, FAILED, CANCELLED = JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED


def finished(started: datetime, seconds: float, kind: str = "search", status: JobStatus = COMPLETED) -> Job:
    end = started + timedelta(seconds=seconds)
    return Job(f"job-{next(serial)}", kind, "anna", "", status, "", False, started, end, end)


def test_counts_are_by_hour_kind_and_status(catalog: Catalog) -> None:
    minute = timedelta(minutes=1)
    catalog.add_finished_jobs(
        [
            finished(NOON - minute, 1),
            finished(NOON, 1),
            finished(NOON + 59.99 * minute, 400),
            finished(NOON + 5 * minute, 1, status=FAILED),
            finished(NOON + 60 * minute, 1, "upload", CANCELLED),
        ]
    )
    assert catalog.job_counts(NOON) == [
        JobCount(NOON, "search", COMPLETED, 2),
        JobCount(NOON, "search", FAILED, 1),
        JobCount(NOON + 60 * minute, "upload", CANCELLED, 1),
    ]
    assert sum(group.count for group in catalog.job_counts(NOON - minute)) == 5
    assert catalog.job_counts(NOON + 61 * minute) == []


def test_durations_are_of_completed_jobs_by_kind(catalog: Catalog) -> None:
    jobs = [finished(NOON, seconds) for seconds in (0.25, 4, 1)]
    jobs += [finished(NOON, 100, status=FAILED), finished(NOON, 2.5, "upload"), finished(NOON - timedelta(1), 50)]
    catalog.add_finished_jobs(jobs)
    catalog.start_job("running", "search", ANNA)
    (search, upload) = catalog.job_durations(NOON)
    assert (search.kind, search.count, upload.kind, upload.count) == ("search", 3, "upload", 1)
    assert search.median == pytest.approx(1, abs=0.002) and search.p95 == pytest.approx(4, abs=0.002)
    assert upload.median == upload.p95 == pytest.approx(2.5, abs=0.002)
    assert catalog.job_durations(datetime.now(UTC)) == []


def test_errors_of_failed_jobs_are_counted_by_kind_the_most_frequent_first(catalog: Catalog) -> None:
    jobs = [finished(NOON, 1, kind, FAILED) for kind in ("upload", "search", "search", "search")]
    jobs = [replace(job, error=error) for job, error in zip(jobs, ("busy", "internal", "internal", None), strict=True)]
    catalog.add_finished_jobs([*jobs, finished(NOON, 1), replace(jobs[0], id="early", created=NOON - timedelta(1))])
    for name, status in (("failed", FAILED), ("canceled", CANCELLED)):
        catalog.start_job(name, "recut", ANNA)
        catalog.finish_job(name, status, "conflict")
    assert catalog.job_error_counts(NOON) == [
        JobErrorCount("search", "internal", 2),
        JobErrorCount("recut", "conflict", 1),
        JobErrorCount("search", None, 1),
        JobErrorCount("upload", "busy", 1),
    ]
    canceled, failed = catalog.job("canceled"), catalog.job("failed")
    assert canceled and failed and (canceled.error, failed.error) == (None, "conflict")
    assert catalog.job_error_counts(datetime.now(UTC) + timedelta(hours=1)) == []


@few_examples
@given(seconds=st.lists(st.integers(0, 5000), min_size=1, max_size=45))
def test_percentiles_are_nearest_ranks(catalog: Catalog, seconds: list[int]) -> None:
    kind = f"kind-{next(serial)}"
    catalog.add_finished_jobs([finished(NOON, value / 10, kind) for value in seconds])
    (of_kind,) = [group for group in catalog.job_durations(NOON) if group.kind == kind]
    for value, share in ((of_kind.median, 0.5), (of_kind.p95, 0.95)):
        assert value == pytest.approx(percentile(seconds, share) / 10, abs=0.002)


def test_running_jobs_are_of_all_callers_newest_first(catalog: Catalog) -> None:
    for name, caller in (("one", ANNA), ("two", BERT), ("done", ANNA)):
        catalog.start_job(name, "search", caller)
    catalog.finish_job("done", COMPLETED)
    assert [job.id for job in catalog.list_running_jobs()] == ["two", "one"]
    assert [job.id for job in catalog.list_running_jobs(1)] == ["two"]
    catalog.start_job("three", "rebuild", ANNA)
    assert [job.id for job in catalog.list_running_jobs(kind="rebuild")] == ["three"]
    assert [job.id for job in catalog.list_running_jobs(1, "search")] == ["two"]
