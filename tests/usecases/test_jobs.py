"""Jobs: rows that any process can see and cancel."""

import time

import pytest

from lookalike.domain.errors import Cancelled, Conflict, DeadlineExceeded, InvalidImage, NotFound
from lookalike.domain.model import Caller, JobStatus
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from tests.fakes.catalog import FakeCatalog

ANNA, BERT = Caller(user="anna"), Caller(user="bert")
ADMIN = Caller(user="root", is_admin=True)
HERE, THERE = Caller(address="10.0.0.1"), Caller(address="10.0.0.2")


def made(seconds: float = 30) -> tuple[Jobs, FakeCatalog]:
    catalog = FakeCatalog()
    return Jobs(catalog, seconds), catalog


def ended(catalog: FakeCatalog, name: str = "job") -> JobStatus:
    job = catalog.job(name)
    assert job is not None
    return job.status


def test_a_job_shows_its_stage_and_is_completed() -> None:
    jobs, _ = made()
    with jobs.run_job("search", ANNA, "job") as work:
        work.enter_stage("embedding")
        time.sleep(0.3)
        running = jobs.get_job("job", ANNA)
        assert (running.status, running.stage, running.kind) == (JobStatus.PROCESSING, "embedding", "search")
    done = jobs.get_job("job", ANNA)
    assert done.status is JobStatus.COMPLETED and done.finished is not None
    assert "embedding" in work.stage_seconds


def test_a_job_that_raises_has_failed() -> None:
    jobs, catalog = made()
    with pytest.raises(InvalidImage), jobs.run_job("search", ANNA, "job"):
        raise InvalidImage("broken")
    assert ended(catalog) is JobStatus.FAILED


def test_a_row_cancelled_by_another_process_stops_the_work_soon() -> None:
    jobs, catalog = made()
    began = time.monotonic()
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job") as work:
        catalog.request_cancel("job")
        while time.monotonic() - began < 5:
            work.cancel.check()
            time.sleep(0.01)
    assert time.monotonic() - began < 2
    assert ended(catalog) is JobStatus.CANCELLED


def test_a_cancellation_at_the_last_moment_still_counts() -> None:
    jobs, catalog = made()
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job"):
        catalog.request_cancel("job")
    assert ended(catalog) is JobStatus.CANCELLED


def test_work_past_its_deadline_stops() -> None:
    jobs, catalog = made(seconds=0.05)
    with pytest.raises(DeadlineExceeded), jobs.run_job("search", ANNA, "job") as work:
        time.sleep(0.1)
        work.enter_stage("storing")
    assert ended(catalog) is JobStatus.FAILED


def test_the_token_calls_what_stops_a_model_also_when_time_runs_out() -> None:
    jobs, _ = made(seconds=0.2)
    stopped: list[float] = []
    with pytest.raises(DeadlineExceeded), jobs.run_job("search", ANNA, "job") as work:
        with work.cancel.on_cancel(lambda: stopped.append(time.monotonic())):
            time.sleep(0.8)
    assert stopped


def test_one_live_id_is_one_job() -> None:
    jobs, _ = made()
    with jobs.run_job("search", ANNA, "job"):
        with pytest.raises(Conflict), jobs.run_job("search", ANNA, "job"):
            raise AssertionError("must not begin")
    with jobs.run_job("search", ANNA, "job"):
        pass


def test_who_sees_and_cancels_whose_jobs() -> None:
    jobs, catalog = made()
    catalog.start_job("anna's", "search", ANNA)
    catalog.start_job("nobody's", "search", HERE)
    for stranger in (BERT, HERE):
        with pytest.raises(NotFound):
            jobs.get_job("anna's", stranger)
        with pytest.raises(NotFound):
            jobs.cancel_job("anna's", stranger)
    jobs.cancel_job("anna's", ADMIN)
    jobs.cancel_job("nobody's", THERE)
    assert catalog.cancel_requested(["anna's", "nobody's"]) == {"anna's", "nobody's"}
    assert [job.id for job in jobs.list_jobs(HERE)] == ["nobody's"] and jobs.list_jobs(THERE) == []


def test_cleaning_touches_the_callers_own_alone() -> None:
    jobs, catalog = made()
    for caller, name in ((ANNA, "a"), (BERT, "b")):
        catalog.start_job(name, "search", caller)
        catalog.finish_job(name, JobStatus.COMPLETED)
    assert jobs.delete_finished_jobs(ANNA, max_age=0) == 1
    assert catalog.job("a") is None and catalog.job("b") is not None


def test_an_ended_job_cannot_be_cancelled() -> None:
    jobs, _ = made()
    with jobs.run_job("search", ANNA, "job"):
        pass
    with pytest.raises(Conflict):
        jobs.cancel_job("job", ANNA)


def test_the_watch_survives_a_database_that_is_away() -> None:
    jobs, catalog = made()
    with pytest.raises(Cancelled), jobs.run_job("search", ANNA, "job") as work:
        catalog.is_unavailable = True
        time.sleep(0.4)
        catalog.is_unavailable = False
        catalog.request_cancel("job")
        time.sleep(0.5)
        work.cancel.check()


def test_ids_are_chosen_or_new() -> None:
    assert validate_or_create_job_id("mine") == "mine" and validate_or_create_job_id(None) != validate_or_create_job_id(
        None
    )
