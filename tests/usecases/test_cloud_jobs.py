"""Jobs in the cloud: following an execution to its end."""

import pytest

from lookalike.domain.errors import LookalikeError, NotFound, Unavailable
from lookalike.usecases.cloud_jobs import MAX_FAILED_POLLS, POLL_SECONDS, CloudJobs
from tests.fakes.batch_jobs import FakeBatchJobs


def follow(fake: FakeBatchJobs) -> tuple[list[int], list[float]]:
    """Start a job and follow it. Returns the finished tasks of each state, and the waiting times."""
    waits, finished = list[float](), list[int]()
    jobs = CloudJobs(fake, waits.append)
    jobs.follow(jobs.start("bulk", []), lambda state: finished.append(state.finished))
    return finished, waits


def test_follow_reports_each_state_until_the_end() -> None:
    assert follow(FakeBatchJobs({"bulk": 2})) == ([1, 2, 2], [POLL_SECONDS] * 3)


def test_follow_tolerates_two_minutes_without_a_response() -> None:
    fake = FakeBatchJobs({"bulk": 1})
    jobs = CloudJobs(fake, lambda _: None)
    execution = jobs.start("bulk", [])
    fake.errors = [Unavailable("away")] * MAX_FAILED_POLLS
    assert jobs.follow(execution, lambda _: None).has_succeeded
    fake.errors = [Unavailable("away")] * (MAX_FAILED_POLLS + 1)
    with pytest.raises(Unavailable):
        jobs.follow(jobs.start("bulk", []), lambda _: None)


def test_failed_tasks_raise_with_counts_reason_and_log() -> None:
    with pytest.raises(
        LookalikeError, match=r"bulk-1 did not succeed: 2 of 3 tasks succeeded, 1 failed. A task failed.*log"
    ):
        follow(FakeBatchJobs({"bulk": 3}, failing={0}))


def test_other_errors_end_the_following() -> None:
    fake = FakeBatchJobs({"bulk": 1})
    jobs = CloudJobs(fake, lambda _: None)
    execution = jobs.start("bulk", [])
    fake.errors = [NotFound("gone")]
    with pytest.raises(NotFound):
        jobs.follow(execution, lambda _: None)
