"""Synchronization with product feeds: what it fetches, embeds and stores, and what happens when it is interrupted."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Conflict, Forbidden, Unavailable
from lookalike.domain.filter import Condition
from lookalike.domain.model import Detection, ProductDetails
from lookalike.domain.product import FeedLine, InvalidFeedLine, Money, Product
from lookalike.domain.stored_product import product_photo_name
from lookalike.usecases.catalog_sync import SyncOptions, SyncReport
from tests.fakes.models import FakeEmbedder
from tests.usecases.catalog_sync_harness import Line, SyncHarness
from tests.usecases.upload_harness import encode_photo


@pytest.fixture
def shop() -> SyncHarness:
    return SyncHarness()


DRESS: dict[str, Any] = {
    "title": "Linen top",
    "description": "With buttons",
    "link": "https://shop.example/1",
    "brand": "Marlow",
    "price": Money(Decimal("79.99"), "EUR"),
    "sale_price": Money(Decimal("59.99"), "EUR"),
    "size": ("S", "M"),
    "product_type": "Women > Tops",
    "extra": {"custom_label_0": "summer", "season": "spring", "gtin": "1"},
}


def test_new_product_is_stored_with_its_garment_and_details(shop: SyncHarness) -> None:
    report = shop.sync([shop.product("1", **DRESS)])
    assert (report.new, report.failed, report.pictures_stored) == (1, 0, 1)
    stored = shop.catalog.products(["1"])["1"]
    (picture,) = stored.pictures
    sha256 = hashlib.sha256(encode_photo("red")).hexdigest()
    assert (picture.sha256, picture.photo) == (sha256, product_photo_name(sha256))
    # the top, although the skirt is larger
    assert picture.garment == f"{picture.photo}_segment_0"
    assert shop.details("1") == ProductDetails(
        picture.garment,
        brand="Marlow",
        product_name="Linen top",
        store_description="With buttons",
        url="https://shop.example/1",
        tags=["Women", "Tops", "summer"],
        sale_status="on sale",
        size=["S", "M"],
        season="spring",
    )
    assert shop.catalog.details([f"{picture.photo}_segment_1", str(picture.photo)]) == {}
    below_80 = {"price": Condition((), None, 80), "label": Condition(("top",))}
    assert len(shop.catalog.matching_row_ids(FakeEmbedder.name, below_80)) == 1


def test_second_sync_of_300_products_only_asks_whether_pictures_have_changed(shop: SyncHarness) -> None:
    colors = [f"#{number:06x}" for number in range(0, 300 * 50_000, 50_000)]
    feed = [shop.product(str(number), color, title=f"No. {number}") for number, color in enumerate(colors)]
    first = shop.sync(feed)
    assert (first.new, first.pictures_stored, len(shop.photos())) == (300, 300, 300)
    state, embedded = shop.state(), shop.embedder.count
    shop.web.full.clear()
    second = shop.sync(feed)
    assert (second.unchanged, second.pictures_unchanged, second.gone) == (300, 300, 0)
    assert not shop.web.full and sum(shop.web.not_modified.values()) == 300
    assert shop.embedder.count == embedded and shop.state() == state
    assert shop.outcomes() == [(number, "unchanged", str(number - 1)) for number in range(1, 301)]


def test_unchanged_feed_does_not_load_the_models(shop: SyncHarness) -> None:
    feed = [shop.product("1")]
    shop.sync(feed)
    shop.make_ingest = None  # type: ignore[assignment,method-assign]
    assert shop.sync(feed).unchanged == 1


def test_changed_text_embeds_nothing_and_may_change_the_garment(shop: SyncHarness) -> None:
    shop.sync([shop.product("1", **DRESS)])
    embedded = shop.embedder.count
    report = shop.sync([shop.product("1", title="Skirt", brand="Ost")])
    assert (report.changed, report.pictures_unchanged, shop.embedder.count) == (1, 1, embedded)
    details = shop.details("1")
    assert details and details.image_id.endswith("_segment_1") and details.brand == "Ost"
    photo = shop.catalog.products(["1"])["1"].pictures[0].photo
    assert shop.catalog.details([f"{photo}_segment_0"]) == {}


def test_changed_picture_replaces_the_photo(shop: SyncHarness) -> None:
    shop.sync([shop.product("1", **DRESS)])
    old = shop.catalog.products(["1"])["1"]
    report = shop.sync([shop.product("1", "blue", **DRESS)])
    new = shop.catalog.products(["1"])["1"]
    assert (report.changed, report.pictures_stored) == (1, 1)
    assert shop.photos() == new.photos and not new.photos & old.photos
    assert shop.details("1") and shop.catalog.details(sorted(old.garments)) == {}
    assert not [path for path in shop.paths() if path.split("/")[0] in old.photos]


@pytest.mark.parametrize("sends_etags", [True, False])
def test_same_picture_at_a_new_address_is_not_stored_again(shop: SyncHarness, sends_etags: bool) -> None:
    shop.web.sends_etags = sends_etags
    product = shop.product("1", **DRESS)
    shop.sync([product])
    embedded, photos = shop.embedder.count, shop.photos()
    moved = replace(product, pictures=(shop.add_picture("moved"),))
    report = shop.sync([moved])
    assert (report.changed, report.pictures_unchanged, report.pictures_stored) == (1, 1, 0)
    assert shop.embedder.count == embedded and shop.photos() == photos and shop.details("1")
    # without ETags, the bytes tell that nothing has changed
    assert shop.sync([moved]).unchanged == 1 and shop.embedder.count == embedded


def test_every_picture_of_a_product_is_a_view_of_it(shop: SyncHarness) -> None:
    pictures = shop.add_picture("front"), shop.add_picture("back", "blue")
    shop.sync([Product("1", title="Top", pictures=pictures)])
    stored = shop.catalog.products(["1"])["1"]
    assert len(stored.garments) == 2 and len(shop.catalog.details(sorted(stored.garments))) == 2
    shop.sync([Product("1", title="Top", pictures=pictures[1:])])
    assert len(shop.photos()) == 1


def test_variants_share_a_picture(shop: SyncHarness) -> None:
    address = shop.add_picture("shared")
    feed = [Product(name, title=f"Top {name}", pictures=(address,)) for name in "cab"]
    report = shop.sync(feed)
    assert (report.new, len(shop.photos()), shop.embedder.count) == (3, 1, 2)
    details = shop.details("c")
    assert details and details.product_name == "Top a"
    shop.sync(feed[:1] + feed[2:], delete_missing=True, force=True)
    details = shop.details("c")
    assert details and details.product_name == "Top b" and len(shop.photos()) == 1
    shop.sync([], delete_missing=True, force=True)
    assert not shop.photos() and not shop.catalog.has_text("top")


def test_bad_lines_stop_nothing_and_are_tried_again(shop: SyncHarness) -> None:
    shop.web.pages["https://shop.example/text.png"] = b"no picture"
    shop.web.pages["https://shop.example/private.png"] = Forbidden("is a private address")
    feed: list[Line] = [
        shop.product("1"),
        InvalidFeedLine(2, "price: is not a number", "2"),
        Product("3", pictures=("https://shop.example/text.png",)),
        Product("4", pictures=(shop.add_picture("4"), "https://shop.example/missing.png")),
        shop.product("1", "blue"),
        InvalidFeedLine(6, "id: is missing"),
        Product("7", pictures=("https://shop.example/private.png",)),
        shop.product("8", "green", price=Money(Decimal(1), "EUR"), sale_price=Money(Decimal(1), "USD")),
    ]
    report = shop.sync(feed)
    assert (report.lines, report.new, report.failed) == (8, 1, 7)
    expected = [(1, "stored", "1"), (2, "failed", "2"), (3, "failed", "3"), (4, "failed", "4"), (5, "failed", "1")]
    assert shop.outcomes() == [*expected, (6, "failed", None), (7, "failed", "7"), (8, "failed", "8")]
    reasons = {one.number: one.reason or "" for one in shop.catalog.lines("shop")}
    assert reasons[2] == "price: is not a number" and reasons[5] == "id: line 1 has the same"
    assert reasons[4].startswith("https://shop.example/missing.png: ") and "private" in reasons[7]
    # the other picture of the product is stored
    assert shop.details("4")
    shop.web.pages["https://shop.example/text.png"] = encode_photo("white")
    shop.web.pages["https://shop.example/missing.png"] = encode_photo("black")
    report = shop.sync([*feed[:1], *feed[2:4]])
    assert (report.unchanged, report.changed, report.failed) == (1, 2, 0)
    assert [status for _, status, _ in shop.outcomes()] == ["unchanged", "stored", "stored"]


def test_picture_that_cannot_be_fetched_any_more_is_kept(shop: SyncHarness) -> None:
    feed = [shop.product("1", **DRESS)]
    shop.sync(feed)
    page, state = shop.web.pages.copy(), shop.photos()
    shop.web.pages = {feed[0].pictures[0]: Unavailable("The host does not respond")}
    assert shop.sync(feed).failed == 1 and shop.photos() == state and shop.details("1")
    shop.web.pages = page
    embedded = shop.embedder.count
    assert shop.sync(feed).unchanged == 1 and shop.embedder.count == embedded


def test_photo_that_was_deleted_is_stored_again(shop: SyncHarness) -> None:
    feed = [shop.product("1", **DRESS)]
    shop.sync(feed)
    for number in range(2):
        (photo,) = shop.catalog.products(["1"])["1"].photos
        shop.segments.delete_segment(f"{photo}_segment_{number}")
    report = shop.sync(feed)
    assert report.pictures_stored == 1 and shop.details("1")


def test_missing_products_are_marked_and_deleted_only_if_asked_for(shop: SyncHarness) -> None:
    feed = [shop.product(str(number), f"#0000{number:02x}") for number in range(10, 20)]
    shop.sync(feed)
    shop.sync(feed[:3], feed="other")
    report = shop.sync(feed[2:])
    assert (report.gone, report.deleted, len(shop.photos())) == (2, 0, 10)
    gone = {name: one.gone for name, one in shop.catalog.products(["10", "11", "12"]).items()}
    assert gone["10"] == gone["11"] == shop.now and gone["12"] is None
    assert shop.sync(feed[2:]).gone == 0
    # back again
    report = shop.sync(feed[1:])
    assert (report.changed, report.unchanged) == (1, 8)
    report = shop.sync(feed[2:], delete_missing=True)
    assert (report.deleted, report.gone, report.refused) == (2, 1, None)
    assert set(shop.catalog.products(["10", "11", "12"])) == {"12"} and len(shop.photos()) == 8


def test_more_than_a_fifth_is_deleted_only_by_force(shop: SyncHarness) -> None:
    feed = [shop.product(str(number)) for number in range(10)]
    shop.sync(feed)
    report = shop.sync(feed[3:], delete_missing=True)
    assert report.deleted == 0 and report.gone == 3 and report.refused and "3 of 10" in report.refused
    invalid: list[Line] = [*feed[1:], InvalidFeedLine(99, "id: is missing")]
    assert "no readable id" in (shop.sync(invalid, delete_missing=True).refused or "")
    assert len(shop.catalog.product_ids_of_feed("shop")) == 10
    known: list[Line] = [*feed[1:], InvalidFeedLine(99, "price: is wrong", "0")]
    assert shop.sync(known, delete_missing=True).deleted == 0
    assert shop.sync([], delete_missing=True, force=True).deleted == 10
    assert not shop.photos()


def test_dry_run_tells_what_would_happen_and_does_nothing(shop: SyncHarness) -> None:
    feed = [shop.product(str(number)) for number in range(10)]
    shop.sync(feed)
    state, fetched = shop.state(), shop.web.full.total()
    shop.add_picture("5", "blue")
    moved = replace(feed[2], pictures=(shop.add_picture("moved"),))
    lines: list[Line] = [
        replace(feed[1], title="New"),
        moved,
        *feed[3:],
        shop.product("new"),
        InvalidFeedLine(99, "bad", "99"),
    ]
    report = shop.sync(lines, dry_run=True, delete_missing=True)
    assert (report.new, report.changed, report.unchanged, report.failed) == (1, 3, 6, 1)
    assert (report.gone, report.deleted, report.pictures_stored, report.pictures_unchanged) == (1, 1, 3, 7)
    assert shop.state() == state and len(shop.outcomes()) == 10
    # known addresses are asked whether their picture has changed; new ones are not
    assert shop.web.full.total() == fetched + 1 and shop.web.not_modified.total() == 7


def test_product_of_another_feed_is_left_alone(shop: SyncHarness) -> None:
    shop.sync([shop.product("1", title="First")])
    report = shop.sync([shop.product("1", title="Second")], feed="other")
    assert report.failed == 1 and "--name shop" in (report.failures[0].reason or "")
    assert shop.catalog.products(["1"])["1"].product.title == "First"


class Stop(Exception):
    """Stands for the end of the process."""


def interrupted(shop: SyncHarness, calls: int) -> Callable[[], None]:
    """Make the catalog and the store stop at a call number. Returns a function that mends them."""
    count = iter(range(calls))
    originals = {}

    def wrap(owner: object, name: str) -> None:
        original = originals[owner, name] = getattr(owner, name)

        def call(*args: object, **kwargs: object) -> object:
            if next(count, None) is None:
                raise Stop
            return original(*args, **kwargs)

        setattr(owner, name, call)

    for name in ("save_product", "record_lines", "add_photo", "delete_segment", "delete_product", "delete_lines"):
        wrap(shop.catalog, name)
    wrap(shop.store, "put")

    def mend() -> None:
        for owner, name in originals:
            delattr(owner, name)

    return mend


def changed_feed(shop: SyncHarness) -> Iterator[Product]:
    """A feed with a new, a changed and a moved product, and one with a new picture. Product 5 is missing."""
    yield shop.product("1", **DRESS)
    yield shop.product("2", "yellow", title="Skirt")
    yield replace(shop.product("3", "green"), pictures=(shop.add_picture("moved", "green"),))
    yield shop.product("4", "white", title="Other top")
    yield shop.product("6", "purple")
    yield shop.product("7", "#0000ff")


def first_feed(shop: SyncHarness) -> list[Product]:
    colors = {"1": "red", "2": "blue", "3": "green", "4": "white", "5": "black", "7": "#0000ff"}
    return [shop.product(name, color, title="Top") for name, color in colors.items()]


def test_interrupted_sync_gives_the_same_result_when_it_is_repeated() -> None:
    expected = SyncHarness()
    expected.sync(first_feed(expected))
    expected.sync([*changed_feed(expected)], delete_missing=True)
    for calls in range(40):
        shop = SyncHarness()
        shop.sync(first_feed(shop))
        feed = [*changed_feed(shop)]
        mend = interrupted(shop, calls)
        try:
            shop.sync(feed, threads=1, delete_missing=True)
            is_complete = True
        except Stop:
            is_complete = False
        mend()
        # after a power failure, uploads are not cleaned up
        shop.now += timedelta(days=1)
        shop.sync(feed, delete_missing=True)
        assert shop.state() == expected.state(), calls
        if is_complete:
            return
    raise AssertionError("never completed")


def test_cancelled_sync_stops(shop: SyncHarness) -> None:
    cancel = CancelToken()
    lines = (FeedLine(number, shop.product(str(number))) for number in range(50))

    def stop_after_three(report: SyncReport) -> None:
        if report.lines == 3:
            cancel.cancel()

    with pytest.raises(Cancelled):
        shop.make_sync(1).sync("shop", lines, SyncOptions(), cancel, stop_after_three)
    assert 3 <= len(shop.catalog.product_ids_of_feed("shop")) < 50


def test_outage_of_the_store_is_no_failure_of_a_line(shop: SyncHarness) -> None:
    shop.store.is_unavailable = True
    with pytest.raises(Unavailable):
        shop.sync([shop.product("1")])
    shop.store.is_unavailable = False
    assert shop.outcomes() == [] and shop.sync([shop.product("1")]).new == 1


def test_vectors_of_whole_photos_are_stored_if_no_garment_is_found(shop: SyncHarness) -> None:
    detections: list[Detection] = []
    shop.detector.detections = detections
    assert shop.sync([shop.product("1")]).new == 1
    assert shop.details("1") and np.isfinite(shop.catalog.changes(FakeEmbedder.name, 0).vectors).all()


def test_syncs_of_one_feed_exclude_each_other(shop: SyncHarness) -> None:
    line = FeedLine(1, shop.product("1"))
    refused = list[str]()

    def sync_again(report: SyncReport) -> None:
        with pytest.raises(Conflict) as raised:
            shop.sync([shop.product("2")])
        refused.append(raised.value.message)
        assert shop.sync([shop.product("2")], dry_run=True).new == 1
        assert shop.sync([shop.product("3")], feed="other").new == 1

    shop.make_sync().sync("shop", [line], SyncOptions(), on_progress=sync_again)
    assert refused == ["The feed 'shop' is being synchronized by another process: try again when it has finished"]
    assert shop.sync([line]).unchanged == 1
