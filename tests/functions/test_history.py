"""What a signed-in user searched for: theirs alone, listed, and forgotten when they say so."""

import base64
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.errors import Unavailable
from lookalike.domain.model import User
from tests.conftest import bearer_header, jpeg
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
PHOTO = base64.b64encode(jpeg(sample_photo(3))).decode()


@pytest.fixture
def relay(client: Client, admin: dict[str, str]) -> FlaskClient:
    """With a garment stored."""
    assert (
        client("upload")
        .post("/upload_image", json={"image_base64": PHOTO, "image_name": "look"}, headers=admin)
        .status_code
        == 200
    )
    return client("relay")


def test_a_search_is_remembered_for_whoever_is_signed_in(relay: FlaskClient, real: Services) -> None:
    anna, bert = (bearer_header(real, User(name, f"{name}@example.org")) for name in ("anna", "bert"))
    asked = {
        "image_base64": PHOTO,
        "num": 3,
        "segment": True,
        "filter": {"label": ["top", "dress", "outerwear", "skirt", "trousers"]},
    }
    found = relay.post("/relay_image", json={**asked, "request_id": "mine"}, headers=anna).get_json()
    relay.post("/relay_image", json=asked)
    listed = relay.get("/search_history", headers=anna).get_json()
    assert [one["search_id"] for one in listed["data"]] == ["mine"] and listed["before"] is None
    assert listed["data"][0]["filter"] == asked["filter"] and PHOTO not in str(listed)
    one = relay.get("/search_history/mine", headers=anna).get_json()
    assert one["success"] and one["message"]
    assert [hit["id"] for hit in one["data"]["results"]] == [
        hit["id"] for group in found["groups"] for hit in group["results"]
    ]
    assert relay.get("/search_history", headers=bert).get_json()["data"] == []
    for call in (relay.get, relay.delete):
        assert call("/search_history/mine", headers=bert).status_code == 404
        assert call("/search_history/mine").status_code == 401
    assert relay.delete("/search_history/mine", headers=anna).status_code == 200
    assert relay.get("/search_history/mine", headers=anna).status_code == 404


def test_pages_and_forgetting_all(relay: FlaskClient, real: Services) -> None:
    anna = bearer_header(real, User("anna", "a@example.org"))
    for number in range(3):
        relay.post("/relay_image", json={"image_base64": PHOTO, "request_id": f"n{number}"}, headers=anna)
    page = relay.get("/search_history?limit=2", headers=anna).get_json()
    assert [one["search_id"] for one in page["data"]] == ["n2", "n1"]
    rest = relay.get("/search_history", query_string={"limit": 2, "before": page["before"]}, headers=anna).get_json()
    assert [one["search_id"] for one in rest["data"]] == ["n0"]
    for wrong in ({"limit": 0}, {"limit": "x"}, {"before": "yesterday"}, {"before": "2026-11-24T00:00:00"}):
        assert relay.get("/search_history", query_string=wrong, headers=anna).status_code == 422
    assert "3" in relay.delete("/search_history", headers=anna).get_json()["message"]
    assert relay.get("/search_history", headers=anna).get_json()["data"] == []


def test_what_is_deleted_is_in_no_later_answer(
    relay: FlaskClient, client: Client, real: Services, admin: dict[str, str]
) -> None:
    relay.post("/relay_image", json={"image_base64": PHOTO, "request_id": "mine"}, headers=admin)
    assert relay.get("/search_history/mine", headers=admin).get_json()["data"]["results"]
    for one in real.segments.list_segments_of_photo("look"):
        client("detail").delete(f"/splitted_images/{one.name}", headers=admin)
    said = relay.get("/search_history/mine", headers=admin)
    assert said.get_json()["data"]["results"] == [] and "look" not in said.get_data(as_text=True)


def test_a_history_that_cannot_be_written_costs_no_answer(
    relay: FlaskClient, real: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("The database cannot be reached")

    monkeypatch.setattr(real.history.history, "save_search", away)
    anna = bearer_header(real, User("anna", "a@example.org"))
    assert relay.post("/relay_image", json={"image_base64": PHOTO}, headers=anna).status_code == 200
    monkeypatch.undo()
    assert relay.get("/search_history", headers=anna).get_json()["data"] == []
