"""Duplicates over HTTP: listing, deciding and merging."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.model import LedgerEntry, LedgerStatus, ProductDetails
from tests.conftest import jpeg
from tests.functions.harness import Client, upload_photo
from tests.sample_photos import sample_photo

LARGE, SMALL, OTHER = sample_photo(3), sample_photo(3).resize((225, 300)), sample_photo(8)


@pytest.fixture
def relay(client: Client, admin: dict[str, str]) -> FlaskClient:
    """Client of `relay`, with the whole photos "small" and "large", which are copies, and "other"."""
    for name, photo in (("small", SMALL), ("other", OTHER), ("large", LARGE)):
        assert upload_photo(client, admin, jpeg(photo), image_name=name).status_code == 200
    return client("relay")


def groups(relay: FlaskClient, admin: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    """Return the groups of all pages."""
    found: list[dict[str, Any]] = []
    while True:
        response = relay.get("/duplicates", query_string=query, headers=admin)
        assert response.status_code == 200, response.get_data(as_text=True)
        found += response.get_json()["data"]
        query["cursor"] = response.get_json()["next_cursor"]
        if query["cursor"] is None:
            return found


def names(group: dict[str, Any]) -> list[str]:
    return [garment["splitted_image_id"] for garment in group["garments"]]


def test_copies_are_listed_with_their_pictures(relay: FlaskClient, admin: dict[str, str]) -> None:
    found = groups(relay, admin, include="thumbnail", limit=1)
    assert ["small_segment_0", "large_segment_0"] in [names(group) for group in found]
    for group in found:
        assert {name.split("_")[0] for name in names(group)} == {"small", "large"}
        assert all(garment["thumbnail_base64"] for garment in group["garments"])
        assert all(pair["similarity"] >= 0.98 and pair["decision"] is None for pair in group["pairs"])
    (with_links, *_) = groups(relay, admin, include="url")
    assert "thumbnail_base64" not in with_links["garments"][0] and with_links["garments"][0]["thumbnail_url"]


def test_rejected_pair_is_not_listed_again(relay: FlaskClient, client: Client, admin: dict[str, str]) -> None:
    body = {"garments": ["small_segment_0", "large_segment_0"], "decision": "rejected"}
    assert client("detail").put("/duplicates/decisions", json=body, headers=admin).status_code == 200
    assert ["small_segment_0", "large_segment_0"] not in [names(group) for group in groups(relay, admin)]
    (rejected,) = groups(relay, admin, state="rejected")
    assert rejected["pairs"][0]["decision"] == "rejected"
    body["decision"] = "open"
    client("detail").put("/duplicates/decisions", json=body, headers=admin)
    assert groups(relay, admin, state="rejected") == []


def test_merge_keeps_the_larger_picture_and_all_references(
    relay: FlaskClient, client: Client, real: Services, admin: dict[str, str]
) -> None:
    detail = client("detail")
    real.segments.put_details([ProductDetails("small", brand="Marlow")])
    for segment in real.segments.list_segments_of_photo("small")[1:]:
        detail.delete(f"/splitted_images/{segment.name}", headers=admin)
    real.catalog.record_ledger_entry(LedgerEntry("bucket", "a.jpg", "7", LedgerStatus.DONE, "small"))
    pair = {"garments": ["small_segment_0", "large_segment_0"]}
    refused = detail.post("/duplicates/merge", json=pair, headers=admin)
    assert refused.status_code == 409 and "accept the pair first" in refused.get_json()["message"]
    detail.put("/duplicates/decisions", json={**pair, "decision": "accepted"}, headers=admin)
    receipt = detail.post("/duplicates/merge", json=pair, headers=admin).get_json()["data"]
    assert receipt["kept"] == "large_segment_0" and receipt["segments"] == ["small_segment_0"]
    assert receipt["moved"] == 1 and receipt["counts"]["photos"] == 1
    assert [entry.name for entry in real.catalog.ledger_entries_of_photo("large")] == ["a.jpg"]
    details = detail.post("/image_detail", json={"splitted_image_id": "large_segment_0"}).get_json()["message"]
    assert details["brand"] == "Marlow"
    assert groups(relay, admin, state="all") == []


@pytest.mark.parametrize("query", [{"state": "x"}, {"limit": 0}, {"include": "image"}, {"cursor": "x"}])
def test_invalid_page_is_rejected(client: Client, admin: dict[str, str], query: dict[str, Any]) -> None:
    assert client("relay").get("/duplicates", query_string=query, headers=admin).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "accepted"},
        {"garments": ["a"], "decision": "accepted"},
        {"garments": ["other_segment_0"] * 2, "decision": "accepted"},
        {"garments": ["a", "b"], "decision": "maybe"},
    ],
)
def test_invalid_decision_is_rejected(
    relay: FlaskClient, client: Client, admin: dict[str, str], body: dict[str, Any]
) -> None:
    assert client("detail").put("/duplicates/decisions", json=body, headers=admin).status_code == 422


def test_unknown_garment_is_not_found(client: Client, admin: dict[str, str]) -> None:
    body = {"garments": ["a", 10**30], "decision": "accepted"}
    assert client("detail").put("/duplicates/decisions", json=body, headers=admin).status_code == 404
    assert client("detail").post("/duplicates/merge", json={"garments": ["a", "b"]}, headers=admin).status_code == 404
