"""Ingestion: one photo for each object, recorded failures, and photo names from paths."""

import pytest

from lookalike.domain.errors import Unavailable
from lookalike.domain.model import LedgerStatus
from lookalike.usecases.ingest import Source, photo_name_from_path
from lookalike.usecases.upload import PHOTO_NAME_PATTERN
from tests.usecases.upload_harness import BLUE, RED, UploadHarness


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


@pytest.mark.parametrize("name", ["index", "incoming"])
def test_ingest_does_not_use_reserved_photo_names(name: str) -> None:
    harness = UploadHarness()
    harness.store.put(f"{name}/kept", b"an index file, or a photo to be ingested", "text/plain")
    assert harness.make_ingest().ingest(Source("shop", f"{name}.png", "1"), RED).photo == f"{name}-photo"
    assert harness.store.get(f"{name}/kept")


@pytest.mark.parametrize("path", ["Summer 24/robe d'été.jpg", "ü.png", "日本.jpg", "..jpg", "a" * 400, ".hidden/x.jpg"])
def test_photo_name_from_any_path_is_valid(path: str) -> None:
    assert PHOTO_NAME_PATTERN.fullmatch(photo_name_from_path(path))
