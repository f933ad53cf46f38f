"""Feedback: which result of a past search its user chose."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.model import User
from lookalike.usecases.click_evaluation import evaluate_clicks
from tests.conftest import bearer_header
from tests.functions.harness import OTHER_PHOTO, PHOTO, Client, encode_base64, upload_photo


@pytest.fixture
def relay(client: Client, admin: dict[str, str]) -> FlaskClient:
    """Client of `relay`, with the photos "look" and "other" stored."""
    assert upload_photo(client, admin, PHOTO, image_name="look").status_code == 200
    assert upload_photo(client, admin, OTHER_PHOTO, image_name="other").status_code == 200
    return client("relay")


@pytest.fixture
def anna(real: Services) -> dict[str, str]:
    return bearer_header(real, User("anna", "a@example.org"))


def search(relay: FlaskClient, headers: dict[str, str], name: str, num: int = 50) -> list[dict[str, Any]]:
    body = {"image_base64": encode_base64(PHOTO), "request_id": name, "num": num, "include": "none"}
    results: list[dict[str, Any]] = relay.post("/relay_image", json=body, headers=headers).get_json()["results"]
    return results


def test_choice_is_kept_with_the_search(relay: FlaskClient, anna: dict[str, str]) -> None:
    first, second = search(relay, anna, "mine")[:2]
    response = relay.post("/feedback", json={"search_id": "mine", "id": second["id"]}, headers=anna).get_json()
    assert response["data"].items() >= {"search_id": "mine", "id": second["id"]}.items()
    assert second["splitted_image_id"] in response["message"]
    # by name, and as text
    for key in (first["splitted_image_id"], str(first["id"])):
        assert relay.post("/feedback", json={"search_id": "mine", "id": key}, headers=anna).status_code == 200
    chosen = relay.get("/search_history/mine", headers=anna).get_json()["data"]["chosen"]
    assert [one["id"] for one in chosen] == [second["id"], first["id"]]
    assert chosen[0]["splitted_image_id"] == second["splitted_image_id"]
    assert chosen[0]["chosen_at"] == response["data"]["chosen_at"]


def test_choice_sent_twice_is_recorded_once(relay: FlaskClient, anna: dict[str, str]) -> None:
    best = search(relay, anna, "mine")[0]
    body = {"search_id": "mine", "id": best["id"], "request_id": "retried"}
    first, second = (relay.post("/feedback", json=body, headers=anna) for _ in range(2))
    assert first.status_code == second.status_code == 200 and first.get_json() == second.get_json()
    assert len(relay.get("/search_history/mine", headers=anna).get_json()["data"]["chosen"]) == 1


def test_only_results_of_own_searches_can_be_chosen(relay: FlaskClient, real: Services, anna: dict[str, str]) -> None:
    bert = bearer_header(real, User("bert", "b@example.org"))
    best = search(relay, anna, "mine", num=1)[0]
    names = {segment.name for photo in ("look", "other") for segment in real.segments.list_segments_of_photo(photo)}
    other = min(names - {best["splitted_image_id"]})
    for headers, search_id, key, message in (
        (anna, "unknown", best["id"], "There is no search 'unknown' in your history"),
        (bert, "mine", best["id"], "There is no search 'mine' in your history"),
        (anna, "mine", other, "is not among the results of the search 'mine'"),
        (anna, "mine", 10_000, "There is no garment 10000"),
        (anna, "mine", "nothing", "There is no garment 'nothing'"),
    ):
        response = relay.post("/feedback", json={"search_id": search_id, "id": key}, headers=headers)
        assert response.status_code == 404 and message in response.get_json()["message"]
    assert relay.post("/feedback", json={"search_id": "mine", "id": best["id"]}).status_code == 401
    assert relay.get("/search_history/mine", headers=anna).get_json()["data"]["chosen"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [({"id": 1}, "search_id"), ({"search_id": "mine"}, "id"), ({"search_id": "", "id": 1}, "search_id")],
)
def test_incomplete_feedback_is_rejected(
    relay: FlaskClient, anna: dict[str, str], body: dict[str, Any], field: str
) -> None:
    response = relay.post("/feedback", json=body, headers=anna)
    assert response.status_code == 422 and response.get_json()["error"]["details"] == {"field": field}


def test_choices_are_deleted_with_search_garment_and_owner(
    relay: FlaskClient, client: Client, real: Services, anna: dict[str, str], admin: dict[str, str]
) -> None:
    def choose(name: str, rank: int = 0) -> dict[str, Any]:
        result = search(relay, anna, name)[rank]
        assert relay.post("/feedback", json={"search_id": name, "id": result["id"]}, headers=anna).status_code == 200
        return result

    def count() -> int:
        return len(real.history.history.list_chosen_searches(99))

    choose("one")
    relay.delete("/search_history/one", headers=anna)
    assert count() == 0
    erased = choose("two")
    client("detail").delete(f"/splitted_images/{erased['splitted_image_id']}", headers=admin)
    assert count() == 0 and relay.get("/search_history/two", headers=anna).get_json()["data"]["chosen"] == []
    choose("three")
    client("detail").post("/erase", json={"owner": "anna"}, headers=admin)
    assert count() == 0 and relay.get("/search_history/three", headers=anna).status_code == 404


def test_clicks_are_evaluated(relay: FlaskClient, real: Services, anna: dict[str, str]) -> None:
    for name, rank in (("first", 0), ("second", 1)):
        chosen = search(relay, anna, name)[rank]["id"]
        relay.post("/feedback", json={"search_id": name, "id": chosen}, headers=anna)
    search(relay, anna, "none")
    report = evaluate_clicks(real.history.history)
    assert (report.searches, report.users) == (2, 1)
    assert [estimate.mean for estimate in report.estimates] == [0.75, 0.5, 1]
