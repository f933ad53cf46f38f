"""Synchronization with product feeds: going on after an interruption, and photos that are stored already."""

import pytest

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled
from lookalike.domain.product import FeedLine, Product
from lookalike.usecases.catalog_sync import SyncOptions, SyncReport
from tests.usecases.catalog_sync_harness import SyncHarness
from tests.usecases.upload_harness import encode_photo


@pytest.fixture
def shop() -> SyncHarness:
    return SyncHarness()


def test_stored_photo_or_garment_is_linked_by_its_name(shop: SyncHarness) -> None:
    shop.make_ingest().store_photo("look", encode_photo("green"))
    lines = [
        Product("1", title="Top", extra={"image_id": "look"}),
        Product("2", title="Dress", extra={"image_id": "look_segment_1"}),
        Product("3", extra={"image_id": "none"}),
        shop.product("4", extra={"image_id": "look"}),
    ]
    report = shop.sync(lines)
    assert (report.new, report.failed, report.pictures_stored) == (3, 1, 3) and "'none'" in str(report.failures)
    stored = shop.catalog.products(["1", "2", "4"])
    assert stored["1"].garments == {"look_segment_0"} and stored["2"].garments == {"look_segment_1"}
    assert stored["4"].photos != {"look"} and len(shop.photos()) == 2
    assert shop.sync(lines).unchanged == 3
    # the photo is not one of the feed's: it stays
    shop.sync(lines[3:], delete_missing=True, force=True)
    assert "look" in shop.photos() and shop.catalog.product_ids(["look_segment_0"]) == {}


def test_interrupted_synchronization_goes_on_for_a_day(shop: SyncHarness) -> None:
    feed = [shop.product(str(number), f"#{number}00000") for number in range(6)]
    token = CancelToken()

    def stop(report: SyncReport) -> None:
        if report.lines == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        lines = [FeedLine(number, one) for number, one in enumerate(feed, 1)]
        shop.make_sync(1).sync("shop", lines, SyncOptions(), token, stop)
    done = len(shop.outcomes())
    assert 3 <= done < 6
    shop.web.full.clear()
    changed = [shop.product("0", title="New"), *feed[1:]]
    assert shop.sync(changed).lines == 6
    assert shop.web.full.total() == 6 - done + 1 and shop.web.not_modified.total() == 0
    assert shop.sync(changed).unchanged == 6 and shop.web.not_modified.total() == 6


def test_deadline_ends_the_synchronization_with_a_report(shop: SyncHarness) -> None:
    feed = [shop.product(str(number), f"#{number}00000") for number in range(4)]
    shop.sync([*feed, shop.product("gone")])
    token = CancelToken()
    lines = [FeedLine(number, one) for number, one in enumerate(feed, 1)]
    report = shop.make_sync(1).sync("shop", lines, SyncOptions(), token, lambda report: token.expire())
    assert not report.is_complete and report.lines == 1 and report.gone == 0
    assert shop.sync(feed).gone == 1
