"""Erasure: receipts are complete, also after failures and with concurrent deletions."""

from datetime import UTC, datetime

import pytest

from lookalike.domain.errors import NotFound, Unavailable
from lookalike.domain.model import LedgerEntry, LedgerStatus, StoredObject
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.erase import Erase
from lookalike.usecases.segments import Segments
from lookalike.usecases.sweep import sweep
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import IndexHarness, unit_vectors

PHOTO = "photo-0"


class EraseHarness(IndexHarness):
    """Contains one photo with five segments and their objects."""

    def __init__(self) -> None:
        super().__init__()
        self.row_ids = self.add_rows(unit_vectors(5))
        for segment in self.catalog.segments(self.row_ids).values():
            for path in (segment.path, segment.thumbnail):
                self.store.put(path or "", b"pixels", "image/png")
        segments = Segments(self.catalog, self.store)
        self.erase = Erase(segments, self.catalog, self.catalog, lambda: datetime.now(UTC), 60, DeferredWrites())

    def segment_names(self) -> list[str]:
        return [segment.name for segment in self.catalog.segments_of_photo(PHOTO)]

    def add_source(self, path: str) -> StoredObject:
        """Add an object and a ledger entry that says that the photo was ingested from it."""
        source = self.store.put(path, b"original file", "image/jpeg")
        entry = LedgerEntry("bucket", path, str(source.generation), LedgerStatus.DONE, photo=PHOTO)
        self.catalog.record_ledger_entry(entry)
        return source


def test_objects_are_left_to_the_sweep_while_the_bucket_is_unavailable() -> None:
    harness = EraseHarness()
    delete = harness.store.delete

    def fail(path: str, if_generation: int | None = None) -> bool:
        raise Unavailable("The store cannot be reached")

    harness.store.delete = fail  # type: ignore[method-assign]
    receipt = harness.erase.erase_photo(PHOTO)
    assert (receipt.garments, receipt.photos, receipt.objects, receipt.left) == (5, 1, 0, 10)
    with pytest.raises(NotFound):
        harness.erase.erase_photo(PHOTO)
    harness.store.delete = delete  # type: ignore[method-assign]
    assert sweep(harness.store, harness.catalog, older_than=-1) == 10


def test_receipt_reports_history_that_could_not_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeCatalog, user: str) -> int:
        raise Unavailable("The database cannot be reached")

    harness = EraseHarness()
    monkeypatch.setattr(FakeCatalog, "row_ids_of_owner", lambda self, user: harness.row_ids)
    monkeypatch.setattr(FakeCatalog, "delete_jobs_of_owner", fail)
    receipt = harness.erase.erase_owner("anna")
    assert (receipt.garments, receipt.jobs, receipt.remaining) == (5, 0, 1)
    monkeypatch.setattr(FakeCatalog, "row_ids_of_owner", lambda self, user: [])
    with pytest.raises(Unavailable):
        harness.erase.erase_owner("anna")
    monkeypatch.undo()
    assert harness.erase.erase_owner("anna").remaining == 0


def test_receipt_omits_segments_deleted_by_a_concurrent_request(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, delete_segment = EraseHarness(), Segments.delete_segment
    other = harness.segment_names()[2]

    def delete_after_other(self: Segments, key: str | int) -> object:
        harness.catalog.delete_segment(other)
        return delete_segment(self, key)

    monkeypatch.setattr(Segments, "delete_segment", delete_after_other)
    receipt = harness.erase.erase_photo(PHOTO)
    assert (receipt.garments, receipt.photos, receipt.remaining) == (4, 1, 0) and other not in receipt.segments


def test_receipt_counts_what_was_deleted_before_the_database_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, delete_segment = EraseHarness(), FakeCatalog.delete_segment
    deleted = list[str]()

    def fail_at_third(self: FakeCatalog, name: str) -> object:
        if len(deleted) == 2:
            raise Unavailable("The database cannot be reached")
        deleted.append(name)
        return delete_segment(self, name)

    monkeypatch.setattr(FakeCatalog, "delete_segment", fail_at_third)
    harness.catalog.is_unavailable = True
    with pytest.raises(Unavailable):
        harness.erase.erase_photo(PHOTO)
    harness.catalog.is_unavailable = False
    receipt = harness.erase.erase_photo(PHOTO)
    assert (receipt.segments, receipt.garments, receipt.remaining) == (deleted, 2, 3)
    monkeypatch.undo()
    second = harness.erase.erase_photo(PHOTO)
    assert (second.garments, second.photos, second.remaining) == (3, 1, 0)
    assert isinstance(harness.store, FakeStore) and list(harness.store.list()) == []


class TestSourceObjects:
    """Original files under `incoming/`, which can contain metadata such as place and time."""

    def test_source_is_deleted_with_the_last_segment(self) -> None:
        harness = EraseHarness()
        source = harness.add_source("incoming/a.jpg")
        receipts = [harness.erase.erase_segment(name) for name in harness.segment_names()]
        assert [receipt.objects for receipt in receipts] == [2, 2, 2, 2, 3]
        assert harness.store.stat(source.path) is None

    def test_overwritten_and_foreign_sources_are_kept(self) -> None:
        harness = EraseHarness()
        foreign, overwritten = harness.add_source("folder/a.jpg"), harness.add_source("incoming/b.jpg")
        newer = harness.store.put(overwritten.path, b"another", "image/jpeg", overwritten.generation)
        assert harness.erase.erase_photo(PHOTO).objects == 10
        assert harness.store.stat(foreign.path) == foreign and harness.store.stat(newer.path) == newer

    def test_last_segment_is_kept_while_its_source_cannot_be_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        harness = EraseHarness()
        source = harness.add_source("incoming/a.jpg")

        def fail(self: FakeStore, path: str, if_generation: int | None = None) -> bool:
            raise Unavailable("The store cannot be reached")

        with monkeypatch.context() as patch:
            patch.setattr(FakeStore, "delete", fail)
            receipt = harness.erase.erase_photo(PHOTO)
        assert (receipt.garments, receipt.remaining) == (4, 1)
        assert harness.erase.erase_photo(PHOTO).photos == 1 and harness.store.stat(source.path) is None

    def test_source_is_deleted_when_two_requests_delete_the_last_segments(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        harness, delete_segment = EraseHarness(), Segments.delete_segment
        source = harness.add_source("incoming/a.jpg")
        *names, other, last = harness.segment_names()
        for name in names:
            harness.erase.erase_segment(name)

        def delete_after_other(self: Segments, key: str | int) -> object:
            monkeypatch.setattr(Segments, "delete_segment", delete_segment)
            harness.catalog.delete_segment(other)
            return delete_segment(self, key)

        monkeypatch.setattr(Segments, "delete_segment", delete_after_other)
        harness.erase.erase_segment(last)
        assert harness.store.stat(source.path) is None
