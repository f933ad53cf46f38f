"""The ingestion ledger over HTTP: pages, counts and rates, and retries of failures."""

from dataclasses import replace
from typing import Any

import pytest

from lookalike.bootstrap import Services
from lookalike.domain.model import LedgerStatus, StoredObject
from lookalike.usecases.ingest import Source
from tests.functions.harness import OTHER_PHOTO, PHOTO, Client


def put(real: Services, name: str, data: bytes) -> StoredObject:
    """Write or overwrite an object."""
    existing = real.store.stat(name)
    return real.store.put(name, data, "image/jpeg", existing.generation if existing else 0)


def ingest(real: Services, name: str, data: bytes) -> Source:
    """Write an object and ingest it, as for its event."""
    source = Source(real.settings.bucket, name, str(put(real, name, data).generation))
    real.bucket_ingest.ingest_version(source)
    return source


def get(client: Client, admin: dict[str, str], query: str = "") -> dict[str, Any]:
    response = client("detail").get(f"/ingestions{query}", headers=admin)
    assert response.status_code == 200, response.get_data(as_text=True)
    body: dict[str, Any] = response.get_json()
    return body


def retry(client: Client, admin: dict[str, str], **fields: Any) -> dict[str, Any]:
    response = client("upload").post("/ingestions/retry", json=fields, headers=admin)
    assert response.status_code == 200, response.get_data(as_text=True)
    body: dict[str, Any] = response.get_json()
    return body


def test_ingestions_are_listed_with_state_reason_and_rate(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    good, bad = ingest(real, "incoming/good.jpg", PHOTO), ingest(real, "incoming/bad.jpg", b"no photo")
    body = get(client, admin)
    entries = {entry["name"]: entry for entry in body["data"]}
    assert entries[good.name]["photo"] == "incoming-good" and entries[good.name]["reason"] is None
    assert entries[good.name]["generation"] == good.generation
    assert entries[bad.name]["state"] == "failed" and entries[bad.name]["reason"]
    assert body["counts"] == {"done": 1, "failed": 1} and body["cursor"] is None
    assert body["photos_per_minute"] == {"last_minute": 1.0, "last_10_minutes": 0.1, "last_60_minutes": 0.02}
    failed = get(client, admin, "?state=failed&prefix=incoming/")
    assert [entry["name"] for entry in failed["data"]] == [bad.name] and failed["counts"] == body["counts"]
    assert get(client, admin, "?bucket=other")["counts"] == {"done": 0, "failed": 0}


def test_pages_of_ingestions_follow_the_cursor(client: Client, real: Services, admin: dict[str, str]) -> None:
    for number in range(5):
        real.ingest.record_failure(Source("shop", f"{number}.jpg", "1"), "broken")
    names, body = list[str](), get(client, admin, "?limit=2")
    names += [entry["name"] for entry in body["data"]]
    while body["cursor"]:
        body = get(client, admin, f"?limit=2&cursor={body['cursor']}")
        names += [entry["name"] for entry in body["data"]]
    assert sorted(names) == [f"{number}.jpg" for number in range(5)]


@pytest.mark.parametrize("query", ["?cursor=x", "?limit=0", "?limit=501", "?state=lost", "?bucket="])
def test_invalid_selection_is_rejected(client: Client, admin: dict[str, str], query: str) -> None:
    response = client("detail").get(f"/ingestions{query}", headers=admin)
    assert response.status_code == 422
    assert response.get_json()["error"]["details"]["field"] == query[1:].partition("=")[0]


def test_retry_stores_a_photo_whose_ingestion_failed(client: Client, real: Services, admin: dict[str, str]) -> None:
    source = Source(real.settings.bucket, "incoming/a.jpg", str(put(real, "incoming/a.jpg", PHOTO).generation))
    real.ingest.record_failure(source, "The event is more than a day old")
    broken = ingest(real, "incoming/broken.jpg", b"no photo")
    data = retry(client, admin)["data"]
    assert (data["retried"], data["stored"], data["failed"], data["remaining"]) == (2, 1, 1, 0)
    assert [failure["name"] for failure in data["failures"]] == [broken.name] and data["failures"][0]["reason"]
    found = client("detail").get("/splitted_images/by_original/incoming-a").get_json()["data"]
    assert found and real.store.get(found[0]["splitted_image_path"]).startswith(b"\x89PNG")


def test_retry_reads_the_version_that_was_written_since(client: Client, real: Services, admin: dict[str, str]) -> None:
    ingest(real, "incoming/a.jpg", b"no photo")
    put(real, "incoming/a.jpg", OTHER_PHOTO)
    assert retry(client, admin, names=["incoming/a.jpg"])["data"]["stored"] == 1
    assert get(client, admin)["counts"] == {"done": 2, "failed": 0}


def test_retry_says_that_an_object_was_deleted(client: Client, real: Services, admin: dict[str, str]) -> None:
    ingest(real, "incoming/a.jpg", b"no photo")
    real.store.delete("incoming/a.jpg")
    body = retry(client, admin)
    assert body["data"]["deleted"] == 1 and "1 deleted" in body["message"]
    (entry,) = get(client, admin)["data"]
    assert entry["state"] == "done" and "deleted" in entry["reason"]


def test_retry_names_the_command_for_folders_and_other_buckets(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    for bucket in ("file:/my photos", "archive"):
        real.ingest.record_failure(Source(bucket, "a.jpg", "1"), "broken")
    body = retry(client, admin)
    assert body["data"]["retried"] == 0 and "lookalike ingest FOLDER --retry-failed" in body["message"]
    commands = {one["bucket"]: one["command"] for one in body["data"]["elsewhere"]}
    assert commands == {
        "file:/my photos": "lookalike ingest '/my photos' --retry-failed",
        "archive": "lookalike ingest gs://archive/PREFIX --retry-failed",
    }
    assert get(client, admin, "?state=failed")["counts"]["failed"] == 2


def test_retry_with_a_limit_continues_from_the_cursor(client: Client, real: Services, admin: dict[str, str]) -> None:
    for number in range(3):
        ingest(real, f"incoming/{number}.jpg", b"no photo")
    first = retry(client, admin, limit=2)
    assert (first["data"]["retried"], first["data"]["remaining"]) == (2, 1) and "1 remain" in first["message"]
    second = retry(client, admin, limit=2, cursor=first["cursor"])
    assert (second["data"]["retried"], second["data"]["remaining"], second["cursor"]) == (1, 0, None)


def test_retry_without_time_responds_with_504_and_changes_nothing(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    source = ingest(real, "incoming/a.jpg", b"no photo")
    objects = replace(real.ingestions.objects, time_limit=-1)
    real.lazy_values["ingestions"] = replace(real.ingestions, objects=objects)
    response = client("upload").post("/ingestions/retry", json={}, headers=admin)
    assert response.status_code == 504 and response.get_json()["error"]["code"] == "deadline_exceeded"
    (entry,) = real.catalog.ledger_entries(source.bucket, [source.name])
    assert entry.status is LedgerStatus.FAILED
