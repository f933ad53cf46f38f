"""Cloud Run's jobs: requests, errors and credentials."""

from collections.abc import Iterator

import pytest
import requests
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from lookalike.adapters.cloud_run_jobs import CloudRunJobs
from lookalike.domain.errors import Forbidden, LookalikeError, Unauthenticated, Unavailable
from tests.emulators.cloud_run import CloudRun, emulate_cloud_run

LOCATION = "projects/shop/locations/europe-west1"


@pytest.fixture
def emulator() -> Iterator[CloudRun]:
    with emulate_cloud_run({f"{LOCATION}/jobs/bulk": 3}) as running:
        yield running


def test_arguments_and_tasks_are_overrides(emulator: CloudRun) -> None:
    jobs = CloudRunJobs(LOCATION, requests.Session, emulator.url)
    jobs.start("bulk", ["ingest", "gs://photos/"], 7)
    jobs.start("bulk", ["reembed"])
    assert emulator.started == [
        {"containerOverrides": [{"args": ["ingest", "gs://photos/"]}], "taskCount": 7},
        {"containerOverrides": [{"args": ["reembed"]}]},
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Unauthenticated), (403, Forbidden), (429, Unavailable), (503, Unavailable), (400, LookalikeError)],
)
def test_statuses_become_errors_with_googles_message(
    emulator: CloudRun, status: int, error: type[LookalikeError]
) -> None:
    emulator.statuses = [status]
    with pytest.raises(error, match="Try again"):
        CloudRunJobs(LOCATION, requests.Session, emulator.url).start("bulk", [])


def test_unreachable_server_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="ConnectionError"):
        CloudRunJobs(LOCATION, requests.Session, "http://127.0.0.1:9").start("bulk", [])


def test_missing_credentials_say_how_to_sign_in() -> None:
    def fail() -> requests.Session:
        raise DefaultCredentialsError

    class Expired(requests.Session):
        def request(self, *arguments: object, **options: object) -> requests.Response:
            raise RefreshError("the token has expired")

    for open_session in (fail, Expired):
        with pytest.raises(Unauthenticated, match="gcloud auth application-default login"):
            CloudRunJobs(LOCATION, open_session).start("bulk", [])
