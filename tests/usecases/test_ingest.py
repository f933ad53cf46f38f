"""Ingestion: one photo for each object, recorded failures, and photo names from paths."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.errors import DeadlineExceeded, Unavailable
from lookalike.domain.model import LedgerEntry, LedgerStatus, Segment
from lookalike.usecases.ingest import SUPERSEDED_REASON, Ingest, Source, photo_name_from_path
from lookalike.usecases.jobs import Jobs
from lookalike.usecases.upload import PHOTO_NAME_PATTERN
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeEmbedder
from tests.fakes.store import FakeStore
from tests.usecases.upload_harness import BLUE, RED, UploadHarness, encode_photo


def test_ingest_stores_photos_and_records_invalid_ones() -> None:
    ingest = UploadHarness().make_ingest()
    valid, invalid = Source("shop", "a/red.png", "1"), Source("shop", "bad.png", "1")
    assert ingest.ingest(valid, RED).photo == "a-red"
    entry = ingest.ingest(invalid, b"no photo")
    assert entry.status is LedgerStatus.FAILED and entry.reason
    known = ingest.recorded_outcomes("shop", ["a/red.png", "bad.png", "new.png"])
    assert set(known) == {("a/red.png", "1"), ("bad.png", "1")}


def test_ingest_gives_similar_paths_different_photo_names() -> None:
    ingest = UploadHarness().make_ingest()
    assert ingest.ingest(Source("shop", "a/red.png", "1"), RED).photo == "a-red"
    other = ingest.ingest(Source("shop", "a-red.png", "1"), BLUE)
    assert other.status is LedgerStatus.DONE and other.photo != "a-red"


def test_ingest_raises_and_does_not_record_transient_errors() -> None:
    harness = UploadHarness()
    ingest = harness.make_ingest()
    harness.store.is_unavailable = True
    with pytest.raises(Unavailable):
        ingest.ingest(Source("shop", "red.png", "1"), RED)
    harness.store.is_unavailable = False
    assert ingest.recorded_outcomes("shop", ["red.png"]) == {}


def claimed_by_a_dead_process(claim_timeout: float, store: FakeStore | None = None, time_limit: float = 0.2) -> Ingest:
    """Return an ingestion after a process on another machine was killed at `red.png`. Times are in seconds."""
    harness = UploadHarness(store, claim_timeout=claim_timeout)
    harness.store.put("red/claim", b"another machine\njob", "text/plain")
    harness.store.put("red/segment_0.png", b"half written", "image/png")
    return replace(harness.make_ingest(), jobs=Jobs(harness.catalog, time_limit))


def test_ingest_without_a_deadline_outlasts_the_claim_of_a_dead_process() -> None:
    """The claim is abandoned later than a job may take, so a single job could not store the photo."""
    ingest = claimed_by_a_dead_process(claim_timeout=2, time_limit=1.5)
    assert ingest.ingest(Source("shop", "red.png", "1"), RED).photo == "red"
    assert ingest.upload.store.get("red/segment_0.png").startswith(b"\x89PNG")


def test_ingest_gives_up_waiting_for_a_claim_that_is_never_abandoned() -> None:
    hour_ahead = FakeStore(lambda: datetime.now(UTC) + timedelta(hours=1))
    ingest = claimed_by_a_dead_process(claim_timeout=0.2, store=hour_ahead)
    with pytest.raises(DeadlineExceeded, match="Another upload"):
        ingest.ingest(Source("shop", "red.png", "1"), RED)


def test_ingest_with_a_deadline_does_not_wait_for_a_claim_beyond_it() -> None:
    ingest = claimed_by_a_dead_process(claim_timeout=60)
    source, start = Source("shop", "red.png", "1"), time.monotonic()
    with pytest.raises(DeadlineExceeded):
        ingest.ingest(source, RED, deadline=start + 0.1)
    assert ingest.recorded_outcomes("shop", ["red.png"]) == {}


def photos_of(harness: UploadHarness) -> set[str]:
    row_ids = harness.catalog.changes(FakeEmbedder.name, 0).row_ids.tolist()
    return {segment.photo for segment in harness.catalog.segments(row_ids).values()}


def test_newer_version_replaces_the_photo_and_an_older_one_that_comes_late_does_not() -> None:
    harness = UploadHarness()
    ingest, colors = harness.make_ingest(), {"9": "red", "10": "blue", "8": "green"}
    for generation, color in colors.items():
        ingest.ingest(Source("shop", "a.png", generation), encode_photo(color))
    entries = ingest.recorded_outcomes("shop", ["a.png"])
    assert photos_of(harness) == {entries["a.png", "10"].photo}
    assert (entries["a.png", "8"].photo, entries["a.png", "8"].reason) == (None, SUPERSEDED_REASON)


def test_two_versions_ingested_at_the_same_time_leave_one_photo() -> None:
    """The newer version is stored and recorded after the older one has read the ledger."""

    class InterruptedCatalog(FakeCatalog):
        reads = 0

        def ledger_entries(self, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
            entries = super().ledger_entries(bucket, names)
            self.reads += 1
            if self.reads == 1:
                ingest.ingest(Source("shop", "a.png", "2"), BLUE)
            return entries

    harness = UploadHarness(catalog=InterruptedCatalog())
    ingest = harness.make_ingest()
    entry = ingest.ingest(Source("shop", "a.png", "1"), RED)
    newer = ingest.recorded_outcomes("shop", ["a.png"])["a.png", "2"]
    assert entry.photo is None and newer.photo and photos_of(harness) == {newer.photo}


def test_repeated_event_that_ends_after_its_object_was_overwritten_does_not_hide_the_photo() -> None:
    """The first event has stored the version. The ingestion of the next one must find its photo to delete it."""
    harness = UploadHarness()
    ingest, source = harness.make_ingest(), Source("shop", "a.png", "1")
    first = ingest.ingest(source, RED)
    assert ingest.record_superseded(source) == first
    newer = ingest.ingest(Source("shop", "a.png", "2"), BLUE)
    assert newer.photo and photos_of(harness) == {newer.photo}


def test_failure_of_a_version_that_another_process_has_stored_is_not_recorded() -> None:
    harness = UploadHarness()
    ingest, source = harness.make_ingest(), Source("shop", "a.png", "1")
    first = ingest.ingest(source, RED)
    for entry in (
        ingest.ingest(source, b"bytes of a newer version"),
        ingest.record_failure(source, "too large"),
        ingest.record_superseded(source),
        ingest.record_deleted(source),
    ):
        assert entry == first
    assert ingest.recorded_outcomes("shop", ["a.png"]) == {("a.png", "1"): first}


def test_file_that_was_set_back_to_an_older_copy_replaces_the_photo() -> None:
    harness = UploadHarness()
    ingest = harness.make_ingest()
    ingest.ingest(Source("file:/photos", "a.png", "200-10"), RED)
    restored = ingest.ingest(Source("file:/photos", "a.png", "100-10"), BLUE)
    assert restored.photo and photos_of(harness) == {restored.photo}


def test_object_that_got_the_name_of_a_replaced_photo_keeps_and_replaces_it() -> None:
    harness = UploadHarness()
    ingest = harness.make_ingest()

    def store(path: str, generation: str, color: str) -> str:
        return str(ingest.ingest(Source("shop", path, generation), encode_photo(color)).photo)

    store("a/red.png", "1", "red")
    store("a/red.png", "2", "blue")
    assert store("a-red.png", "3", "green") == "a-red"
    first = store("a/red.png", "4", "white")
    assert photos_of(harness) == {first, "a-red"}
    second = store("a-red.png", "5", "black")
    assert photos_of(harness) == {first, second}


def test_overwritten_object_with_the_same_bytes_keeps_its_photo() -> None:
    harness = UploadHarness()
    ingest = harness.make_ingest()
    first = ingest.ingest(Source("shop", "a.png", "1"), RED)
    segments = harness.catalog.segments_of_photo("a")
    assert ingest.ingest(Source("shop", "a.png", "2"), RED).photo == first.photo == "a"
    assert harness.catalog.segments_of_photo("a") == segments


class CrashingCatalog(FakeCatalog):
    """Crashes before the commit in which a photo is deleted, if `crashes` is set."""

    crashes = False

    def delete_segment(self, name: str) -> Segment | None:
        if self.crashes:
            raise KeyboardInterrupt
        return super().delete_segment(name)


@pytest.mark.parametrize("is_ingested_again", [True, False], ids=["ingested again", "looked up"])
def test_crash_after_recording_is_repaired_by_the_next_attempt(is_ingested_again: bool) -> None:
    catalog = CrashingCatalog()
    harness = UploadHarness(catalog=catalog)
    ingest, newer = harness.make_ingest(), Source("shop", "a.png", "2")
    ingest.ingest(Source("shop", "a.png", "1"), RED)
    catalog.crashes = True
    with pytest.raises(KeyboardInterrupt):
        ingest.ingest(newer, BLUE)
    assert len(photos_of(harness)) == 2
    catalog.crashes = False
    entry = ingest.ingest(newer, BLUE) if is_ingested_again else ingest.recorded_outcome(newer)
    assert entry and photos_of(harness) == {entry.photo}


def test_photo_of_a_killed_process_is_replaced_by_the_next_version() -> None:
    """The process was killed right after it stored the photo. Its version is never ingested again."""
    harness = UploadHarness()
    ingest = harness.make_ingest()
    ingest.store_photo("a", RED, source=Source("shop", "a.png", "1"))
    newer = ingest.ingest(Source("shop", "a.png", "2"), BLUE)
    assert newer.photo and photos_of(harness) == {newer.photo}


@pytest.mark.parametrize("name", ["index", "incoming"])
def test_ingest_does_not_use_reserved_photo_names(name: str) -> None:
    harness = UploadHarness()
    harness.store.put(f"{name}/kept", b"an index file, or a photo to be ingested", "text/plain")
    assert harness.make_ingest().ingest(Source("shop", f"{name}.png", "1"), RED).photo == f"{name}-photo"
    assert harness.store.get(f"{name}/kept")


@pytest.mark.parametrize("path", ["Summer 24/robe d'été.jpg", "ü.png", "日本.jpg", "..jpg", "a" * 400, ".hidden/x.jpg"])
def test_photo_name_from_any_path_is_valid(path: str) -> None:
    assert PHOTO_NAME_PATTERN.fullmatch(photo_name_from_path(path))
