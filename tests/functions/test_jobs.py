"""Cancelling, listing and deleting jobs."""

import pytest

from lookalike.adapters.catalog import SqlCatalog
from lookalike.bootstrap import Services
from lookalike.domain.model import Caller, JobStatus, User
from tests.conftest import bearer_header
from tests.functions.harness import PHOTO, Client, encode_base64


@pytest.mark.parametrize("path", ["/relay_image", "/split_image"])
def test_cancelled_job_responds_with_status_cancelled(
    client: Client, real: Services, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The cancellation arrives while the job finishes, as from another process."""
    finish = SqlCatalog.finish_job

    def cancel_and_finish(self: SqlCatalog, job: str, status: JobStatus, error: str | None) -> JobStatus:
        real.jobs.cancel_job(job, Caller())
        return finish(self, job, status, error)

    monkeypatch.setattr(SqlCatalog, "finish_job", cancel_and_finish)
    function = "relay" if path == "/relay_image" else "upload"
    response = client(function).post(path, json={"image_base64": encode_base64(PHOTO), "request_id": "mine"})
    body = response.get_json()
    assert (response.status_code, body["success"]) == (200, False)
    assert (body["status"], body["request_id"]) == ("cancelled", "mine")
    assert "results" not in body and "data" not in body


def test_users_cannot_list_or_delete_jobs_of_others(client: Client, real: Services) -> None:
    cancel = client("cancel")
    real.catalog.start_job("berts", "search", Caller("bert"))
    clara = bearer_header(real, User("clara", "c@example.org"))
    assert cancel.get("/request_status/recent", headers=clara).get_json()["requests"] == []
    assert cancel.post("/cleanup_requests", json={"max_age_seconds": 0}, headers=clara).status_code == 200
    assert real.catalog.job("berts") is not None
    bert = bearer_header(real, User("bert", "b@example.org"))
    assert cancel.post("/cancel_request/berts", headers=bert).get_json()["success"]


def test_id_of_a_running_job_conflicts(client: Client, real: Services) -> None:
    real.catalog.start_job("mine", "search", Caller())
    body = {"image_base64": encode_base64(PHOTO), "request_id": "mine"}
    response = client("relay").post("/relay_image", json=body)
    assert response.status_code == 409 and response.get_json()["request_id"] == "mine"
