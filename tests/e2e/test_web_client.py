"""Requests of the original system's web client, from a page on another origin. Reads what that client reads."""

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import jpeg
from tests.e2e.server import HttpResponse, Server
from tests.sample_photos import sample_photo

ORIGIN = {"Origin": "http://localhost:3000"}
ENCODED_PHOTO = base64.b64encode(jpeg(sample_photo(3))).decode()
DATA_URL = f"data:image/jpeg;base64,{ENCODED_PHOTO}"
ANNA = {"email": "anna@example.com", "password": "correct horse"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running_server = Server(tmp_path_factory.mktemp("companion")).start()
    yield running_server
    assert running_server.stop() == 0


class Page:
    """A page in a browser, which sends a preflight request before each request."""

    def __init__(self, server: Server) -> None:
        self.server, self.token = server, ""

    def request(self, method: str, path: str, body: Any = None) -> HttpResponse:
        preflight = self.server.request("OPTIONS", path, headers={**ORIGIN, "Access-Control-Request-Method": method})
        assert preflight.status == 204 and method in preflight.headers["Access-Control-Allow-Methods"]
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        response = self.server.request(method, path, body, {**ORIGIN, **token})
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
        return response

    def sign_in(self, credentials: dict[str, str]) -> dict[str, Any]:
        data: dict[str, Any] = self.request("POST", "/api/auth/login", credentials).json["data"]
        self.token = data["access_token"]
        return data


@pytest.fixture
def page(server: Server) -> Page:
    return Page(server)


@pytest.fixture(scope="module")
def admin_page(server: Server) -> Page:
    """Page of a signed-in administrator who has stored a photo."""
    page, credentials = Page(server), {"email": "shop@example.com", "password": "correct horse"}
    page.request("POST", "/api/auth/register", credentials)
    server.run("users", "grant", credentials["email"], "admin")
    assert page.sign_in(credentials)["role"] == "admin"
    body = {"image_base64": DATA_URL, "image_name": "my_photo_1", "force_process": True}
    assert page.request("POST", "/upload_image", body).status == 200
    return page


def test_register_sign_in_refresh_and_sign_out(page: Page) -> None:
    response = page.request("POST", "/api/auth/register", {**ANNA, "is_admin": True})
    assert response.status == 201 and response.json["success"] and response.json["message"]
    assert response.json["data"]["user_id"] and response.json["data"]["email"] == ANNA["email"]
    rejected = page.request("POST", "/api/auth/login", {**ANNA, "password": "wrong"})
    assert rejected.json["success"] is False and rejected.json["message"]
    data = page.sign_in(ANNA)
    assert data["user_id"] and data["email"] == ANNA["email"] and data["role"] == "user"
    refreshed = page.request("POST", "/api/auth/refresh", {"refresh_token": data["refresh_token"]}).json
    assert refreshed["success"] and refreshed["data"]["refresh_token"]
    page.token = refreshed["data"]["access_token"]
    user = page.request("GET", "/api/auth/user").json["data"]
    assert (user["user_id"], user["role"], user["is_admin"]) == (data["user_id"], "user", False)
    assert page.request("POST", "/upload_image", {"image_base64": ENCODED_PHOTO}).status == 403
    assert page.request("POST", "/api/auth/logout").json["success"]
    page.token = "invalid"
    assert page.request("GET", "/api/auth/user").status == 401


def test_split_returns_segments_on_both_routes(page: Page) -> None:
    response = page.request("POST", "/image/split", {"image_base64": ENCODED_PHOTO}).json
    assert response["success"] and base64.b64decode(response["segments"][0]["image_base64"]).startswith(b"\x89PNG")
    response = page.request("POST", "/split_image", {"image_base64": DATA_URL, "force_process": True}).json
    first = response["data"]["segments"][0]
    assert response["success"] and response["request_id"] and first["segment_id"] and first["segment_base64"]


def test_split_segment_is_stored(admin_page: Page) -> None:
    first = admin_page.request("POST", "/split_image", {"image_base64": DATA_URL}).json["data"]["segments"][0]
    body = {
        "image_base64": f"data:image/png;base64,{first['segment_base64']}",
        "original_image_id": "by_hand_2",
        "segment_id": first["segment_id"],
    }
    response = admin_page.request("POST", "/upload_single_image", body).json
    assert response["success"] and response["message"]
    assert response["data"]["splitted_image_id"] == "by_hand_2_segment_0"
    assert response["data"]["splitted_image_path"] == "by_hand_2/segment_0.png"


def test_search_result_leads_to_segment_and_details(admin_page: Page, page: Page) -> None:
    response = page.request("POST", "/relay_image", {"image_base64": ENCODED_PHOTO, "num": 5}).json
    best = response["results"][0]
    assert response["request_id"] and best["processed_image_base64"] and best["similarity"] > 0.5
    segment = page.request("GET", f"/splitted_images/{best['id']}").json
    photo = segment["data"]["original_image_id"]
    assert segment["success"] and photo in ("my_photo_1", "by_hand_2")
    admin_page.request("PUT", f"/image_detail/{photo}", {"brand": "Marlow", "tags": ["linen"]})
    for key in (best["id"], best["splitted_image_id"]):
        detail = page.request("POST", "/image_detail", {"splitted_image_id": key}).json
        assert detail["success"] and detail["message"]["brand"] == "Marlow"


def test_segment_is_changed_and_deleted(admin_page: Page, page: Page) -> None:
    path = "/splitted_images/my_photo_1_segment_0"
    assert admin_page.request("PUT", path, {"label": "dress"}).json["data"]["label"] == "dress"
    assert page.request("DELETE", path).status == 401 and page.request("GET", path).status == 200
    deleted = admin_page.request("DELETE", path).json
    assert deleted["success"] and deleted["message"] and page.request("GET", path).status == 404


def test_cancel_and_status_without_account(server: Server, page: Page) -> None:
    large = base64.b64encode(jpeg(sample_photo(3).resize((5400, 7200)))).decode()
    for action, name in (("cancel_request", "first"), ("cancel_processing", "second")):
        with ThreadPoolExecutor() as pool:
            query = {"image_base64": large, "num": 5, "request_id": name}
            running = pool.submit(Page(server).request, "POST", "/relay_image", query)
            response = cancel_while_running(page, f"/{action}/{name}", running.done)
            assert response["success"] and response["status"] == "success" and response["message"]
            assert running.result().json["status"] == "cancelled"
        status = page.request("GET", f"/request_status/{name}").json["status"]
        assert status == "cancelled"
    assert page.request("GET", "/request_status/never").json["status"] == "not_found"
    recent = page.request("GET", "/request_status/recent").json["requests"]
    assert {"first", "second"} <= {job["id"] for job in recent}
    times = [job["timestamp"] for job in recent]
    assert times == sorted(times, reverse=True) and abs(times[0] - time.time()) < 600 and recent[0]["age"] >= 0
    response = page.request("POST", "/cleanup_requests", {"max_age_seconds": 0}).json
    assert response["status"] == "success" and response["message"]


def cancel_while_running(page: Page, path: str, is_done: Callable[[], bool]) -> dict[str, Any]:
    """Repeat the cancellation until the job exists, and return the response."""
    while not is_done():
        response: dict[str, Any] = page.request("POST", path).json
        if response["success"]:
            return response
    raise AssertionError("The search finished before it could be cancelled")


def test_search_is_in_history(admin_page: Page) -> None:
    result = admin_page.request("POST", "/relay_image", {"image_base64": ENCODED_PHOTO, "num": 2}).json
    response = admin_page.request("GET", f"/search_history/{result['request_id']}").json
    assert response["success"] and response["message"] and len(response["data"]["results"]) == len(result["results"])
