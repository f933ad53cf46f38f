"""Upload: stored objects and rows, repeated and concurrent uploads, and cleanup after failures."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from PIL import Image

from lookalike.domain.errors import Cancelled, Conflict, InvalidField, InvalidImage, LookalikeError, Unavailable
from lookalike.domain.model import Caller, StoredObject
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore
from tests.usecases.upload_harness import BLUE, RED, UploadHarness


def test_upload_stores_segments_thumbnails_and_original() -> None:
    harness = UploadHarness()
    result = harness.upload_photo()
    assert [segment.name for segment in result.segments] == ["look_segment_0", "look_segment_1"]
    assert [segment.label for segment in result.segments] == ["top", "skirt"]
    assert harness.detector.thorough_calls == [True]
    assert harness.paths() == [
        "look/original.jpg",
        "look/segment_0.png",
        "look/segment_0.thumbnail.jpg",
        "look/segment_1.png",
        "look/segment_1.thumbnail.jpg",
    ]
    assert Image.open(io.BytesIO(harness.store.get("look/segment_1.png"))).size == (20, 30)


def test_upload_stores_no_original_unless_configured() -> None:
    harness = UploadHarness(keep_originals=False)
    harness.upload_photo()
    assert "look/original.jpg" not in harness.paths()


def test_upload_of_the_same_bytes_returns_the_stored_segments() -> None:
    harness = UploadHarness()
    assert harness.upload_photo() == harness.upload_photo()


def test_upload_of_other_bytes_under_a_taken_name_raises_and_changes_nothing() -> None:
    harness = UploadHarness()
    harness.upload_photo()
    before = [(stored.path, stored.generation) for stored in harness.store.list()]
    with pytest.raises(Conflict):
        harness.upload_photo(data=BLUE)
    assert [(stored.path, stored.generation) for stored in harness.store.list()] == before


def test_concurrent_uploads_of_one_photo_store_it_once() -> None:
    harness = UploadHarness()
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda _: harness.upload_photo(), range(10)))
    assert all(result == results[0] for result in results)
    assert len(harness.catalog.segments_of_photo("look")) == 2 and len(harness.paths()) == 5


def test_concurrent_uploads_of_different_photos_under_one_name_store_one() -> None:
    harness = UploadHarness()

    def upload(data: bytes) -> str:
        try:
            harness.upload_photo(data=data)
        except Conflict:
            return "conflict"
        return "stored"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(upload, [RED, BLUE])) == ["conflict", "stored"]
    assert all(harness.store.get(segment.path) for segment in harness.catalog.segments_of_photo("look"))


def test_upload_without_garments_stores_the_whole_photo_only_if_forced() -> None:
    harness = UploadHarness()
    harness.detector.detections = []
    assert harness.upload_photo("none", force=False).segments == [] and harness.paths() == []
    whole = harness.upload_photo("whole").segments[0]
    assert whole.box is not None and whole.box.as_list() == [0, 0, 60, 40] and whole.label is None


@pytest.mark.parametrize("data", [b"", b"no photo", RED[: len(RED) // 2]])
def test_upload_of_an_invalid_image_stores_nothing(data: bytes) -> None:
    harness = UploadHarness()
    with pytest.raises(InvalidImage):
        harness.upload_photo(data=data)
    assert harness.paths() == [] and harness.catalog.photo("look") is None


class FailingStore(FakeStore):
    """Raises at every write after the first `writes`."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes_left = writes

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise Conflict("The object was written by another process")
        return super().put(path, data, content_type, if_generation)


@pytest.mark.parametrize("writes", range(1, 6))
def test_upload_deletes_written_objects_after_a_failed_write(writes: int) -> None:
    harness = UploadHarness(FailingStore(writes))
    with pytest.raises(LookalikeError):
        harness.upload_photo()
    assert harness.paths() == [] and harness.catalog.segments_of_photo("look") == []


class CancellingStore(FakeStore):
    """Cancels Anna's job, as another process would, while its objects are being written."""

    def __init__(self, catalog: FakeCatalog) -> None:
        super().__init__()
        self._catalog = catalog

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        if path.endswith("original.jpg"):
            (job,) = self._catalog.list_jobs(Caller("anna"))
            self._catalog.request_cancel(job.id)
        return super().put(path, data, content_type, if_generation)


def test_upload_cancelled_while_writing_objects_stores_nothing() -> None:
    catalog = FakeCatalog()
    harness = UploadHarness(CancellingStore(catalog), catalog)
    with pytest.raises(Cancelled):
        harness.upload_photo()
    assert harness.paths() == [] and catalog.photo("look") is None


def test_upload_keeps_objects_if_the_outcome_of_the_transaction_is_unknown() -> None:
    class ConnectionLosingCatalog(FakeCatalog):
        """Loses the connection after the commit, before the response."""

        def add_photo(self, *args: object, **kwargs: object) -> list:  # type: ignore[type-arg]
            super().add_photo(*args, **kwargs)  # type: ignore[arg-type]
            raise Unavailable("The connection was lost")

    harness = UploadHarness(catalog=ConnectionLosingCatalog())
    with pytest.raises(Unavailable):
        harness.upload_photo()
    segments = harness.catalog.segments_of_photo("look")
    assert segments and all(harness.store.get(segment.path) for segment in segments)
    assert "look/claim" not in harness.paths()


def test_upload_deletes_what_an_interrupted_upload_left_under_the_name() -> None:
    harness = UploadHarness(claim_timeout=0)
    for path in ("look/claim", "look/segment_0.png", "look/segment_7.png"):
        harness.store.put(path, b"left behind", "image/png")
    assert len(harness.upload_photo().segments) == 2
    assert "look/segment_7.png" not in harness.paths() and "look/claim" not in harness.paths()


def test_upload_takes_over_the_claim_of_a_process_that_is_gone() -> None:
    harness = UploadHarness()
    harness.store.put("look/claim", b"gone\njob", "text/plain")
    harness.upload = replace(
        harness.upload, claim_timeout=timedelta(hours=1), holder="me", is_holder_gone=lambda holder: holder == "gone"
    )
    assert len(harness.upload_photo().segments) == 2


@pytest.mark.parametrize("name", ["index", "incoming"])
def test_upload_rejects_reserved_names(name: str) -> None:
    harness = UploadHarness()
    harness.store.put(f"{name}/kept", b"an index file, or a photo to be ingested", "text/plain")
    with pytest.raises(InvalidField):
        harness.upload_photo(name)
    assert harness.store.get(f"{name}/kept")


def test_upload_keeps_objects_that_rows_of_other_photos_refer_to() -> None:
    """A row of the original system can refer to an object in any folder."""
    harness = UploadHarness()
    segment = harness.upload_photo("other").segments[0]
    harness.store.put("look/foreign.png", b"a garment", "image/png")
    harness.catalog._rows[segment.row_id].segment = replace(segment, path="look/foreign.png")
    harness.upload_photo("look")
    assert harness.store.get("look/foreign.png") == b"a garment"
