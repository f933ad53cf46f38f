"""Every call that the original's web client makes, as it makes it, read as it reads it: from a page on another origin."""

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import jpeg
from tests.e2e.server import HttpResponse, Server
from tests.sample_photos import sample_photo

PAGE = {"Origin": "http://localhost:3000"}
DATA = base64.b64encode(jpeg(sample_photo(3))).decode()
URL = f"data:image/jpeg;base64,{DATA}"
ANNA = {"email": "anna@example.com", "password": "correct horse"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    serving = Server(tmp_path_factory.mktemp("companion")).start()
    yield serving
    assert serving.stop() == 0


class Page:
    """Asks first whether it may, as a browser does for whatever has a token or JSON."""

    def __init__(self, server: Server) -> None:
        self.server, self.token = server, ""

    def call(self, method: str, path: str, body: Any = None) -> HttpResponse:
        told = self.server.request("OPTIONS", path, headers={**PAGE, "Access-Control-Request-Method": method})
        assert told.status == 204 and method in told.headers["Access-Control-Allow-Methods"]
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        said = self.server.request(method, path, body, {**PAGE, **token})
        assert said.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]
        return said

    def sign_in(self, who: dict[str, str]) -> dict[str, Any]:
        data: dict[str, Any] = self.call("POST", "/api/auth/login", who).json["data"]
        self.token = data["access_token"]
        return data


@pytest.fixture
def page(server: Server) -> Page:
    return Page(server)


@pytest.fixture(scope="module")
def shop(server: Server) -> Page:
    """An administrator's, with a photo stored."""
    page, owner = Page(server), {"email": "shop@example.com", "password": "correct horse"}
    page.call("POST", "/api/auth/register", owner)
    server.run("users", "grant", owner["email"], "admin")
    assert page.sign_in(owner)["role"] == "admin"
    body = {"image_base64": URL, "image_name": "my_photo_1", "force_process": True}
    assert page.call("POST", "/upload_image", body).status == 200
    return page


def test_accounts(page: Page) -> None:
    said = page.call("POST", "/api/auth/register", {**ANNA, "is_admin": True})
    assert said.status == 201 and said.json["success"] and said.json["message"]
    assert said.json["data"]["user_id"] and said.json["data"]["email"] == ANNA["email"]
    wrong = page.call("POST", "/api/auth/login", {**ANNA, "password": "wrong"})
    assert wrong.json["success"] is False and wrong.json["message"]
    data = page.sign_in(ANNA)
    assert data["user_id"] and data["email"] == ANNA["email"] and data["role"] == "user"
    fresh = page.call("POST", "/api/auth/refresh", {"refresh_token": data["refresh_token"]}).json
    assert fresh["success"] and fresh["data"]["refresh_token"]
    page.token = fresh["data"]["access_token"]
    who = page.call("GET", "/api/auth/user").json["data"]
    assert (who["user_id"], who["role"], who["is_admin"]) == (data["user_id"], "user", False)
    assert page.call("POST", "/upload_image", {"image_base64": DATA}).status == 403
    assert page.call("POST", "/api/auth/logout").json["success"]
    page.token = "no longer"
    assert page.call("GET", "/api/auth/user").status == 401


def test_splitting(page: Page) -> None:
    said = page.call("POST", "/image/split", {"image_base64": DATA}).json
    assert said["success"] and base64.b64decode(said["segments"][0]["image_base64"]).startswith(b"\x89PNG")
    said = page.call("POST", "/split_image", {"image_base64": URL, "force_process": True}).json
    first = said["data"]["segments"][0]
    assert said["success"] and said["request_id"] and first["segment_id"] and first["segment_base64"]


def test_storing_what_was_split(shop: Page) -> None:
    first = shop.call("POST", "/split_image", {"image_base64": URL}).json["data"]["segments"][0]
    body = {
        "image_base64": f"data:image/png;base64,{first['segment_base64']}",
        "original_image_id": "by_hand_2",
        "segment_id": first["segment_id"],
    }
    said = shop.call("POST", "/upload_single_image", body).json
    assert said["success"] and said["message"]
    assert said["data"]["splitted_image_id"] == "by_hand_2_segment_0"
    assert said["data"]["splitted_image_path"] == "by_hand_2/segment_0.png"


def test_searching_and_looking(shop: Page, page: Page) -> None:
    said = page.call("POST", "/relay_image", {"image_base64": DATA, "num": 5}).json
    best = said["results"][0]
    assert said["request_id"] and best["processed_image_base64"] and best["similarity"] > 0.5
    segment = page.call("GET", f"/splitted_images/{best['id']}").json
    photo = segment["data"]["original_image_id"]
    assert segment["success"] and photo in ("my_photo_1", "by_hand_2")
    shop.call("PUT", f"/image_detail/{photo}", {"brand": "Marlow", "tags": ["linen"]})
    for key in (best["id"], best["splitted_image_id"]):
        detail = page.call("POST", "/image_detail", {"splitted_image_id": key}).json
        assert detail["success"] and detail["message"]["brand"] == "Marlow"


def test_changing_and_deleting(shop: Page, page: Page) -> None:
    path = "/splitted_images/my_photo_1_segment_0"
    assert shop.call("PUT", path, {"label": "dress"}).json["data"]["label"] == "dress"
    assert page.call("DELETE", path).status == 401 and page.call("GET", path).status == 200
    gone = shop.call("DELETE", path).json
    assert gone["success"] and gone["message"] and page.call("GET", path).status == 404


def test_cancelling_without_an_account(server: Server, page: Page) -> None:
    large = base64.b64encode(jpeg(sample_photo(3).resize((5400, 7200)))).decode()
    for call, name in (("cancel_request", "first"), ("cancel_processing", "second")):
        with ThreadPoolExecutor() as pool:
            asked = {"image_base64": large, "num": 5, "request_id": name}
            running = pool.submit(Page(server).call, "POST", "/relay_image", asked)
            said = cancelled(page, f"/{call}/{name}", running.done)
            assert said["success"] and said["status"] == "success" and said["message"]
            assert running.result().json["status"] == "cancelled"
        status = page.call("GET", f"/request_status/{name}").json["status"]
        assert status == "cancelled"
    assert page.call("GET", "/request_status/never").json["status"] == "not_found"
    recent = page.call("GET", "/request_status/recent").json["requests"]
    assert {"first", "second"} <= {one["id"] for one in recent}
    times = [one["timestamp"] for one in recent]
    assert times == sorted(times, reverse=True) and abs(times[0] - time.time()) < 600 and recent[0]["age"] >= 0
    said = page.call("POST", "/cleanup_requests", {"max_age_seconds": 0}).json
    assert said["status"] == "success" and said["message"]


def cancelled(page: Page, path: str, is_over: Any) -> dict[str, Any]:
    while not is_over():
        said: dict[str, Any] = page.call("POST", path).json
        if said["success"]:
            return said
    raise AssertionError("it was over before it could be cancelled")


def test_history(shop: Page) -> None:
    found = shop.call("POST", "/relay_image", {"image_base64": DATA, "num": 2}).json
    said = shop.call("GET", f"/search_history/{found['request_id']}").json
    assert said["success"] and said["message"] and len(said["data"]["results"]) == len(found["results"])
