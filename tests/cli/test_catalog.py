"""`lookalike catalog sync`, on the built-in models, with feeds and pictures in files, buckets and on the web."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.bootstrap import Services, services
from lookalike.domain.filter import Condition
from lookalike.domain.model import Segment
from lookalike.usecases.catalog_sync.feeds import feed_name
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.emulators.storage_server import storage_server
from tests.emulators.web_server import Handler, WebServer, web_server
from tests.sample_photos import sample_photo

HEADER = "id,title,price,sale_price,availability,brand,image_link,additional_image_link,custom_label_0"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server with three pictures, which pictures and feeds may be fetched from."""
    with web_server() as server:
        for number in (1, 2, 3):
            serve(server, f"/{number}.jpg", jpeg(sample_photo(number + 2)), "image/jpeg")
        monkeypatch.setenv("PICTURE_HOSTS", f"127.0.0.1:{server.server_port},127.0.0.0/8")
        yield server


def serve(server: WebServer, path: str, data: bytes, content_type: str) -> None:
    """Serve a file as most web servers do, with an ETag."""
    etag = f'"{hashlib.md5(data).hexdigest()}"'

    def respond(handler: Handler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            handler.reply(304, ETag=etag)
        else:
            handler.reply(200, data, ETag=etag, Content_Type=content_type)

    server.responses[path] = respond


def write_feed(server: WebServer, *extra: str) -> bytes:
    base = f"http://127.0.0.1:{server.server_port}"
    lines = [
        f"A,Dress,79.99 EUR,59.99 EUR,in stock,Ost,{base}/1.jpg,,summer",
        f'B,Dress,120.00 EUR,,in stock,Marlow,{base}/2.jpg,"{base}/3.jpg",winter',
        *extra,
    ]
    return "\n".join([HEADER, *lines]).encode()


def sync(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("catalog", "sync", *arguments, "--json").stdout)
    return found


def garments(real: Services, **wanted: Condition) -> list[Segment]:
    return list(real.catalog.segments(real.catalog.matching_row_ids(None, wanted).tolist()).values())


def test_feed_is_stored_once_and_can_be_searched(web: WebServer, real: Services) -> None:
    feed = Path("summer.csv")
    feed.write_bytes(write_feed(web))
    planned = sync(feed, "--dry-run")
    assert (planned["new"], planned["pictures_stored"], planned["dry_run"]) == (2, 3, True)
    assert not web.received and not garments(real)
    first = sync(feed)
    assert (first["feed"], first["new"], first["pictures_stored"], first["failed"]) == ("summer", 2, 3, 0)
    web.received.clear()
    again = sync(feed)
    assert (again["unchanged"], again["pictures_unchanged"], again["pictures_stored"]) == (2, 3, 0)
    assert len(web.received) == 3 and all("if-none-match" in one.headers for one in web.received)
    below = garments(real, price=Condition((), None, 80))
    assert len(below) == 1 and real.segments.get_details(below[0].name).sale_status == "on sale"
    assert len(garments(real, product_id=Condition(("B",)))) == 2
    found = json.loads(run("find", "under 80 EUR", "--json").stdout)
    assert [one["splitted_image_id"] for one in found["results"]] == [below[0].name]


def test_failed_lines_are_reported(web: WebServer, real: Services) -> None:
    feed = Path("feed.csv")
    bad = [f"C,Dress,cheap,,,,http://127.0.0.1:{web.server_port}/1.jpg,,", "D,Dress,1 EUR,,,,http://10.0.0.1/1.jpg,,"]
    feed.write_bytes(write_feed(web, *bad, *(f"E{number},Dress,x,,,,,," for number in range(30))))
    result = run("catalog", "sync", feed)
    assert result.exit_code == 1
    assert "  line 4 (C): price:" in result.output and "10.0.0.1" in result.output
    assert "… and 12 more lines" in result.output
    assert "Products: 2 new, 0 changed, 0 unchanged, 32 failed, 0 gone, 0 deleted" in result.output
    assert "Pictures: 3 stored, 0 unchanged, 1 failed, in " in result.output


def test_missing_products_are_deleted_if_asked_for(web: WebServer, real: Services) -> None:
    feed = Path("feed.csv")
    feed.write_bytes(write_feed(web))
    sync(feed)
    feed.write_bytes(write_feed(web).rsplit(b"\n", 1)[0])
    refused = run("catalog", "sync", feed, "--delete-missing")
    assert refused.exit_code == 1 and "Nothing deleted: 1 of 2 products are missing" in refused.output
    assert len(garments(real, product_id=Condition(("B",)))) == 2
    assert sync(feed, "--delete-missing", "--force")["deleted"] == 1
    assert not garments(real, product_id=Condition(("B",))) and garments(real, product_id=Condition(("A",)))
    assert len({one.path.split("/")[0] for one in real.store.list() if one.path.startswith("product-")}) == 1


def test_feed_on_the_web(web: WebServer, real: Services) -> None:
    serve(web, "/shop/feed.csv", write_feed(web), "text/csv")
    address = f"http://127.0.0.1:{web.server_port}/shop/feed.csv?token=secret"
    report = sync(address)
    assert (report["feed"], report["new"]) == (f"127.0.0.1:{web.server_port}/feed", 2)
    missing = run("catalog", "sync", f"http://127.0.0.1:{web.server_port}/none.csv?token=secret")
    assert missing.exit_code == 1 and "404" in missing.output and "secret" not in missing.output


def test_feed_and_pictures_in_a_bucket(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage_server("shop") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        services.cache_clear()
        store = services().open_store("gs://shop")
        store.put("1.jpg", jpeg(sample_photo(3)), "image/jpeg")
        feed = f"{HEADER}\nA,Dress,1 EUR,,,,gs://shop/1.jpg,,\nB,Dress,1 EUR,,,,gs://shop/none.jpg,,\n"
        store.put("feeds/a.csv", feed.encode(), "text/csv")
        first, again = sync("gs://shop/feeds/a.csv"), sync("gs://shop/feeds/a.csv")
        assert (first["feed"], first["new"], first["failed"], first["pictures_stored"]) == ("a", 1, 1, 1)
        assert (again["unchanged"], again["pictures_unchanged"]) == (1, 1)
        assert "gs://shop/none.jpg" in first["failures"][0]["reason"]
        (stored,) = services()._sql_catalog.products(["A"]).values()
        assert stored.pictures[0].etag == str(store.stat("1.jpg").generation)  # type: ignore[union-attr]
        missing = run("catalog", "sync", "gs://shop/none.csv")
        assert missing.exit_code == 1 and "none.csv" in missing.output
    services.cache_clear()


def test_webhook_is_told_at_the_end(web: WebServer, monkeypatch: pytest.MonkeyPatch, real: Services) -> None:
    web.responses["/hook"] = lambda handler: handler.reply(204)
    monkeypatch.setenv("WEBHOOK_URL", f"http://127.0.0.1:{web.server_port}/hook")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    services.cache_clear()
    feed = Path("feed.csv")
    feed.write_bytes(write_feed(web, "C,Dress,cheap,,,,,,"))
    sync(feed, "--dry-run")
    sync(feed)
    (event,) = [json.loads(one.body) for one in web.received if one.path == "/hook"]
    assert event["type"] == "catalog.synced"
    data = event["data"]
    assert (data["source"], data["new"], data["failed_lines"], data["failed"]) == ("feed.csv", 2, 1, 1)
    assert data["failures"][0]["name"] == "line 4"
    services.cache_clear()


@pytest.mark.parametrize("source", ["none.csv", "gs://shop", ".", "http://shop[/a.csv"])
def test_feed_that_cannot_be_opened_is_an_error(real: Services, source: str) -> None:
    result = run("catalog", "sync", source)
    assert result.exit_code == 1 and result.output.startswith("Error: ")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("feeds/summer.csv", "summer"),
        ("gs://shop/feeds/all.tsv", "all"),
        ("https://user@shop.example/a/feed.xml?key=1", "shop.example/feed"),
        ("https://shop.example/", "shop.example"),
        (".csv", ".csv"),
        ("a\n b.csv", "a b"),
        ("x" * 300 + ".csv", "x" * 200),
    ],
)
def test_name_of_a_feed(source: str, name: str) -> None:
    assert feed_name(source) == name
