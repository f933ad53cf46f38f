"""Search history of signed-in users: reading, paging and deleting."""

from datetime import UTC, datetime

import numpy as np
import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.errors import Unavailable
from lookalike.domain.history import PastSearch, PhotoVectors
from lookalike.domain.model import User
from tests.conftest import bearer_header
from tests.functions.harness import PHOTO, Client, encode_base64, upload_photo

ENCODED_PHOTO = encode_base64(PHOTO)


@pytest.fixture
def relay(client: Client, admin: dict[str, str]) -> FlaskClient:
    """Client of `relay`, with the photo "look" stored."""
    assert upload_photo(client, admin, image_name="look").status_code == 200
    return client("relay")


def test_search_of_signed_in_user_is_kept_for_them_alone(relay: FlaskClient, real: Services) -> None:
    anna, bert = (bearer_header(real, User(name, f"{name}@example.org")) for name in ("anna", "bert"))
    query = {
        "image_base64": ENCODED_PHOTO,
        "num": 3,
        "segment": True,
        "filter": {"label": ["top", "dress", "outerwear", "skirt", "trousers"]},
    }
    result = relay.post("/relay_image", json={**query, "request_id": "mine"}, headers=anna).get_json()
    relay.post("/relay_image", json=query)
    listed = relay.get("/search_history", headers=anna).get_json()
    assert [entry["search_id"] for entry in listed["data"]] == ["mine"] and listed["before"] is None
    assert listed["data"][0]["filter"] == query["filter"] and ENCODED_PHOTO not in str(listed)
    past_search = relay.get("/search_history/mine", headers=anna).get_json()
    assert past_search["success"] and past_search["message"]
    hit_ids = [hit["id"] for group in result["groups"] for hit in group["results"]]
    assert [hit["id"] for hit in past_search["data"]["results"]] == hit_ids
    assert relay.get("/search_history", headers=bert).get_json()["data"] == []
    for send in (relay.get, relay.delete):
        assert send("/search_history/mine", headers=bert).status_code == 404
        assert send("/search_history/mine").status_code == 401
    assert relay.delete("/search_history/mine", headers=anna).status_code == 200
    assert relay.get("/search_history/mine", headers=anna).status_code == 404


def test_history_is_paged_and_deleted_as_a_whole(relay: FlaskClient, real: Services) -> None:
    anna = bearer_header(real, User("anna", "a@example.org"))
    for number in range(3):
        relay.post("/relay_image", json={"image_base64": ENCODED_PHOTO, "request_id": f"n{number}"}, headers=anna)
    page = relay.get("/search_history?limit=2", headers=anna).get_json()
    assert [entry["search_id"] for entry in page["data"]] == ["n2", "n1"]
    query = {"limit": 2, "before": page["before"]}
    last_page = relay.get("/search_history", query_string=query, headers=anna).get_json()
    assert [entry["search_id"] for entry in last_page["data"]] == ["n0"]
    assert "3" in relay.delete("/search_history", headers=anna).get_json()["message"]
    assert relay.get("/search_history", headers=anna).get_json()["data"] == []


def test_photo_search_is_repeated_from_its_vectors(relay: FlaskClient, real: Services) -> None:
    anna, bert = (bearer_header(real, User(name, f"{name}@example.org")) for name in ("anna", "bert"))
    body = {"query": [{"image_base64": ENCODED_PHOTO}], "segment": True, "include": "none", "request_id": "photo"}
    groups = relay.post("/search", json=body, headers=anna).get_json()["groups"]
    (listed,) = relay.get("/search_history", headers=anna).get_json()["data"]
    assert listed["reusable_vectors"] == len(groups) and "photo_vectors" not in listed
    last = len(groups) - 1
    again = {"query": [{"search": "photo", "garment": last}], "include": "none", "request_id": "again"}
    results = relay.post("/search", json=again, headers=anna).get_json()["results"]
    expected = {one["id"]: one["similarity"] for one in groups[last]["results"]}
    assert {one["id"]: one["similarity"] for one in results} == pytest.approx(expected, abs=1e-3)
    # it can be repeated after the first search was deleted
    relay.delete("/search_history/photo", headers=anna)
    (listed,) = relay.get("/search_history", headers=anna).get_json()["data"]
    assert (listed["reusable_vectors"], listed["query"]) == (1, [{}])
    assert listed["garments"][0]["label"] == groups[last]["label"]
    assert [relay.post("/search", json=again, headers=who).status_code for who in (anna, bert, {})] == [404, 404, 401]
    further = {"query": [{"search": "again"}, {"text": "dress", "weight": 0.5}], "include": "none"}
    assert relay.post("/search", json=further, headers=anna).status_code == 200
    for wrong in ({"search": "again", "garment": 1}, {"search": "again", "garment": 10_000}):
        response = relay.post("/search", json={"query": [wrong]}, headers=anna)
        assert response.status_code == 404 and "query[0].garment" in response.get_json()["message"]


def test_vectors_of_another_model_are_not_compared(relay: FlaskClient, real: Services) -> None:
    anna = bearer_header(real, User("anna", "a@example.org"))
    vectors = PhotoVectors.encode("another", np.ones((1, 4), np.float32))
    past = PastSearch("old", "anna", datetime.now(UTC), {"num": 5, "garments": []}, photo_vectors=vectors)
    real.history.history.save_searches([past], 9)
    assert relay.get("/search_history", headers=anna).get_json()["data"][0]["reusable_vectors"] == 0
    response = relay.post("/search", json={"query": [{"search": "old"}]}, headers=anna)
    assert response.status_code == 404 and "model in use" in response.get_json()["message"]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": "x"}]
    + [{"before": text} for text in ("yesterday", "2026-11-24T00:00:00", "0.5", "1764300000", "2026-11-24 00:00:00Z")],
)
def test_history_rejects_invalid_paging(client: Client, real: Services, query: dict[str, object]) -> None:
    anna = bearer_header(real, User("anna", "a@example.org"))
    assert client("relay").get("/search_history", query_string=query, headers=anna).status_code == 422


def test_history_leaves_out_deleted_segments(
    relay: FlaskClient, client: Client, real: Services, admin: dict[str, str]
) -> None:
    relay.post("/relay_image", json={"image_base64": ENCODED_PHOTO, "request_id": "mine"}, headers=admin)
    assert relay.get("/search_history/mine", headers=admin).get_json()["data"]["results"]
    for segment in real.segments.list_segments_of_photo("look"):
        client("detail").delete(f"/splitted_images/{segment.name}", headers=admin)
    response = relay.get("/search_history/mine", headers=admin)
    assert response.get_json()["data"]["results"] == [] and "look" not in response.get_data(as_text=True)


def test_search_succeeds_if_history_cannot_be_written(
    relay: FlaskClient, real: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("The database cannot be reached")

    monkeypatch.setattr(real.history.history, "save_searches", fail)
    anna = bearer_header(real, User("anna", "a@example.org"))
    assert relay.post("/relay_image", json={"image_base64": ENCODED_PHOTO}, headers=anna).status_code == 200
    real.history.deferred.wait()
    monkeypatch.undo()
    assert relay.get("/search_history", headers=anna).get_json()["data"] == []
