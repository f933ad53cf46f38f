"""Feedback over HTTP to a running server, and its evaluation by another process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import jpeg
from tests.e2e.server import Server, encode_base64
from tests.sample_photos import sample_photo

PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("feedback")).start()
    running.upload(PHOTO, "first")
    running.upload(OTHER_PHOTO, "second")
    yield running
    assert running.stop() == 0


def search(server: Server, name: str) -> list[dict[str, Any]]:
    """Search as administrator, so that the search is kept."""
    body = {"image_base64": encode_base64(PHOTO), "num": 10, "include": "none", "request_id": name}
    results: list[dict[str, Any]] = server.request("POST", "/relay_image", body, server.admin_headers).json["results"]
    return results


def evaluate_clicks(server: Server) -> str:
    server.run("evaluate", "--clicks")
    return Path(server.folder / "evaluate.log").read_text()


def test_chosen_results_are_kept_evaluated_and_erased(server: Server) -> None:
    for name, rank in (("one", 0), ("two", 1)):
        body = {"search_id": name, "id": search(server, name)[rank]["id"]}
        # at once after the search: its record may not be written yet
        response = server.request("POST", "/feedback", body, server.admin_headers)
        assert response.status == 200, response.body
        assert server.request("POST", "/feedback", body, server.admin_headers).json["data"] == response.json["data"]
    shown = server.request("GET", "/search_history/two", headers=server.admin_headers).json["data"]
    assert [one["id"] for one in shown["chosen"]] == [shown["results"][1]["id"]]
    output = evaluate_clicks(server)
    assert "2 searches of 1 user with a chosen result" in output and "0.750 (" in output
    server.request("DELETE", "/search_history", headers=server.admin_headers)
    assert "No search has a chosen result yet" in evaluate_clicks(server)


def test_feedback_of_anonymous_callers_is_refused(server: Server) -> None:
    best = server.search(PHOTO, request_id="anonymous").json["results"][0]
    response = server.request("POST", "/feedback", {"search_id": "anonymous", "id": best["id"]})
    assert response.status == 401 and response.json["error"]["code"] == "unauthenticated"
    response = server.request(
        "POST", "/feedback", {"search_id": "anonymous", "id": best["id"]}, headers=server.admin_headers
    )
    assert response.status == 404 and "There is no search 'anonymous'" in response.json["message"]
