"""Contract of the port `BatchJobs`."""

from collections.abc import Iterator

import pytest
import requests

from lookalike.adapters.cloud_run_jobs import CloudRunJobs
from lookalike.domain.errors import NotFound
from lookalike.domain.ports.batch_jobs import BatchJobs
from tests.emulators.cloud_run import emulate_cloud_run
from tests.fakes.batch_jobs import FakeBatchJobs

LOCATION = "projects/shop/locations/europe-west1"


@pytest.fixture(params=["fake", "cloud_run"])
def jobs(request: pytest.FixtureRequest) -> Iterator[BatchJobs]:
    """Jobs with one job of three tasks, whose second task fails."""
    if request.param == "fake":
        yield FakeBatchJobs({"bulk": 3}, failing={1})
        return
    with emulate_cloud_run({f"{LOCATION}/jobs/bulk": 3}) as emulator:
        emulator.failing = {1}
        yield CloudRunJobs(LOCATION, requests.Session, emulator.url)


def test_execution_can_be_followed_to_its_failure(jobs: BatchJobs) -> None:
    state = jobs.start("bulk", ["ingest", "gs://photos/"])
    assert (state.tasks, state.finished, state.is_done, state.has_succeeded) == (3, 0, False, False)
    states = [state := jobs.read(state.name) for _ in range(4)]
    assert [(one.succeeded, one.failed, one.running) for one in states] == [(1, 0, 2), (1, 1, 1), (2, 1, 0), (2, 1, 0)]
    assert [one.is_done for one in states] == [False, False, False, True]
    assert not state.has_succeeded and "fail" in state.message and state.log_address


def test_number_of_tasks_can_be_chosen_for_an_execution(jobs: BatchJobs) -> None:
    state = jobs.start("bulk", ["ingest"], tasks=1)
    assert state.tasks == 1
    jobs.read(state.name)
    end = jobs.read(state.name)
    assert end.is_done and end.has_succeeded and end.message == ""


def test_unknown_job_and_execution_are_not_found(jobs: BatchJobs) -> None:
    with pytest.raises(NotFound):
        jobs.start("other", [])
    name = jobs.start("bulk", []).name
    with pytest.raises(NotFound):
        jobs.read(f"{name}9")
