"""`POST /catalog/sync`: feeds on the web as jobs, their time limit, and their cancellation."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services, services
from lookalike.usecases.catalog_sync import feeds
from tests.conftest import jpeg
from tests.emulators.web_server import Handler, WebServer, web_server
from tests.functions.harness import Client
from tests.sample_photos import sample_photo

HEADER = "id,title,price,image_link,color_code\n"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server with a feed of six products, each with its own address of the same picture."""
    with web_server() as server:
        base = f"http://127.0.0.1:{server.server_port}"
        lines = [f"{name},Dress,9.99 EUR,{base}/{name}.jpg,{number}" for number, name in enumerate("abcdef")]
        feed, picture = (HEADER + "\n".join(lines)).encode(), jpeg(sample_photo(3))
        server.responses["/shop.csv"] = lambda handler: handler.reply(200, feed, Content_Type="text/csv")
        for name in "abcdef":
            server.responses[f"/{name}.jpg"] = lambda handler: reply_picture(handler, picture)
        monkeypatch.setenv("PICTURE_HOSTS", f"127.0.0.1:{server.server_port},127.0.0.0/8")
        services.cache_clear()
        yield server


def reply_picture(handler: Handler, picture: bytes) -> None:
    handler.reply(200, picture, ETag='"1"', Content_Type="image/jpeg")


@pytest.fixture
def upload(web: WebServer, client: Client) -> FlaskClient:
    return client("upload")


def address(web: WebServer) -> str:
    return f"http://127.0.0.1:{web.server_port}/shop.csv"


def sync(upload: FlaskClient, admin: dict[str, str], web: WebServer, **fields: Any) -> dict[str, Any]:
    response = upload.post("/catalog/sync", json={"feed": address(web), **fields}, headers=admin)
    assert response.status_code == 200, response.get_data(as_text=True)
    data: dict[str, Any] = response.get_json()["data"]
    return data


def test_feed_is_synchronized_and_reported(
    upload: FlaskClient, admin: dict[str, str], web: WebServer, client: Client
) -> None:
    planned = sync(upload, admin, web, dry_run=True)
    assert (planned["new"], planned["dry_run"], planned["is_complete"]) == (6, True, True)
    report = sync(upload, admin, web, name="shop", request_id="first")
    assert (report["feed"], report["new"], report["failed"], report["failures"]) == ("shop", 6, 0, [])
    job = client("cancel").get("/request_status/first", headers=admin).get_json()
    assert (job["kind"], job["status"]) == ("sync", "completed")
    found = client("detail").get("/products?feed.color_code=3").get_json()["data"]
    assert [one["id"] for one in found["products"]] == ["d"] and found["products"][0]["feed"] == "shop"
    web.responses["/shop.csv"] = lambda handler: handler.reply(200, HEADER.encode(), Content_Type="text/csv")
    refused = upload.post(
        "/catalog/sync", json={"feed": address(web), "name": "shop", "delete_missing": True}, headers=admin
    )
    assert "Nothing deleted: 6 of 6 products are missing" in refused.get_json()["message"]
    assert sync(upload, admin, web, name="shop", delete_missing=True, force=True)["deleted"] == 6


def test_it_stops_at_the_time_limit_and_goes_on(
    upload: FlaskClient, admin: dict[str, str], web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = services()
    monkeypatch.setattr(feeds, "STOP_SECONDS", real.settings.request_timeout - 11.5)
    picture, slow = jpeg(sample_photo(3)), threading.Event()

    def reply_late(handler: Handler) -> None:
        slow.wait(30)
        reply_picture(handler, picture)

    web.responses["/f.jpg"] = reply_late
    threading.Timer(2, slow.set).start()
    first = sync(upload, admin, web)
    assert not first["is_complete"] and 0 < first["lines"] < 6 and first["gone"] == 0
    monkeypatch.undo()
    monkeypatch.setenv("PICTURE_HOSTS", f"127.0.0.1:{web.server_port},127.0.0.0/8")
    web.received.clear()
    second = sync(upload, admin, web)
    assert second["is_complete"] and second["lines"] == 6
    fetched = {one.path for one in web.received}
    # what was done is not even asked for
    assert len(fetched - {"/shop.csv"}) == 6 - first["lines"]
    web.received.clear()
    assert sync(upload, admin, web)["unchanged"] == 6 and len(web.received) == 7


def test_cancellation_keeps_what_is_stored(
    upload: FlaskClient, admin: dict[str, str], web: WebServer, client: Client
) -> None:
    answer, picture = threading.Event(), jpeg(sample_photo(3))

    def reply_late(handler: Handler) -> None:
        answer.wait(20)
        reply_picture(handler, picture)

    web.responses["/f.jpg"] = reply_late
    cancel, products, name = client("cancel"), services().browse.products, feeds.feed_name(address(web))

    def cancel_after_a_product() -> None:
        while not products.product_ids_of_feed(name):
            time.sleep(0.05)
        cancel.post("/cancel_request/mine", headers=admin)
        answer.set()

    thread = threading.Thread(target=cancel_after_a_product)
    thread.start()
    response = upload.post("/catalog/sync", json={"feed": address(web), "request_id": "mine"}, headers=admin)
    thread.join()
    assert response.get_json()["status"] == "cancelled"
    assert products.product_ids_of_feed(name)
    assert cancel.get("/request_status/mine", headers=admin).get_json()["status"] == "cancelled"
    assert sync(upload, admin, web)["is_complete"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"feed": "/etc/passwd"}, 422, "feed: "),
        ({"feed": "file:///etc/passwd"}, 422, "feed: "),
        ({"feed": "http://10.0.0.1/feed.csv"}, 403, "10.0.0.1"),
        ({"feed": "http://127.0.0.1/feed.csv?key=secret"}, 403, "127.0.0.1"),
        ({"feed": "http://shop[.example/feed.csv"}, 422, "feed: the address has an invalid host"),
        ({"feed": "gs://bucket"}, 422, "gs://bucket/path"),
        ({"feed": "https://shop.example/a.csv", "currency": "euro"}, 422, "currency: "),
    ],
    ids=str,
)
def test_feeds_that_are_refused(
    client: Client, admin: dict[str, str], real: Services, body: dict[str, str], status: int, message: str
) -> None:
    response = client("upload").post("/catalog/sync", json=body, headers=admin)
    assert response.status_code == status and message in response.get_json()["message"]
    assert "secret" not in response.get_data(as_text=True)
