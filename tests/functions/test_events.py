"""Storage events arrive at least once and in any order. Each object has one result: that of its newest version."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from lookalike.bootstrap import Services
from lookalike.domain.model import LedgerStatus, StoredObject
from lookalike.http.handlers.events import FINALIZED
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import SUPERSEDED_REASON, Source
from tests.fakes.catalog import FakeCatalog
from tests.functions.harness import OTHER_PHOTO, PHOTO, REMOTE, Client

NAME = "incoming/Summer Dress.jpg"


def put(real: Services, data: bytes, name: str = NAME) -> StoredObject:
    """Write or overwrite an object."""
    existing = real.store.stat(name)
    return real.store.put(name, data, "image/jpeg", existing.generation if existing else 0)


def event_data(stored: StoredObject) -> dict[str, str]:
    """Return the data of an event for an object."""
    return {"bucket": "shop", "name": stored.path, "generation": str(stored.generation)}


def event_headers(**others: str) -> dict[str, str]:
    """Return the headers of an event in binary mode."""
    source = "//storage.googleapis.com/projects/_/buckets/shop"
    attributes = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": source, "ce-type": FINALIZED}
    return attributes | {f"ce-{name}": value for name, value in others.items()}


def send_event(client: Client, data: Any, **others: str) -> int:
    """Send an event and return the status."""
    return client("ingest").post("/", json=data, headers=event_headers(**others)).status_code


def stored_photos(real: Services) -> set[str]:
    """Return the names of all stored photos."""
    row_ids = real.catalog.changes(real.models.embedder, 0).row_ids.tolist()
    return {segment.photo for segment in real.catalog.segments(row_ids).values()}


def ledger(real: Services, name: str = NAME) -> list[tuple[LedgerStatus, str | None, str | None]]:
    """Return status, photo and reason of each ledger entry of an object."""
    return [(entry.status, entry.photo, entry.reason) for entry in real.catalog.ledger_entries("shop", [name])]


def test_repeated_event_has_one_result(client: Client, real: Services) -> None:
    event = event_data(put(real, PHOTO))
    for _ in range(3):
        assert send_event(client, event) == 204
    assert stored_photos(real) == {"incoming-Summer_Dress"}
    assert ledger(real) == [(LedgerStatus.DONE, "incoming-Summer_Dress", None)]


def test_event_of_an_object_outside_of_the_store_is_ignored(client: Client, real: Services) -> None:
    """The bucket can have other stores: the same name means another object in each."""
    # the local store is opened before the settings name another one
    event = event_data(put(real, PHOTO))
    real.settings = real.settings.model_copy(update={"store_url": "gs://shop/closet"})
    assert send_event(client, event) == 204
    assert ledger(real) == [] and stored_photos(real) == set()
    assert send_event(client, {**event, "name": f"closet/{NAME}"}) == 204
    assert stored_photos(real) == {"incoming-Summer_Dress"}


def test_concurrent_deliveries_have_one_result(client: Client, real: Services) -> None:
    event = event_data(put(real, PHOTO))
    application = client("ingest").application

    def deliver(_: int) -> int:
        return application.test_client().post("/", json=event, headers=event_headers()).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(deliver, range(10))) == {204}
    assert stored_photos(real) == {"incoming-Summer_Dress"} and len(ledger(real)) == 1


def test_structured_mode_is_accepted(client: Client, real: Services) -> None:
    event = {name.removeprefix("ce-"): value for name, value in event_headers().items()}
    body = json.dumps({**event, "data": event_data(put(real, PHOTO))})
    response = client("ingest").post("/", data=body, content_type="application/cloudevents+json")
    assert response.status_code == 204 and stored_photos(real) == {"incoming-Summer_Dress"}


@pytest.mark.parametrize("missing", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
def test_event_without_a_required_header_is_rejected(client: Client, real: Services, missing: str) -> None:
    headers = event_headers()
    del headers[missing]
    response = client("ingest").post("/", json=event_data(put(real, PHOTO)), headers=headers)
    assert response.status_code == 400 and response.get_json()["error"]["details"] == {"missing": [missing]}
    assert stored_photos(real) == set()


def test_structured_event_with_the_content_type_of_binary_mode_is_rejected(client: Client, real: Services) -> None:
    event = {name.removeprefix("ce-"): value for name, value in event_headers().items()}
    response = client("ingest").post("/", json={**event, "data": event_data(put(real, PHOTO))})
    assert response.status_code == 400 and "ce-specversion" in response.get_json()["message"]
    assert stored_photos(real) == set()


@pytest.mark.parametrize("changed", [{"id": 5}, {"source": ""}, {"specversion": "2"}, {"time": "noon"}, {"data": None}])
def test_structured_event_with_an_invalid_attribute_is_rejected(
    client: Client, real: Services, changed: dict[str, Any]
) -> None:
    event = {name.removeprefix("ce-"): value for name, value in event_headers().items()}
    body = json.dumps({**event, "data": event_data(put(real, PHOTO)), **changed})
    response = client("ingest").post("/", data=body, content_type="application/cloudevents+json")
    assert response.status_code == 400 and stored_photos(real) == set()


def test_overwritten_object_replaces_its_result(client: Client, real: Services) -> None:
    for data in (PHOTO, OTHER_PHOTO):
        assert send_event(client, event_data(put(real, data))) == 204
    assert len(stored_photos(real)) == 1
    (photo,) = stored_photos(real)
    assert real.catalog.segments_of_photo(photo) and real.store.get(f"{photo}/segment_0.png")
    assert len([photo for _, photo, _ in ledger(real) if photo]) == 2


@pytest.mark.parametrize("old_first", [True, False])
def test_event_of_overwritten_version_has_no_result(client: Client, real: Services, old_first: bool) -> None:
    old = event_data(put(real, PHOTO))
    new = event_data(put(real, OTHER_PHOTO))
    for event in (old, new) if old_first else (new, old):
        assert send_event(client, event) == 204
    assert stored_photos(real) == {"incoming-Summer_Dress"}
    assert ledger(real) == [
        (LedgerStatus.DONE, None, SUPERSEDED_REASON),
        (LedgerStatus.DONE, "incoming-Summer_Dress", None),
    ]


def test_object_overwritten_during_ingestion_leaves_nothing_of_the_old_version(client: Client, real: Services) -> None:
    old = put(real, PHOTO)
    new = event_data(put(real, OTHER_PHOTO))
    # its version was checked before the object was overwritten
    (photo,) = {real.ingest.ingest(Source("shop", NAME, str(old.generation)), PHOTO).photo}
    assert send_event(client, new) == 204
    assert photo and not real.catalog.segments_of_photo(photo) and len(stored_photos(real)) == 1


def test_repeated_event_deletes_the_photo_that_a_killed_process_left(client: Client, real: Services) -> None:
    """Two processes stored a version each, and were killed before they deleted the older photo."""
    old = put(real, PHOTO)
    new = put(real, OTHER_PHOTO)
    sources = [Source("shop", NAME, str(stored.generation)) for stored in (old, new)]
    for source, data in zip(sources, (PHOTO, OTHER_PHOTO), strict=True):
        real.ingest.store_photo(f"photo-{source.generation}", data, source=source)
    assert send_event(client, event_data(old)) == 204
    assert stored_photos(real) == {f"photo-{new.generation}"}


def test_erasure_deletes_the_source_object_and_ignores_repeated_events(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    """Only a new upload of the object brings the photo back."""
    stored = put(real, PHOTO)
    assert send_event(client, event_data(stored)) == 204
    (name,) = stored_photos(real)
    response = client("detail").delete(f"/splitted_images/by_original/{name}", headers=admin)
    assert response.status_code == 200 and list(real.store.list()) == []
    assert send_event(client, event_data(stored)) == 204 and stored_photos(real) == set()
    again = put(real, PHOTO)
    assert send_event(client, event_data(again)) == 204 and stored_photos(real) == {name}


def test_deleted_object_has_no_result(client: Client, real: Services) -> None:
    event = event_data(put(real, PHOTO))
    real.store.delete(NAME)
    assert send_event(client, event) == 204 and stored_photos(real) == set()


def test_own_objects_folders_and_other_event_types_are_ignored(client: Client, real: Services) -> None:
    for name in ("look/segment_0.png", "index/current.json", "incoming.jpg", "look/incoming/x.jpg"):
        assert send_event(client, event_data(put(real, PHOTO, name))) == 204
    assert send_event(client, {"bucket": "shop", "name": "incoming/", "generation": "7"}) == 204
    assert send_event(client, event_data(put(real, PHOTO)), type="google.cloud.storage.object.v1.deleted") == 204
    assert stored_photos(real) == set() and ledger(real) == []


@pytest.mark.parametrize("data", [b"", b"no photo", PHOTO[:4000], bytes(MAX_BYTES + 1)])
def test_invalid_photo_is_recorded_as_failed_and_acknowledged(client: Client, real: Services, data: bytes) -> None:
    event = event_data(put(real, data))
    for _ in range(2):
        assert send_event(client, event) == 204
    ((status, photo, reason),) = ledger(real)
    assert status is LedgerStatus.FAILED and photo is None and reason
    assert stored_photos(real) == set()


def test_event_older_than_a_day_is_recorded_as_failed(client: Client, real: Services) -> None:
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    assert send_event(client, event_data(put(real, PHOTO)), time=old) == 204
    assert ledger(real)[0][0] is LedgerStatus.FAILED and stored_photos(real) == set()
    recent = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert send_event(client, event_data(put(real, PHOTO, "incoming/b.jpg")), time=recent) == 204
    assert stored_photos(real) == {"incoming-b"}


def test_event_is_retried_after_database_outage(client: Client, real: Services) -> None:
    event = event_data(put(real, PHOTO))
    catalog = real.lazy_values["catalog"] = FakeCatalog()
    catalog.is_unavailable = True
    response = client("ingest").post("/", json=event, headers=event_headers())
    assert response.status_code == 503 and response.headers["Retry-After"]
    catalog.is_unavailable = False
    assert send_event(client, event) == 204 and stored_photos(real) == {"incoming-Summer_Dress"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b'{"name": "incoming/x"}', b'{"bucket": "b", "name": "", "generation": 1}']
    + [b'{"bucket": "b", "name": "incoming/x", "generation": "many"}', b'{"bucket": 1, "name": 2, "generation": -3}'],
)
def test_malformed_event_is_rejected(client: Client, body: bytes) -> None:
    ingest = client("ingest")
    assert ingest.post("/", data=body, headers=event_headers(), content_type="application/json").status_code == 400
    assert ingest.post("/", data=body, content_type="application/json").status_code == 400
    assert ingest.post("/", data=body, content_type="application/cloudevents+json").status_code == 400


def test_event_from_another_machine_is_rejected(client: Client, real: Services) -> None:
    event = event_data(put(real, PHOTO))
    response = client("ingest").post("/", json=event, headers=event_headers(), environ_overrides=REMOTE)
    assert response.status_code == 401 and response.get_json()["error"]["code"] == "unauthenticated"
    assert ledger(real) == []


def test_on_cloud_run_only_platform_accounts_may_send_events(
    client: Client, real: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud Run verifies the token and replaces its signature by a fixed text."""
    trigger, settings = "trigger@shop.iam.gserviceaccount.com", real.settings
    event = event_data(put(real, PHOTO))
    ingest = client("ingest")
    cloud = settings.model_copy(update={"k_service": "ingest", "platform_accounts": f"other@x, {trigger}"})
    for account, accounts, status in (
        (trigger, cloud.platform_accounts, 204),
        ("unknown@gmail.com", cloud.platform_accounts, 401),
        (trigger, "", 401),
    ):
        real.settings = cloud.model_copy(update={"platform_accounts": accounts})
        token = jwt.encode({"email": account}, "k" * 32, "HS256").rsplit(".", 1)[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"
        response = ingest.post("/", json=event, headers={**event_headers(), "Authorization": f"Bearer {token}"})
        assert response.status_code == status, account
    real.settings = cloud
    assert ingest.post("/", json=event, headers=event_headers()).status_code == 401, (
        "the loopback address has no rights on Cloud Run"
    )
