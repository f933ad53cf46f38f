"""Erasure of garments, photos and everything a user left, and its receipts."""

from dataclasses import replace
from typing import Any

import pytest

from lookalike.bootstrap import Services
from lookalike.domain.errors import NotFound
from lookalike.domain.model import Caller, JobStatus, User
from tests.conftest import bearer_header
from tests.contracts.databases import execute
from tests.functions.harness import (
    OWNED_PHOTOS,
    Client,
    search_photo,
    store_owned_photos,
    upload_photo,
)


@pytest.fixture
def stored(client: Client, real: Services) -> Services:
    """Services with the photos "one" and "two" of Anna and "three" of Bert; Anna searched once."""
    store_owned_photos(client, real)
    return real


def erase(client: Client, admin: dict[str, str], method: str, path: str, **body: Any) -> dict[str, Any]:
    """Send an erasure and return its receipt."""
    response = client("detail").open(path, method=method, json=body, headers=admin)
    assert response.status_code == 200 and response.get_json()["success"], response.get_data(as_text=True)
    data: dict[str, Any] = response.get_json()["data"]
    return data


def segment_names(services: Services, photo: str) -> list[str]:
    return [segment.name for segment in services.segments.list_segments_of_photo(photo)]


def is_erased(client: Client, real: Services, name: str) -> bool:
    """Return whether a photo is in no object, search result, history or other response. Builds a new index version."""
    objects = [entry.path for entry in real.store.list() if entry.path.startswith(f"{name}/")]
    results = search_photo(client, OWNED_PHOTOS[name], num=100, include="none").get_data(as_text=True)
    anna = bearer_header(real, User("anna", "a@example.org"))
    history = client("relay").get("/search_history/mine", headers=anna).get_data(as_text=True)
    statuses = [
        client("detail").get(path.format(name)).status_code
        for path in ("/splitted_images/{}_segment_0", "/splitted_images/by_original/{}", "/thumbnails/{}_segment_0")
    ]
    assert real.reindex.build().rows == len(real.catalog.changes("compact-6", 0).row_ids)
    return not objects and f'"{name}' not in results and f'"{name}' not in history and statuses == [404] * 3


def test_deleted_segment_is_in_no_later_response(client: Client, admin: dict[str, str], real: Services) -> None:
    upload_photo(client, admin, image_name="first")
    client("reindex").post("/reindex")
    receipt = erase(client, admin, "DELETE", "/splitted_images/first_segment_0")
    assert receipt["splitted_image_id"] == "first_segment_0"
    results = search_photo(client).get_json()["results"]
    assert "first_segment_0" not in [result["splitted_image_id"] for result in results]
    assert client("detail").get("/splitted_images/first_segment_0").status_code == 404
    with pytest.raises(NotFound):
        real.store.get("first/segment_0.png")


def test_delete_photo_erases_all_its_segments(client: Client, stored: Services, admin: dict[str, str]) -> None:
    names = segment_names(stored, "one")
    receipt = erase(client, admin, "DELETE", "/splitted_images/by_original/one")
    assert receipt["segments"] == names and receipt["receipt_id"] and receipt["at"]
    counts = receipt["counts"]
    assert (counts["garments"], counts["photos"], counts["remaining"]) == (len(names), 1, 0)
    assert counts["objects"] == 2 * len(names) + 1, "cut-outs, thumbnails and the photo"
    assert is_erased(client, stored, "one") and not is_erased(client, stored, "two")
    assert client("detail").delete("/splitted_images/by_original/one", headers=admin).status_code == 404


def test_delete_of_the_last_segment_erases_the_photo(client: Client, stored: Services, admin: dict[str, str]) -> None:
    names = segment_names(stored, "one")
    receipts = [erase(client, admin, "DELETE", f"/splitted_images/{name}") for name in names]
    assert [receipt["splitted_image_id"] for receipt in receipts] == names
    assert [receipt["counts"]["photos"] for receipt in receipts] == [0] * (len(names) - 1) + [1]
    assert is_erased(client, stored, "one")


def test_erase_by_filter_matches_its_dry_run(client: Client, stored: Services, admin: dict[str, str]) -> None:
    conditions = {"brand": "Marlow"}
    preview = erase(client, admin, "POST", "/erase", filter=conditions, dry_run=True)
    assert preview["segments"] == segment_names(stored, "two") and preview["counts"]["garments"] == 0
    receipt = erase(client, admin, "POST", "/erase", filter=conditions)
    assert receipt["segments"] == preview["segments"] and receipt["counts"]["photos"] == 1
    assert is_erased(client, stored, "two") and not is_erased(client, stored, "one")
    assert erase(client, admin, "POST", "/erase", filter=conditions)["counts"]["garments"] == 0
    assert stored.catalog.details(["two"]), "product details belong to the shop and must stay"


def test_erase_by_owner_keeps_running_jobs(client: Client, stored: Services, admin: dict[str, str]) -> None:
    stored.catalog.start_job("running", "search", Caller("anna"))
    counts = erase(client, admin, "POST", "/erase", owner="anna")["counts"]
    assert counts["photos"] == 2 and counts["searches"] == 1 and counts["jobs"] >= 3
    assert is_erased(client, stored, "one") and is_erased(client, stored, "two")
    assert not is_erased(client, stored, "three")
    assert [job.id for job in stored.catalog.list_jobs(Caller("anna"))] == ["running"]
    stored.catalog.finish_job("running", JobStatus.COMPLETED)


def test_erase_by_filter_includes_rows_of_other_embedders(
    client: Client, stored: Services, admin: dict[str, str]
) -> None:
    execute(stored.settings.database, "UPDATE splitted_images SET embedder = 'old-1' WHERE original_image_id = 'two'")
    assert erase(client, admin, "POST", "/erase", filter={"brand": "Marlow"})["counts"]["photos"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}},
        {"owner": ""},
        {"filter": {"label": "top"}, "owner": "anna"},
        {"filter": {"id": 1}},
        {"owner": 5},
    ],
)
def test_erase_rejects_unclear_targets(
    client: Client, stored: Services, admin: dict[str, str], body: dict[str, Any]
) -> None:
    row_count = stored.catalog.changes("compact-6", 0).row_ids.size
    assert client("detail").post("/erase", json=body, headers=admin).status_code == 422
    assert stored.catalog.changes("compact-6", 0).row_ids.size == row_count


def test_erase_counts_what_remains_after_its_time_limit(
    client: Client, stored: Services, admin: dict[str, str]
) -> None:
    stored.lazy_values["erase"] = replace(stored.erase, time_limit=-1)
    counts = erase(client, admin, "POST", "/erase", owner="anna")["counts"]
    assert counts["garments"] == 0 and counts["remaining"] > 0 and counts["searches"] == 0
    stored.lazy_values["erase"] = replace(stored.erase, time_limit=60)
    assert erase(client, admin, "POST", "/erase", owner="anna")["counts"]["remaining"] == 0
