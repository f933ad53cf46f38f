"""Sweep: deletion of objects that no row references."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from lookalike.domain.model import StoredObject
from lookalike.usecases.sweep import BATCH_SIZE, sweep
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import IndexHarness, unit_vectors

PATHS = ["photo-0/0.png", "photo-0/0.jpg", "lost/segment_0.png", "lost/claim", "index/current.json", "incoming/new.jpg"]


def fill(store: FakeStore) -> IndexHarness:
    """Store one photo, and objects with and without rows."""
    harness = IndexHarness(store)
    harness.add_rows(unit_vectors(1))
    for path in PATHS:
        store.put(path, path.encode(), "image/png")
    return harness


def hours_from_now(hours: float) -> datetime:
    """Return a time in the future, so that stored objects appear old."""
    return datetime.now(UTC) + timedelta(hours=hours)


def test_sweep_deletes_only_old_objects_without_rows() -> None:
    harness = fill(FakeStore())
    assert sweep(harness.store, harness.catalog, 3600) == 0
    assert sweep(harness.store, harness.catalog, 3600, lambda: hours_from_now(0.9)) == 0
    assert sweep(harness.store, harness.catalog, 3600, lambda: hours_from_now(1.1)) == 2
    assert [stored.path for stored in harness.store.list()] == sorted(path for path in PATHS if "lost" not in path)
    assert sweep(harness.store, harness.catalog, 3600, lambda: hours_from_now(9)) == 0


class RewritingStore(FakeStore):
    """Store that writes each object again right after listing it."""

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        for stored in super().list(prefix):
            yield stored
            self.put(stored.path, b"new", "image/png", stored.generation)


def test_sweep_keeps_objects_rewritten_meanwhile() -> None:
    harness = fill(RewritingStore())
    assert sweep(harness.store, harness.catalog, 3600, lambda: hours_from_now(2)) == 0
    assert len(list(harness.store.list())) == len(PATHS)


class BatchRecordingCatalog(FakeCatalog):
    """Catalog that records how many paths each query has."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def referenced_paths(self, paths: Sequence[str]) -> set[str]:
        self.sizes.append(len(paths))
        return super().referenced_paths(paths)


def test_sweep_queries_rows_in_batches() -> None:
    store, catalog = FakeStore(), BatchRecordingCatalog()
    for number in range(BATCH_SIZE + 7):
        store.put(f"lost/{number}.png", b"", "image/png")
    assert sweep(store, catalog, 60, lambda: hours_from_now(1)) == BATCH_SIZE + 7
    assert catalog.sizes == [BATCH_SIZE, 7] and list(store.list()) == []
