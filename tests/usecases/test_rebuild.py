"""Rebuilds that administrators request, built at once or by the next call of the schedule."""

from datetime import timedelta

import pytest

from lookalike.domain.errors import Conflict, Unavailable
from lookalike.domain.model import Caller, Job, JobStatus, Manifest
from lookalike.usecases.claims import Claims
from lookalike.usecases.leases import Leases
from lookalike.usecases.rebuild import BUILDING, WAITING, Rebuild
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import IndexHarness, unit_vectors

ADMIN = Caller("anna", is_admin=True)


class RebuildHarness(IndexHarness):
    """Rebuilds of an index with one row."""

    def __init__(self, builds_here: bool) -> None:
        super().__init__()
        self.add_rows(unit_vectors(1))
        self.store_of_leases = FakeStore()
        self.rebuild = self.open(builds_here)
        self.builds = 0

    def open(self, builds_here: bool) -> Rebuild:
        leases = Leases(Claims(self.store_of_leases, timedelta(seconds=60)))
        return Rebuild(self.catalog, self.build, leases, builds_here)

    def build(self) -> Manifest:
        self.builds += 1
        return self.reindex.build()

    def job(self, job_id: str = "mine") -> Job:
        job = self.catalog.job(job_id)
        assert job is not None
        return job


@pytest.fixture
def cloud() -> RebuildHarness:
    return RebuildHarness(builds_here=False)


@pytest.fixture
def local() -> RebuildHarness:
    return RebuildHarness(builds_here=True)


def test_server_that_builds_itself_answers_with_the_version(local: RebuildHarness) -> None:
    manifest = local.rebuild.request(ADMIN, "mine")
    assert manifest and local.versions.current().version == manifest.version  # type: ignore[union-attr]
    assert local.job().status is JobStatus.COMPLETED and local.rebuild.pending() == []


def test_request_waits_for_the_next_call_of_the_schedule(cloud: RebuildHarness) -> None:
    schedule = cloud.open(builds_here=False)
    assert schedule.run_pending() is None and cloud.builds == 0
    assert cloud.rebuild.request(ADMIN, "mine") is None and cloud.builds == 0
    assert (cloud.job().status, cloud.job().stage) == (JobStatus.PROCESSING, WAITING)
    with pytest.raises(Conflict, match="requested already"):
        cloud.rebuild.request(ADMIN, "second")
    manifest = schedule.run_pending()
    assert manifest and manifest.rows == 1
    assert (cloud.job().status, cloud.job().stage) == (JobStatus.COMPLETED, BUILDING)
    assert schedule.run_pending() is None and cloud.builds == 1


def test_canceled_request_is_not_built(cloud: RebuildHarness) -> None:
    cloud.rebuild.request(ADMIN, "mine")
    cloud.catalog.request_cancel("mine")
    assert cloud.rebuild.pending() == [] and cloud.rebuild.run_pending() is None
    assert cloud.job().status is JobStatus.CANCELLED and cloud.builds == 0
    cloud.rebuild.request(ADMIN, "mine")
    cloud.catalog.request_cancel("mine")
    cloud.rebuild.request(ADMIN, "other")
    assert cloud.rebuild.run_pending() and cloud.builds == 1
    assert (cloud.job().status, cloud.job("other").status) == (JobStatus.CANCELLED, JobStatus.COMPLETED)


@pytest.mark.parametrize("builds_here", [True, False])
def test_request_fails_with_the_error_of_the_build(builds_here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = RebuildHarness(builds_here)

    def fail(self: object) -> Manifest:
        raise Unavailable("The store cannot be reached")

    monkeypatch.setattr("lookalike.usecases.reindex.Reindex.build", fail)
    with pytest.raises(Unavailable):
        harness.rebuild.request(ADMIN, "mine")
        harness.rebuild.run_pending()
    assert (harness.job().status, harness.job().error) == (JobStatus.FAILED, "unavailable")
    monkeypatch.undo()
    assert harness.rebuild.run_pending() is None, "the schedule does not try again by itself"
    harness.rebuild.request(ADMIN, "again")


def test_request_of_a_process_that_has_ended_begins_again(cloud: RebuildHarness) -> None:
    cloud.rebuild.request(ADMIN, "mine")
    cloud.catalog.set_job_stage("mine", BUILDING)
    assert cloud.rebuild.run_pending() and cloud.job().status is JobStatus.COMPLETED


def test_two_processes_do_not_build_at_the_same_time(local: RebuildHarness) -> None:
    def build_while_another_is_asked() -> Manifest:
        other = local.open(builds_here=True)
        assert other.run_pending() is None
        with pytest.raises(Conflict, match="being rebuilt"):
            other.request(ADMIN, "second")
        return local.build()

    first = Rebuild(local.catalog, build_while_another_is_asked, local.rebuild.leases, True)
    assert first.request(ADMIN, "mine") and local.builds == 1
    assert (local.job("second").status, local.job("second").error) == (JobStatus.FAILED, "conflict")
    assert local.job().status is JobStatus.COMPLETED
