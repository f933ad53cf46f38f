"""Harness for tests of the synchronization with product feeds."""

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import LookalikeError, NotFound
from lookalike.domain.model import ProductDetails, Vectors
from lookalike.domain.ports.pictures import FetchedPicture, Validators
from lookalike.domain.product import FeedLine, InvalidFeedLine, Product
from lookalike.usecases.catalog_sync import CatalogSync, ProductPictures, SyncOptions, SyncReport
from lookalike.usecases.claims import Claims
from lookalike.usecases.leases import Leases
from lookalike.usecases.models import Models
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.usecases.upload_harness import UploadHarness, encode_photo

Line = Product | FeedLine | InvalidFeedLine


class FakeWeb:
    """Pictures by address, or errors. Counts the requests; `sends_etags` as most servers do."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | LookalikeError] = {}
        self.sends_etags = True
        self.full, self.not_modified = Counter[str](), Counter[str]()
        self._lock = threading.Lock()

    def fetch(self, address: str, known: Validators, cancel: CancelToken) -> FetchedPicture | None:
        cancel.check()
        page = self.pages.get(address, NotFound(f"{address} does not exist"))
        if isinstance(page, LookalikeError):
            raise page
        etag = f'"{hashlib.sha256(page).hexdigest()}"' if self.sends_etags else None
        with self._lock:
            if etag and known.etag == etag:
                self.not_modified[address] += 1
                return None
            self.full[address] += 1
        return FetchedPicture(page, Validators(etag, None))


class CountingEmbedder(FakeEmbedder):
    """Counts the embedded images."""

    def __init__(self) -> None:
        self.count = 0

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        self.count += len(images)
        return super().embed(images, cancel)


class SyncHarness(UploadHarness):
    """Synchronization on fakes. The detector finds a top and a larger skirt in every picture."""

    def __init__(self) -> None:
        super().__init__()
        self.web, self.embedder = FakeWeb(), CountingEmbedder()
        # the catalog's clock, by which photos without a product have an age
        self.now = datetime.now(UTC)
        skirt = make_detection(30, "skirt")
        larger = replace(skirt, box=replace(skirt.box, y2=40.0))
        self.detector = FakeDetector(make_detection(0), larger)
        self.upload = replace(self.upload, models=Models(self.detector, self.embedder, max_waiting=4))

    def sync(
        self,
        lines: Sequence[Product | FeedLine | InvalidFeedLine],
        feed: str = "shop",
        threads: int = 4,
        **options: bool,
    ) -> SyncReport:
        self.now += timedelta(minutes=1)
        feed_lines = [FeedLine(n, one) if isinstance(one, Product) else one for n, one in enumerate(lines, 1)]
        return self.make_sync(threads).sync(feed, feed_lines, SyncOptions(**options))

    def make_sync(self, threads: int = 4) -> CatalogSync:
        """Return the use case as a process of its own has it."""
        pictures = ProductPictures(self.catalog, self.web, self.make_ingest)
        leases = Leases(Claims(self.store, timedelta(seconds=60)))
        return CatalogSync(self.catalog, self.catalog, self.segments, pictures, leases, lambda: self.now, threads)

    def add_picture(self, name: str, color: str = "red") -> str:
        address = f"https://shop.example/{name}.png"
        self.web.pages[address] = encode_photo(color)
        return address

    def product(self, product_id: str, color: str = "red", **fields: Any) -> Product:
        return replace(Product(product_id, pictures=(self.add_picture(product_id, color),)), **fields)

    def details(self, product_id: str) -> ProductDetails | None:
        (garment,) = self.catalog.products([product_id])[product_id].garments
        return self.catalog.details([garment]).get(garment)

    def photos(self) -> set[str]:
        row_ids = self.catalog.changes(FakeEmbedder.name, 0).row_ids.tolist()
        return {segment.photo for segment in self.catalog.segments(row_ids).values()}

    def outcomes(self, feed: str = "shop") -> list[tuple[int, str, str | None]]:
        return [(one.number, one.status.value, one.product_id) for one in self.catalog.lines(feed)]

    def state(self) -> object:
        """Everything that is stored, without the moments and numbers that differ between runs."""
        products = self.catalog.products([name for name, _ in self.catalog.product_ids_of_feed("shop")])
        garments = sorted({garment for one in products.values() for garment in one.garments})
        return products, self.catalog.details(garments), self.photos(), self.paths()
