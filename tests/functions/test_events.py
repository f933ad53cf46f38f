"""Storage events: at least once and in any order, with one result for each object, that of its newest version."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.model import LedgerStatus, StoredObject
from lookalike.http.handlers.events import FINALIZED
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import SUPERSEDED_REASON
from tests.conftest import jpeg
from tests.fakes.catalog import FakeCatalog
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
PHOTO, OTHER = jpeg(sample_photo(3)), jpeg(sample_photo(8))
NAME = "incoming/Summer Dress.jpg"


def put(real: Services, data: bytes, name: str = NAME) -> StoredObject:
    there = real.store.stat(name)
    return real.store.put(name, data, "image/jpeg", there.generation if there else 0)


def fields(stored: StoredObject, **others: str) -> dict[str, str]:
    return {"bucket": "shop", "name": stored.path, "generation": str(stored.generation), **others}


def headers(**others: str) -> dict[str, str]:
    source = "//storage.googleapis.com/projects/_/buckets/shop"
    known = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": source, "ce-type": FINALIZED}
    return known | {f"ce-{name}": value for name, value in others.items()}


def send(client: Client, data: Any, **others: str) -> int:
    return client("ingest").post("/", json=data, headers=headers(**others)).status_code


def photos(real: Services) -> set[str]:
    found = real.catalog.changes(real.models.embedder, 0).row_ids.tolist()
    return {one.photo for one in real.catalog.segments(found).values()}


def noted(real: Services, name: str = NAME) -> list[tuple[LedgerStatus, str | None, str | None]]:
    return [(one.status, one.photo, one.reason) for one in real.catalog.ledger_entries("shop", [name])]


def test_an_event_delivered_ten_times_has_one_result(client: Client, real: Services) -> None:
    event = fields(put(real, PHOTO))
    for _ in range(3):
        assert send(client, event) == 204
    assert photos(real) == {"incoming-Summer_Dress"}
    assert noted(real) == [(LedgerStatus.DONE, "incoming-Summer_Dress", None)]


def test_ten_deliveries_at_once_have_one_result(client: Client, real: Services) -> None:
    event = fields(put(real, PHOTO))
    call = client("ingest")
    with ThreadPoolExecutor(10) as pool:
        sent = pool.map(lambda _: call.application.test_client().post("/", json=event, headers=headers()), range(10))
        assert {one.status_code for one in sent} == {204}
    assert photos(real) == {"incoming-Summer_Dress"} and len(noted(real)) == 1


def test_structured_mode_too(client: Client, real: Services) -> None:
    event = {name.removeprefix("ce-"): value for name, value in headers().items()}
    body = json.dumps({**event, "data": fields(put(real, PHOTO))})
    said = client("ingest").post("/", data=body, content_type="application/cloudevents+json")
    assert said.status_code == 204 and photos(real) == {"incoming-Summer_Dress"}


def test_an_overwritten_object_replaces_its_result(client: Client, real: Services) -> None:
    for data in (PHOTO, OTHER):
        assert send(client, fields(put(real, data))) == 204
    assert len(photos(real)) == 1
    (photo,) = photos(real)
    assert real.catalog.segments_of_photo(photo) and real.store.get(f"{photo}/segment_0.png")
    assert len([one for one in noted(real) if one[1]]) == 2


@pytest.mark.parametrize("old_first", [True, False])
def test_events_of_overwritten_versions_have_no_result(client: Client, real: Services, old_first: bool) -> None:
    old = fields(put(real, PHOTO))
    new = fields(put(real, OTHER))
    for event in (old, new) if old_first else (new, old):
        assert send(client, event) == 204
    assert photos(real) == {"incoming-Summer_Dress"}
    assert noted(real) == [
        (LedgerStatus.DONE, None, SUPERSEDED_REASON),
        (LedgerStatus.DONE, "incoming-Summer_Dress", None),
    ]


def test_an_object_overwritten_while_it_is_taken_leaves_nothing_of_the_old(client: Client, real: Services) -> None:
    from lookalike.usecases.ingest import Source

    old = put(real, PHOTO)
    source = Source("shop", NAME, str(old.generation))
    real.ingest.ingest(source, PHOTO, is_current=lambda: False)
    assert photos(real) == set() and noted(real) == [(LedgerStatus.DONE, None, SUPERSEDED_REASON)]


def test_what_is_erased_takes_its_object_along(client: Client, real: Services, admin: dict[str, str]) -> None:
    """That came with all its metadata; and neither an event that comes again nor a sweep brings the photo back."""
    stored = put(real, PHOTO)
    assert send(client, fields(stored)) == 204
    (name,) = photos(real)
    said = client("detail").delete(f"/splitted_images/by_original/{name}", headers=admin)
    assert said.status_code == 200 and list(real.store.list()) == []
    assert send(client, fields(stored)) == 204 and photos(real) == set()
    again = put(real, PHOTO)
    assert send(client, fields(again)) == 204 and photos(real) == {name}


def test_a_deleted_object_has_no_result(client: Client, real: Services) -> None:
    event = fields(put(real, PHOTO))
    real.store.delete(NAME)
    assert send(client, event) == 204 and photos(real) == set()


def test_own_output_and_folders_are_let_be(client: Client, real: Services) -> None:
    for name in ("look/segment_0.png", "index/current.json", "incoming.jpg", "look/incoming/x.jpg"):
        assert send(client, fields(put(real, PHOTO, name))) == 204
    assert send(client, {"bucket": "shop", "name": "incoming/", "generation": "7"}) == 204
    assert send(client, fields(put(real, PHOTO)), type="google.cloud.storage.object.v1.deleted") == 204
    assert photos(real) == set() and noted(real) == []


@pytest.mark.parametrize("data", [b"", b"no photo", PHOTO[:4000], bytes(MAX_BYTES + 1)])
def test_what_can_never_be_taken_is_noted_and_acknowledged(client: Client, real: Services, data: bytes) -> None:
    event = fields(put(real, data))
    for _ in range(2):
        assert send(client, event) == 204
    ((status, photo, reason),) = noted(real)
    assert status is LedgerStatus.FAILED and photo is None and reason
    assert photos(real) == set()


def test_an_event_of_the_day_before_yesterday_is_noted_as_failed(client: Client, real: Services) -> None:
    late = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    assert send(client, fields(put(real, PHOTO)), time=late) == 204
    assert noted(real)[0][0] is LedgerStatus.FAILED and photos(real) == set()
    recent = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert send(client, fields(put(real, PHOTO, "incoming/b.jpg")), time=recent) == 204
    assert photos(real) == {"incoming-b"}


def test_what_may_pass_comes_again(client: Client, real: Services) -> None:
    event = fields(put(real, PHOTO))
    catalog = real.built["catalog"] = FakeCatalog()
    catalog.is_unavailable = True
    said = client("ingest").post("/", json=event, headers=headers())
    assert said.status_code == 503 and said.headers["Retry-After"]
    catalog.is_unavailable = False
    assert send(client, event) == 204 and photos(real) == {"incoming-Summer_Dress"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b'{"name": "incoming/x"}', b'{"bucket": "b", "name": "", "generation": 1}']
    + [b'{"bucket": "b", "name": "incoming/x", "generation": "many"}', b'{"bucket": 1, "name": 2, "generation": -3}'],
)
def test_what_is_no_event_is_refused(client: Client, body: bytes) -> None:
    call = client("ingest")
    assert call.post("/", data=body, headers=headers(), content_type="application/json").status_code == 400
    assert call.post("/", data=body, content_type="application/json").status_code == 400
    assert call.post("/", data=body, content_type="application/cloudevents+json").status_code == 400


def test_an_event_must_come_from_the_platform(client: Client, real: Services) -> None:
    event = fields(put(real, PHOTO))
    said = client("ingest").post("/", json=event, headers=headers(), environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert said.status_code == 401 and "ce-" not in said.get_data(as_text=True)


def test_in_the_cloud_only_the_named_accounts_may_send_events(
    client: Client, real: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud Run has verified the token, and taken its signature away."""
    trigger, settings = "trigger@shop.iam.gserviceaccount.com", real.settings
    event = fields(put(real, PHOTO))
    call = client("ingest")
    cloud = settings.model_copy(update={"k_service": "ingest", "platform_accounts": f"other@x, {trigger}"})
    for account, accounts, status in (
        (trigger, cloud.platform_accounts, 204),
        ("stranger@gmail.com", cloud.platform_accounts, 401),
        (trigger, "", 401),
    ):
        real.settings = cloud.model_copy(update={"platform_accounts": accounts})
        token = jwt.encode({"email": account}, "k" * 32, "HS256").rsplit(".", 1)[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"
        said = call.post("/", json=event, headers={**headers(), "Authorization": f"Bearer {token}"})
        assert said.status_code == status, account
    real.settings = cloud
    assert call.post("/", json=event, headers=headers()).status_code == 401, "the loopback is nobody there"
