"""Ingestions: reports of the ledger, and retries of failed objects within a time limit."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import DeadlineExceeded, Unavailable
from lookalike.domain.ledger import LedgerSelection
from lookalike.domain.model import Detection, LedgerEntry, LedgerStatus, StoredObject
from lookalike.images import MAX_BYTES
from lookalike.usecases.bucket_ingest import BucketIngest
from lookalike.usecases.ingest import DELETED_REASON, SUPERSEDED_REASON, Source
from lookalike.usecases.ingestions import Ingestions
from lookalike.usecases.models import Models
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.usecases.upload_harness import BLUE, RED, UploadHarness

EVERYTHING = LedgerSelection()
DONE, FAILED = LedgerStatus.DONE, LedgerStatus.FAILED


@dataclass
class World:
    """Ingestions of the bucket "shop" with fakes."""

    harness: UploadHarness
    ingestions: Ingestions

    def put(self, name: str, data: bytes) -> StoredObject:
        """Write or overwrite an object."""
        existing = self.harness.store.stat(name)
        return self.harness.store.put(name, data, "image/png", existing.generation if existing else 0)

    def fail(self, name: str, data: bytes | None = b"broken", bucket: str = "shop") -> Source:
        """Write an object, unless `data` is `None`, and record that its ingestion failed."""
        generation = self.put(name, data).generation if data is not None else 1
        source = Source(bucket, name, str(generation))
        self.ingestions.objects.ingest.record_failure(source, "the detector was away")
        return source

    def entry(self, source: Source) -> LedgerEntry:
        """Return the recorded outcome of a version."""
        outcomes = self.ingestions.objects.ingest.recorded_outcomes(source.bucket, [source.name])
        return outcomes[source.name, source.generation]


def make_world(prefix: str = "", time_limit: float = 30, minutes_ahead: float = 0) -> World:
    harness = UploadHarness()
    objects = BucketIngest(harness.make_ingest(), harness.store, prefix, time_limit)

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes_ahead)

    return World(harness, Ingestions(objects, harness.catalog, "shop", clock))


def test_report_has_counts_and_rates_of_all_states() -> None:
    world = make_world()
    for number in range(20):
        world.ingestions.objects.ingest_version(source_of(world.put(f"incoming/{number}.png", RED)))
    world.fail("incoming/bad.png")
    report = world.ingestions.report(LedgerSelection(FAILED, "shop", "incoming/"), 10, None)
    assert [(entry.name, entry.reason) for entry in report.page.entries] == [
        ("incoming/bad.png", "the detector was away")
    ]
    assert report.counts == {DONE: 20, FAILED: 1}
    assert report.photos_per_minute == {1: 20, 10: 2, 60: pytest.approx(1 / 3)}
    others = world.ingestions.report(LedgerSelection(prefix="other/"), 10, None)
    assert others.counts == {DONE: 0, FAILED: 0} and others.photos_per_minute == {1: 0, 10: 0, 60: 0}


def test_rate_counts_only_the_photos_of_its_period() -> None:
    world = make_world(minutes_ahead=5)
    world.ingestions.objects.ingest_version(source_of(world.put("incoming/a.png", RED)))
    assert world.ingestions.report(EVERYTHING, 10, None).photos_per_minute == {1: 0, 10: 0.1, 60: pytest.approx(1 / 60)}


def source_of(stored: StoredObject) -> Source:
    return Source("shop", stored.path, str(stored.generation))


def test_retry_stores_what_can_be_read_now() -> None:
    world = make_world()
    good, bad = world.fail("incoming/good.png", RED), world.fail("incoming/bad.png")
    result = world.ingestions.retry(EVERYTHING, 100)
    assert (result.retried, result.stored, result.remaining, result.cursor) == (2, 1, 0, None)
    assert [entry.name for entry in result.failed] == [bad.name]
    assert world.entry(good).photo == "incoming-good" and world.entry(good).status is DONE
    assert world.entry(bad).status is FAILED and world.entry(bad).reason != "the detector was away"
    assert world.ingestions.retry(EVERYTHING, 100).retried == 1


def test_retry_ingests_the_current_version_of_an_overwritten_object() -> None:
    world = make_world()
    old = world.fail("incoming/a.png")
    new = source_of(world.put("incoming/a.png", RED))
    assert world.ingestions.retry(EVERYTHING, 100).stored == 1
    assert world.entry(new).photo == "incoming-a"
    assert (world.entry(old).status, world.entry(old).reason) == (DONE, SUPERSEDED_REASON)


def test_retry_of_a_version_whose_successor_is_stored_only_records_it() -> None:
    world = make_world()
    old = world.fail("incoming/a.png")
    world.ingestions.objects.ingest_version(source_of(world.put("incoming/a.png", RED)))
    result = world.ingestions.retry(EVERYTHING, 100)
    assert (result.retried, result.stored, result.superseded) == (1, 0, 1)
    assert world.entry(old).reason == SUPERSEDED_REASON


def test_retry_of_a_deleted_object_says_so_and_ends_the_failure() -> None:
    world = make_world()
    gone, invalid = world.fail("incoming/gone.png", None), world.fail("../x\0", None)
    result = world.ingestions.retry(EVERYTHING, 100)
    assert (result.retried, result.deleted, result.failed) == (2, 2, [])
    for source in (gone, invalid):
        assert (world.entry(source).status, world.entry(source).reason) == (DONE, DELETED_REASON)
    assert world.ingestions.retry(EVERYTHING, 100).retried == 0


def test_retry_of_a_file_that_is_too_large_fails_without_reading_it() -> None:
    world = make_world()
    source = world.fail("incoming/large.png", bytes(MAX_BYTES + 1))
    assert len(world.ingestions.retry(EVERYTHING, 100).failed) == 1
    assert "at most" in (world.entry(source).reason or "")


def test_retry_selects_by_prefix_and_names() -> None:
    world = make_world()
    for name in ("incoming/a/1.png", "incoming/a/2.png", "incoming/b/3.png"):
        world.fail(name, RED)
    names = ["incoming/a/2.png", "incoming/unknown.png"]
    assert world.ingestions.retry(LedgerSelection(names=names, bucket="shop"), 100).stored == 1
    assert world.ingestions.retry(LedgerSelection(prefix="incoming/a/"), 100).stored == 1
    assert world.ingestions.retry(EVERYTHING, 100).stored == 1


def test_retries_with_a_limit_try_each_failure_once() -> None:
    """Also failures that fail again, which are the newest failures then."""
    world = make_world()
    sources = {world.fail(f"incoming/{number}.png") for number in range(7)}
    tried, remaining, cursor = list[str](), list[int](), None
    for _ in range(4):
        result = world.ingestions.retry(EVERYTHING, 2, cursor)
        tried += [entry.name for entry in result.failed]
        remaining.append(result.remaining)
        cursor = result.cursor
    assert remaining == [5, 3, 1, 0] and cursor is None
    assert sorted(tried) == sorted(source.name for source in sources)


def test_retry_reports_failures_of_other_buckets_and_does_not_touch_them() -> None:
    world = make_world()
    world.fail("incoming/a.png", RED)
    folder = [world.fail(f"{number}.png", RED, "file:/photos") for number in range(3)]
    result = world.ingestions.retry(EVERYTHING, 100)
    assert (result.stored, result.elsewhere) == (1, {"file:/photos": 3})
    result = world.ingestions.retry(LedgerSelection(bucket="file:/photos"), 100)
    assert (result.retried, result.elsewhere) == (0, {"file:/photos": 3})
    assert all(world.entry(source).status is FAILED for source in folder)


def test_retry_finds_objects_by_full_and_by_relative_name_in_a_store_with_a_prefix() -> None:
    world = make_world(prefix="closet/")
    relative, full = world.fail("incoming/a.png", RED), world.put("incoming/b.png", BLUE)
    named_in_full = Source("shop", "closet/incoming/b.png", str(full.generation))
    outside = Source("shop", "other/c.png", "1")
    for source in (named_in_full, outside):
        world.ingestions.objects.ingest.record_failure(source, "the detector was away")
    result = world.ingestions.retry(EVERYTHING, 100)
    assert (result.stored, result.deleted, result.elsewhere) == (2, 0, {"shop": 1})
    assert world.entry(relative).photo and world.entry(named_in_full).photo
    assert world.entry(outside).status is FAILED


class StallingDetector(FakeDetector):
    """Detects the garments of `photos` photos. With the next ones it is busy until they are cancelled."""

    photos = 2

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        self.photos -= 1
        while self.photos < 0:
            cancel.check()
            time.sleep(0.01)
        return super().detect(image, cancel, thorough)


class UnavailableDetector(FakeDetector):
    """Detects the garments of one photo, and is unavailable then."""

    photos = 1

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        self.photos -= 1
        if self.photos < 0:
            raise Unavailable("The detector is away")
        return super().detect(image, cancel, thorough)


def test_retry_stops_at_the_time_limit_and_continues_from_the_cursor() -> None:
    world = make_world(time_limit=1)
    for number in range(5):
        world.fail(f"incoming/{number}.png", RED)
    detector = StallingDetector(make_detection())
    world.harness.upload = replace(world.harness.upload, models=Models(detector, FakeEmbedder(), 4))
    world.ingestions = replace(
        world.ingestions, objects=replace(world.ingestions.objects, ingest=world.harness.make_ingest())
    )
    first = world.ingestions.retry(EVERYTHING, 100)
    assert (first.stored, first.remaining, first.failed) == (2, 3, []) and first.cursor
    detector.photos = 100
    rest = world.ingestions.retry(EVERYTHING, 100, first.cursor)
    assert (rest.stored, rest.remaining, rest.cursor) == (3, 0, None)


def test_retry_raises_if_time_or_database_end_before_the_first_photo() -> None:
    world = make_world(time_limit=-1)
    source = world.fail("incoming/a.png", RED)
    with pytest.raises(DeadlineExceeded):
        world.ingestions.retry(EVERYTHING, 100)
    world.harness.store.is_unavailable = True
    world.ingestions = replace(world.ingestions, objects=replace(world.ingestions.objects, time_limit=30))
    with pytest.raises(Unavailable):
        world.ingestions.retry(EVERYTHING, 100)
    assert world.entry(source).status is FAILED


def test_retry_ends_without_a_cursor_if_nothing_remains() -> None:
    """Clients repeat the request until the cursor is null."""
    world = make_world()
    for number in range(2):
        world.fail(f"incoming/{number}.png", RED)
    cursor = world.ingestions.retry(EVERYTHING, 1).cursor
    assert cursor
    elsewhere = world.ingestions.retry(LedgerSelection(bucket="file:/photos"), 100, cursor)
    assert (elsewhere.retried, elsewhere.cursor) == (0, None)
    # another client retries the rest
    assert world.ingestions.retry(EVERYTHING, 100).retried == 1
    again = world.ingestions.retry(EVERYTHING, 100, cursor)
    assert (again.retried, again.remaining, again.cursor) == (0, 0, None)


def test_error_that_ends_a_retry_early_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = make_world()
    detector = UnavailableDetector(make_detection())
    world.harness.upload = replace(world.harness.upload, models=Models(detector, FakeEmbedder(), 4))
    ingest = world.harness.make_ingest()
    world.ingestions = replace(world.ingestions, objects=replace(world.ingestions.objects, ingest=ingest))
    for number in range(3):
        world.fail(f"incoming/{number}.png", RED)
    result = world.ingestions.retry(EVERYTHING, 100)
    assert (result.retried, result.remaining) == (1, 2) and result.cursor
    (record,) = (record for record in caplog.records if record.name == "lookalike.ingestions")
    assert record.exc_info and record.exc_info[0] is Unavailable
