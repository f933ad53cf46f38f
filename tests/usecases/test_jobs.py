"""Jobs: progress, cancellation by other processes, deadlines and access."""

import time
from collections.abc import Sequence

import pytest

from lookalike.domain.errors import Cancelled, Conflict, DeadlineExceeded, InvalidImage, NotFound
from lookalike.domain.model import Caller, JobStatus
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from tests.fakes.catalog import FakeCatalog

ANNA, BERT = Caller(user="anna"), Caller(user="bert")
ADMIN = Caller(user="root", is_admin=True)
ANONYMOUS, OTHER_ANONYMOUS = Caller(address="10.0.0.1"), Caller(address="10.0.0.2")


def make_jobs(time_limit: float = 30) -> tuple[Jobs, FakeCatalog]:
    catalog = FakeCatalog()
    return Jobs(catalog, time_limit), catalog


def status_of(catalog: FakeCatalog, job_id: str = "job") -> JobStatus:
    job = catalog.job(job_id)
    assert job is not None
    return job.status


def test_running_job_shows_its_stage_and_completes() -> None:
    jobs, _ = make_jobs()
    with jobs.run_job("search", ANNA, "job") as job:
        job.enter_stage("embedding")
        # longer than the poll interval, after which the row has the stage
        time.sleep(0.3)
        running = jobs.get_job("job", ANNA)
        assert (running.status, running.stage, running.kind) == (JobStatus.PROCESSING, "embedding", "search")
    finished = jobs.get_job("job", ANNA)
    assert finished.status is JobStatus.COMPLETED and finished.finished is not None
    assert "embedding" in job.stage_seconds


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidImage("broken"), "invalid_image"),
        (ValueError("secret"), "internal"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
@pytest.mark.parametrize("is_read_only", [True, False])
def test_job_fails_with_the_code_of_the_error_that_its_body_raises(
    error: BaseException, code: str, is_read_only: bool
) -> None:
    jobs, catalog = make_jobs()
    run_job = jobs.run_read_only_job if is_read_only else jobs.run_job
    with pytest.raises(type(error)), run_job("search", ANNA, "job"):
        raise error
    job = catalog.job("job")
    assert job and (job.status, job.error) == (JobStatus.FAILED, code)


def test_job_stops_soon_after_another_process_cancels_it() -> None:
    jobs, catalog = make_jobs()
    start = time.monotonic()
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job") as job:
        catalog.request_cancel("job")
        while time.monotonic() - start < 5:
            job.cancel_token.check()
            time.sleep(0.01)
    assert time.monotonic() - start < 2
    assert status_of(catalog) is JobStatus.CANCELLED


def test_cancellation_just_before_the_end_takes_effect() -> None:
    jobs, catalog = make_jobs()
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job"):
        catalog.request_cancel("job")
    assert status_of(catalog) is JobStatus.CANCELLED


def test_job_fails_after_its_deadline() -> None:
    jobs, catalog = make_jobs(time_limit=0.05)
    with pytest.raises(DeadlineExceeded), jobs.run_job("search", ANNA, "job") as job:
        time.sleep(0.1)
        job.enter_stage("storing")
    assert status_of(catalog) is JobStatus.FAILED


def test_job_that_its_transaction_completed_succeeds_also_after_its_deadline() -> None:
    jobs, catalog = make_jobs(time_limit=0.05)
    with jobs.run_job("upload", ANNA, "job"):
        catalog.finish_job("job", JobStatus.COMPLETED)
        time.sleep(0.1)
    assert status_of(catalog) is JobStatus.COMPLETED


def test_error_after_the_transaction_of_a_job_is_raised() -> None:
    jobs, catalog = make_jobs()
    with pytest.raises(InvalidImage), jobs.run_job("upload", ANNA, "job"):
        catalog.finish_job("job", JobStatus.COMPLETED)
        raise InvalidImage("after the commit")
    assert status_of(catalog) is JobStatus.COMPLETED


def test_deadline_calls_the_callbacks_of_the_token() -> None:
    """A model that waits inside a library call is stopped by such a callback."""
    jobs, _ = make_jobs(time_limit=0.2)
    calls: list[float] = []
    with pytest.raises(DeadlineExceeded), jobs.run_job("search", ANNA, "job") as job:
        with job.cancel_token.on_cancel(lambda: calls.append(time.monotonic())):
            time.sleep(0.8)
    assert calls


def test_id_of_a_running_job_cannot_be_reused() -> None:
    jobs, _ = make_jobs()
    with jobs.run_job("search", ANNA, "job"):
        with pytest.raises(Conflict), jobs.run_job("search", ANNA, "job"):
            raise AssertionError("the second job must not start")
    with jobs.run_job("search", ANNA, "job"):
        pass


def test_jobs_are_visible_to_owner_and_admin_and_anonymous_ones_to_all() -> None:
    jobs, catalog = make_jobs()
    catalog.start_job("anna's", "search", ANNA)
    catalog.start_job("anonymous", "search", ANONYMOUS)
    for caller in (BERT, ANONYMOUS):
        with pytest.raises(NotFound):
            jobs.get_job("anna's", caller)
        with pytest.raises(NotFound):
            jobs.cancel_job("anna's", caller)
    jobs.cancel_job("anna's", ADMIN)
    jobs.cancel_job("anonymous", OTHER_ANONYMOUS)
    assert catalog.cancel_requested(["anna's", "anonymous"]) == {"anna's", "anonymous"}
    assert [job.id for job in jobs.list_jobs(ANONYMOUS)] == ["anonymous"] and jobs.list_jobs(OTHER_ANONYMOUS) == []


def test_delete_finished_jobs_deletes_only_the_callers_own() -> None:
    jobs, catalog = make_jobs()
    for caller, job_id in ((ANNA, "a"), (BERT, "b")):
        catalog.start_job(job_id, "search", caller)
        catalog.finish_job(job_id, JobStatus.COMPLETED)
    assert jobs.delete_finished_jobs(ANNA, max_age=0) == 1
    assert catalog.job("a") is None and catalog.job("b") is not None


def test_finished_job_cannot_be_cancelled() -> None:
    jobs, _ = make_jobs()
    with jobs.run_job("search", ANNA, "job"):
        pass
    with pytest.raises(Conflict):
        jobs.cancel_job("job", ANNA)


def test_watcher_continues_after_a_database_failure() -> None:
    jobs, catalog = make_jobs()
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job") as job:
        catalog.is_unavailable = True
        time.sleep(0.4)
        catalog.is_unavailable = False
        catalog.request_cancel("job")
        time.sleep(0.5)
        job.cancel_token.check()


def test_job_id_is_the_requested_one_or_a_new_one() -> None:
    assert validate_or_create_job_id("mine") == "mine"
    assert validate_or_create_job_id(None) != validate_or_create_job_id(None)


def make_jobs_with_deferred_writes() -> tuple[Jobs, FakeCatalog]:
    catalog = FakeCatalog()
    return Jobs(catalog, 30, DeferredWrites()), catalog


def test_row_of_a_fast_read_only_job_is_written_after_its_end() -> None:
    jobs, catalog = make_jobs_with_deferred_writes()
    with jobs.run_read_only_job("search", ANNA, "job"):
        assert catalog.job("job") is None
    job = jobs.get_job("job", ANNA)
    assert (job.status, job.kind, job.owner) == (JobStatus.COMPLETED, "search", "anna")
    assert job.finished is not None and job.created <= job.finished
    assert jobs.list_jobs(ANNA) == [job]


def test_row_of_a_failed_read_only_job_is_written_after_its_end() -> None:
    jobs, _ = make_jobs_with_deferred_writes()
    with pytest.raises(InvalidImage), jobs.run_read_only_job("search", ANNA, "job"):
        raise InvalidImage("broken")
    assert jobs.get_job("job", ANNA).status is JobStatus.FAILED


def test_slow_read_only_job_becomes_visible_and_can_be_cancelled() -> None:
    jobs, catalog = make_jobs_with_deferred_writes()
    start = time.monotonic()
    with pytest.raises(Cancelled), jobs.run_read_only_job("search", ANNA, "job") as job:
        job.enter_stage("embedding")
        while not catalog.request_cancel("job") and time.monotonic() - start < 5:
            time.sleep(0.01)
        while time.monotonic() - start < 5:
            job.cancel_token.check()
            time.sleep(0.01)
    assert time.monotonic() - start < 2
    assert status_of(catalog) is JobStatus.CANCELLED


def test_read_only_job_with_an_id_of_the_caller_is_visible_at_once() -> None:
    jobs, catalog = make_jobs_with_deferred_writes()
    with jobs.run_read_only_job("search", ANNA, "job", is_new_id=False):
        assert status_of(catalog) is JobStatus.PROCESSING
        with pytest.raises(Conflict), jobs.run_read_only_job("search", ANNA, "job", is_new_id=False):
            pass
    assert status_of(catalog) is JobStatus.COMPLETED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_cancellation_works_again_after_an_unexpected_error(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, catalog = make_jobs()
    is_broken = True

    def cancel_requested(job_ids: Sequence[str]) -> set[str]:
        if is_broken:
            raise RuntimeError("a bug")
        return FakeCatalog.cancel_requested(catalog, job_ids)

    monkeypatch.setattr(catalog, "cancel_requested", cancel_requested)
    with jobs.run_job("search", ANNA, "first"):
        time.sleep(0.3)
    is_broken = False
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job") as job:
        catalog.request_cancel("job")
        for _ in range(500):
            job.cancel_token.check()
            time.sleep(0.01)
