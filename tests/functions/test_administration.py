"""Routes for administrators: corrections of garments, index versions, models, running jobs, figures, and API keys."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike import images
from lookalike.adapters.supabase_accounts import SupabaseAccounts
from lookalike.bootstrap import Services, services
from lookalike.domain.model import Caller, JobStatus
from tests.conftest import jpeg
from tests.emulators.auth_server import auth_server
from tests.functions.harness import PHOTO, Client, search_photo, upload_photo
from tests.sample_photos import sample_photo


def test_recut_changes_what_searches_compare_with(client: Client, admin: dict[str, str], real: Services) -> None:
    segment = upload_photo(client, admin, image_name="look").get_json()["data"]["segments"][0]
    real.reindex.build()
    photo = Image.open(io.BytesIO(client("detail").get("/originals/look", headers=admin).data))
    box = [photo.width // 2, photo.height // 2, photo.width + 50, photo.height]
    part = jpeg(photo.crop((box[0], box[1], photo.width, photo.height)))
    before = search_photo(client, part, num=1).get_json()["results"][0]["similarity"]
    response = client("upload").post("/recut/look_segment_0", json={"bounding_box": box, "label": "bag"}, headers=admin)
    changed = response.get_json()["data"]
    assert response.status_code == 200, response.get_json()
    assert changed["id"] == segment["id"] and changed["label"] == "bag"
    assert changed["bounding_box"] == [box[0], box[1], photo.width, photo.height]
    after = search_photo(client, part, num=1).get_json()["results"][0]
    assert after["id"] == segment["id"] and after["similarity"] > max(before, 0.9)
    thumbnail = images.read_image(client("detail").get("/thumbnails/look_segment_0").data)
    assert thumbnail.width / thumbnail.height == pytest.approx((photo.width - box[0]) / (photo.height - box[1]), 0.05)
    assert real.catalog.referenced_paths([segment["splitted_image_path"]]) == set()
    assert real.store.stat(segment["splitted_image_path"]) is None


def test_recut_explains_what_is_wrong(client: Client, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEP_ORIGINALS", "false")
    services.cache_clear()
    upload_photo(client, admin, image_name="look")
    upload, body = client("upload"), {"bounding_box": [0, 0, 30, 30]}
    response = upload.post("/recut/look_segment_0", json=body, headers=admin)
    assert response.status_code == 409 and "KEEP_ORIGINALS" in response.get_json()["message"]
    assert upload.post("/recut/unknown", json=body, headers=admin).status_code == 404
    assert upload.post("/recut/look_segment_0", json={}, headers=admin).status_code == 422
    original = client("detail").get("/originals/look", headers=admin)
    assert original.status_code == 404 and "KEEP_ORIGINALS" in original.get_json()["message"]


def test_index_versions_and_rollback(client: Client, admin: dict[str, str], real: Services) -> None:
    relay, upload = client("relay"), client("upload")
    empty = relay.get("/index_versions", headers=admin).get_json()["data"]
    assert empty["version"] is None and empty["versions"] == [] and empty["recall"] is None
    assert upload.post("/index_versions/rollback", json={}, headers=admin).status_code == 404
    upload_photo(client, admin, image_name="one")
    old = real.reindex.build()
    upload_photo(client, admin, jpeg(sample_photo(8)), image_name="two")
    new = real.reindex.build()
    rolled_back = upload.post("/index_versions/rollback", json={"version": old.version}, headers=admin).get_json()
    assert rolled_back["data"]["version"] == old.version
    services.cache_clear()
    state = client("relay").get("/index_versions", headers=admin).get_json()["data"]
    assert state["version"] == old.version and state["is_pinned"] and state["embedder"] == old.embedder
    assert [(one["version"], one["is_current"]) for one in state["versions"]] == [
        (new.version, False),
        (old.version, True),
    ]
    assert state["tail_rows"] == new.rows - old.rows > 0 and state["rows"] == new.rows
    assert upload.post("/index_versions/rollback", json={"version": "../x"}, headers=admin).status_code == 422
    assert upload.post("/index_versions/rollback", json={"version": "unknown"}, headers=admin).status_code == 404


def test_index_is_rebuilt_at_once_by_a_local_server(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_photo(client, admin, image_name="one")
    old = real.reindex.build()
    client("upload").post("/index_versions/rollback", json={"version": old.version}, headers=admin)
    response = client("upload").post("/index_versions/rebuild", headers=admin)
    version = response.get_json()["data"]["version"]
    assert response.status_code == 202 and version not in (None, old.version)
    state = client("relay").get("/index_versions", headers=admin).get_json()["data"]
    assert state["version"] == version and not state["is_pinned"] and state["rebuild"] is None
    assert client("upload").post("/index_versions/rebuild").status_code == 401


def test_index_is_rebuilt_in_the_cloud_by_the_next_call_of_the_schedule(
    client: Client, admin: dict[str, str], real: Services
) -> None:
    """The function that the administrator calls needs no right to call the private one that builds."""
    upload_photo(client, admin, image_name="one")
    upload, relay, cancel = client("upload"), client("relay"), client("cancel")
    real.lazy_values["rebuild"] = replace(real.rebuild, builds_here=False)
    headers = {**admin, "X-Request-Id": "mine"}
    response = upload.post("/index_versions/rebuild", headers=headers)
    assert response.status_code == 202 and response.get_json()["data"] == {"id": "mine", "version": None}
    assert upload.post("/index_versions/rebuild", headers=admin).status_code == 409
    rebuild = relay.get("/index_versions", headers=admin).get_json()["data"]["rebuild"]
    assert (rebuild["id"], rebuild["stage"]) == ("mine", "waiting for the schedule") and rebuild["requested"]
    (job,) = cancel.get("/jobs", headers=admin).get_json()["data"]
    assert (job["id"], job["kind"]) == ("mine", "rebuild")
    manifest = client("reindex").post("/reindex").get_json()["data"]
    assert manifest["rows"] > 0
    status = cancel.get("/request_status/mine", headers=admin).get_json()
    assert (status["status"], status["error_code"]) == ("completed", None)
    assert relay.get("/index_versions", headers=admin).get_json()["data"]["rebuild"] is None
    assert client("reindex").post("/reindex").get_json()["data"] is None


def test_models_and_what_a_change_needs(client: Client, admin: dict[str, str], real: Services) -> None:
    row_id = upload_photo(client, admin, image_name="one").get_json()["data"]["segments"][0]["id"]
    real.reembed.secondary_vectors.add_vectors("dinov2-vits14-lvd142m", {row_id: np.ones(384, np.float32)})
    data = client("relay").get("/models", headers=admin).get_json()["data"]
    assert data["current"]["name"] == real.models.embedder and data["current"]["garments_without_vector"] == 0
    others = {one["name"]: one for one in data["others"]}
    dinov2 = others.pop("dinov2-vits14-lvd142m")
    assert dinov2["garments_without_vector"] == data["garments"] - 1
    assert dinov2["command"] == "lookalike reembed --models full --embedder dinov2"
    (resnet,) = others.values()
    assert resnet["garments_without_vector"] == data["garments"] > 0 and resnet["dim"] == 2048


def test_running_jobs_of_all_users_can_be_canceled(client: Client, admin: dict[str, str], real: Services) -> None:
    real.catalog.start_job("of-bert", "search", Caller("bert", address="203.0.113.9"))
    real.catalog.start_job("over", "upload", Caller("bert"))
    real.catalog.finish_job("over", JobStatus.FAILED)
    cancel = client("cancel")
    (job,) = cancel.get("/jobs", headers=admin).get_json()["data"]
    assert (job["id"], job["kind"], job["owner"], job["address"]) == ("of-bert", "search", "bert", "203.0.113.9")
    assert job["age"] >= 0 and job["cancel_requested"] is False
    assert cancel.post("/cancel_request/of-bert", headers=admin).status_code == 200
    (job,) = cancel.get("/jobs", headers=admin).get_json()["data"]
    assert job["cancel_requested"] is True


def test_statistics_count_jobs_by_kind_and_hour(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_photo(client, admin, image_name="one")
    for _ in range(2):
        search_photo(client, PHOTO)
    client("relay").post("/relay_image", json={"image_base64": "AAAA"})
    real.catalog.start_job("running", "search", Caller("bert"))
    data = client("cancel").get("/statistics", headers=admin).get_json()["data"]
    kinds = {one["kind"]: one for one in data["kinds"]}
    counts = {name: kinds["search"][name] for name in ("completed", "failed", "cancelled", "processing")}
    assert counts == {"completed": 2, "failed": 1, "cancelled": 0, "processing": 1}
    assert 0 < kinds["search"]["median_seconds"] <= kinds["search"]["p95_seconds"]
    assert kinds["upload"]["completed"] == 1
    assert data["errors"] == [{"kind": "search", "error": "invalid_image", "count": 1}]
    assert sum(hour["completed"] for hour in data["hours"] if hour["kind"] == "search") == 2


def test_accounts_are_listed_in_pages(client: Client, admin: dict[str, str], real: Services) -> None:
    auth, password = client("auth"), "correct horse"
    for name in ("ada", "bob", "eve"):
        auth.post("/api/auth/register", json={"email": f"{name}@example.org", "password": password})
    real.accounts.set_role("bob@example.org", "admin")
    assert auth.post("/api/auth/login", json={"email": "ada@example.org", "password": password}).status_code == 200
    first = auth.get("/accounts?limit=2", headers=admin).get_json()
    last = auth.get(f"/accounts?limit=2&cursor={first['cursor']}", headers=admin).get_json()
    assert [(one["email"], one["role"]) for one in first["data"] + last["data"]] == [
        ("ada@example.org", "user"),
        ("bob@example.org", "admin"),
        ("eve@example.org", "user"),
    ]
    assert first["data"][0]["last_sign_in"] and first["data"][1]["last_sign_in"] is None and last["cursor"] is None
    assert auth.get("/accounts").status_code == 401
    assert auth.get("/accounts?cursor=0", headers=admin).status_code == 422


def test_accounts_of_supabase_need_the_service_key(
    client: Client, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with auth_server() as server:
        monkeypatch.setitem(services().lazy_values, "accounts", SupabaseAccounts(server.url, server.PUBLIC))
        response = client("auth").get("/accounts", headers=admin)
    body = response.get_json()
    assert response.status_code == 500 and body["error"]["code"] == "misconfigured"
    assert "SUPABASE_SERVICE_KEY" in body["message"] and "lookalike users list" in body["message"]


def test_keys_cannot_create_keys_of_administrators(client: Client, admin: dict[str, str]) -> None:
    auth = client("auth")
    text = auth.post("/api_keys", json={"role": "admin"}, headers=admin).get_json()["data"]["key"]
    bearer = {"Authorization": f"Bearer {text}"}
    refused = auth.post("/api_keys", json={"role": "admin"}, headers=bearer)
    assert refused.status_code == 403 and "sign in as an administrator" in refused.get_json()["message"]
    assert auth.post("/api_keys", json={"role": "search"}, headers=bearer).status_code == 201


def test_keys_are_created_listed_and_revoked(client: Client, admin: dict[str, str]) -> None:
    auth = client("auth")
    wanted = {"name": "shop", "filter": {"brand": "Ost", "score": {"min": 0.5}}, "origins": ["https://shop.example"]}
    response = auth.post("/api_keys", json=wanted, headers=admin)
    created = response.get_json()["data"]
    text = created.pop("key")
    assert response.status_code == 201 and text.startswith("lk_") and created["filter"] == wanted["filter"]
    assert created["expires"] is not None
    endless = auth.post("/api_keys", json={"valid_days": None}, headers=admin).get_json()["data"]
    assert endless["expires"] is None and endless["requests_per_minute"] == 600
    listing = auth.get("/api_keys", headers=admin)
    assert created in listing.get_json()["data"] and text not in listing.get_data(as_text=True)
    bearer = {"Authorization": f"Bearer {text}"}
    assert client("detail").get("/thumbnails/x", headers=bearer).status_code == 404
    revoked = auth.delete(f"/api_keys/{created['id']}", headers=admin).get_json()["data"]
    assert revoked["revoked"] is not None
    assert client("detail").get("/thumbnails/x", headers=bearer).status_code == 401
    assert auth.delete("/api_keys/unknown", headers=admin).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "owner"},
        {"role": "admin", "filter": {"brand": "Ost"}},
        {"filter": {"unknown": 1}},
        {"origins": ["shop.example"]},
        {"valid_days": 0},
        {"requests_per_minute": -1},
    ],
)
def test_wrong_keys_are_refused(client: Client, admin: dict[str, str], wrong: dict[str, object]) -> None:
    response = client("auth").post("/api_keys", json=wrong, headers=admin)
    assert response.status_code == 422 and response.get_json()["error"]["details"]["field"] in wrong
