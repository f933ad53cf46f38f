"""`lookalike catalog sync`, killed at random points again and again, and finished at last."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from lookalike.bootstrap import Services, services
from lookalike.domain.errors import Conflict
from lookalike.domain.stored_product import LineStatus, product_photo_name
from lookalike.usecases.catalog_sync import SyncOptions
from lookalike.usecases.catalog_sync.sync import UNUSED_PHOTO_AGE
from lookalike.usecases.sweep import sweep
from tests.conftest import jpeg
from tests.emulators.web_server import Handler, WebServer, web_server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PRODUCTS = 25
KILLS = 3
"""Kills of each of the two synchronizations."""
SEED = 20261129
COLUMNS = "id,title,price,brand,product_type,image_link,additional_image_link"


@dataclass
class Shop:
    """A feed, the web server with its pictures, and the expected file of each picture."""

    server: WebServer
    folder: Path
    pictures: dict[str, bytes] = field(default_factory=dict)

    @property
    def feed(self) -> Path:
        """The file of the feed."""
        return self.folder / "shop.csv"

    def show(self, path: str, number: int) -> str:
        """Serve a picture at a path, instead of an earlier one. Returns its address."""
        image = sample_photo(number)
        image.thumbnail((160, 160), Image.Resampling.LANCZOS)
        data = jpeg(image)
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        address = f"http://127.0.0.1:{self.server.server_port}{path}"
        self.pictures[address] = data

        def respond(handler: Handler) -> None:
            if handler.headers.get("If-None-Match") == etag:
                handler.reply(304, ETag=etag)
            else:
                handler.reply(200, data, ETag=etag, Content_Type="image/jpeg")

        self.server.responses[path] = respond
        return address

    def write_feed(self, products: range, pictures: int) -> None:
        """Write the feed. Every third product has a second picture, every fifth shares its first one with the next.

        `pictures` is the number of the first picture. The line of one more product cannot be used.
        """
        self.pictures.clear()
        rows = [COLUMNS]
        for number in products:
            first = self.show(f"/{number - (number % 5 == 1)}.jpg", pictures + number - (number % 5 == 1))
            second = self.show(f"/{number}-b.jpg", pictures + number + 100) if number % 3 == 0 else ""
            rows.append(f"P{number:02},Dress {pictures},{number}.50 EUR,Ost,Dresses,{first},{second}")
        self.feed.write_text("\n".join([*rows, "bad,Dress,cheap,Ost,,,"]))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start `lookalike catalog sync`."""
        command = [sys.executable, "-c", "from lookalike.cli import main; main()", "catalog", "sync", str(self.feed)]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([*command, *options], env=os.environ, cwd=self.folder, stdout=log, stderr=log)


@pytest.fixture
def shop(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with ExitStack() as stack:
        server = stack.enter_context(web_server())
        monkeypatch.setenv("PICTURE_HOSTS", f"127.0.0.1:{server.server_port},127.0.0.0/8")
        yield Shop(server, tmp_path)
        services.cache_clear()


def test_killed_syncs_lose_and_repeat_nothing(shop: Shop) -> None:
    chance = random.Random(SEED)
    shop.write_feed(range(PRODUCTS), pictures=0)
    kill_and_finish(shop, chance)
    check_state(services(), shop, range(PRODUCTS))
    # every picture is another one at the same address, and a fifth of the products is gone
    left = range(PRODUCTS // 5, PRODUCTS)
    shop.write_feed(left, pictures=200)
    kill_and_finish(shop, chance, "--delete-missing", "--force")
    check_state(services(), shop, left)
    shop.server.received.clear()
    assert shop.start().wait() == 1, "a line cannot be used"
    assert all("if-none-match" in one.headers for one in shop.server.received)
    check_state(services(), shop, left)


def kill_and_finish(shop: Shop, chance: random.Random, *options: str) -> None:
    """Kill the synchronization several times while it works, then let it finish."""
    killed = 0
    for _ in range(KILLS):
        process = shop.start(*options)
        wait_for_commits(process, chance.randint(2, 20))
        time.sleep(chance.uniform(0, 0.05))
        if process.poll() is None:
            # it excludes this process, and in the next round the killed one excludes nobody
            with pytest.raises(Conflict):
                services().catalog_sync.sync("shop", [], SyncOptions())
            killed += 1
        process.kill()
        process.wait()
    assert killed == KILLS, "the synchronization must be killed while it works"
    age_photos()
    assert shop.start(*options).wait() == 1, "a line cannot be used"


def wait_for_commits(process: subprocess.Popen[bytes], count: int) -> None:
    """Wait until the process has stored or deleted that many photos, or has ended."""
    catalog, embedder = services().catalog, services().models.embedder
    with catalog.snapshot(embedder, 0) as snapshot:
        target = snapshot.last_commit + count
    while process.poll() is None:
        with catalog.snapshot(embedder, target - 1) as snapshot:
            if snapshot.last_commit >= target:
                return
        time.sleep(0.005)


def age_photos() -> None:
    """Let all photos be older than the age from which unused ones are deleted."""
    catalog = services()._sql_catalog
    with catalog.transaction(writes=True) as tx:
        seconds = 2 * int(UNUSED_PHOTO_AGE / timedelta(seconds=1))
        tx.exec_driver_sql(f"UPDATE originals SET create_time = datetime(create_time, '-{seconds} seconds')")


def check_state(here: Services, shop: Shop, numbers: range) -> None:
    """Every product, picture, garment and line is stored once, and nothing else is."""
    catalog = here._sql_catalog
    assert catalog.product_ids_of_feed("shop") == [(f"P{number:02}", False) for number in numbers]
    found = catalog.products([name for name, _ in catalog.product_ids_of_feed("shop")])
    for stored in found.values():
        for picture in stored.pictures:
            data = hashlib.sha256(shop.pictures[picture.address]).hexdigest()
            assert (picture.sha256, picture.photo, picture.reason) == (data, product_photo_name(data), None)
            assert picture.garment in {one.name for one in catalog.segments_of_photo(product_photo_name(data))}
    row_ids = catalog.matching_row_ids(None, {}).tolist()
    segments = catalog.segments(row_ids).values()
    files = {hashlib.sha256(data).hexdigest() for data in shop.pictures.values()}
    assert {one.photo for one in segments} == {product_photo_name(sha256) for sha256 in files}
    assert len(catalog.vectors(here.models.embedder, row_ids)) == len(row_ids)
    garments = sorted({garment for stored in found.values() for garment in stored.garments})
    details = catalog.details([one.name for one in segments])
    assert sorted(details) == garments
    assert {one.product_name for one in details.values()} == {stored.product.title for stored in found.values()}
    outcomes = list(catalog.lines("shop"))
    assert [one.number for one in outcomes] == list(range(2, len(numbers) + 3))
    assert [one.product_id for one in outcomes if one.status is LineStatus.FAILED] == ["bad"]
    check_objects(here)


def check_objects(here: Services) -> None:
    """Every row has its objects. After a sweep, no other objects are left."""
    sweep(here.store, here.catalog, older_than=-5)
    paths = [stored.path for stored in here.store.list()]
    assert set(paths) == here.catalog.referenced_paths(paths)
    row_ids = here.catalog.matching_row_ids(None, {}).tolist()
    for segment in here.catalog.segments(row_ids).values():
        photo = here.catalog.photo(segment.photo)
        assert photo and {segment.path, segment.thumbnail, photo.path} <= {*paths}, segment.name
