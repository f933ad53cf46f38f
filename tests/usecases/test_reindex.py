"""Reindex: full and incremental builds, scheduled builds, concurrent changes."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART
from lookalike.domain.errors import Conflict, Untrusted
from lookalike.domain.model import Changes, Manifest, StoredObject
from lookalike.domain.vector_source import vector_source_from_arrays
from lookalike.usecases.reindex import Reindex
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import EMBEDDER, FOLDER, POINTER_PATH, IndexHarness, index_paths, unit_vectors


def test_build_contains_all_rows_of_its_embedder() -> None:
    harness = IndexHarness()
    rows = harness.add_rows(unit_vectors(6))
    harness.add_rows(unit_vectors(2), "other")
    harness.delete_row(rows[0])
    manifest = harness.reindex.build()
    _, index = harness.versions.load(manifest.version)
    assert index.contained_ids(np.array(rows)).tolist() == rows[1:]
    assert (manifest.rows, manifest.commit, manifest.highest_row_id) == (5, 3, rows[-1])


def test_build_of_empty_catalog() -> None:
    manifest = IndexHarness().reindex.build()
    assert (manifest.rows, manifest.commit) == (0, 0)


def test_scheduled_build_is_skipped_without_changes() -> None:
    harness = IndexHarness()
    first = harness.reindex.build_if_due()
    assert first and harness.reindex.build_if_due() is None
    (row_id,) = harness.add_rows(unit_vectors(1))
    second = harness.reindex.build_if_due()
    assert second and second.rows == 1 and harness.reindex.build_if_due() is None
    harness.delete_row(row_id)
    third = harness.reindex.build_if_due()
    assert third and third.rows == 0 and harness.reindex.build() != third


def test_scheduled_build_is_due_after_min_changes() -> None:
    harness = IndexHarness()
    reindex = Reindex(harness.catalog, harness.versions, 5, harness.clock)
    rows = harness.add_rows(unit_vectors(1))
    assert reindex.build_if_due()
    rows += harness.add_rows(unit_vectors(2))
    assert reindex.build_if_due() is None
    harness.delete_row(rows[0])
    harness.add_rows(unit_vectors(2))
    third = reindex.build_if_due()
    assert third and third.rows == 4 and reindex.build_if_due() is None


class RecordingCatalog(FakeCatalog):
    """Catalog that records the `since` of all reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads_since: list[int] = []

    def changes(self, embedder: str, since: int) -> Changes:
        self.reads_since.append(since)
        return super().changes(embedder, since)


def test_incremental_build_reads_only_new_rows_unless_rows_were_deleted() -> None:
    catalog = RecordingCatalog()
    harness = IndexHarness(catalog=catalog)
    harness.add_rows(unit_vectors(1500))
    first = harness.reindex.build()
    new = harness.add_rows(unit_vectors(20))
    catalog.reads_since.clear()
    second = harness.reindex.build_if_due()
    assert second and second.rows == 1520 and catalog.reads_since == [first.commit]
    assert harness.open_live_index().is_exact() and harness.open_live_index().info().tail_rows == 0
    harness.delete_row(new[0])
    third = harness.reindex.build_if_due()
    assert third and third.rows == 1519 and catalog.reads_since[-1] == 0
    assert harness.open_live_index().is_exact()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=8))
@settings(max_examples=30, deadline=None)
def test_builds_after_any_steps_contain_existing_rows(steps: list[tuple[int, int]]) -> None:
    harness, existing = IndexHarness(), list[int]()
    for added, deleted in steps:
        existing += harness.add_rows(unit_vectors(added)) if added else []
        for row_id in existing[:deleted]:
            harness.delete_row(row_id)
        existing = existing[deleted:]
        harness.reindex.build_if_due()
    pointer = harness.versions.current()
    if pointer is not None:
        assert sorted(harness.versions.load(pointer.version)[1].contained_ids(np.arange(10_000)).tolist()) == existing
    assert harness.open_live_index().is_exact()


def test_scheduled_build_ignores_versions_of_other_embedders() -> None:
    harness = IndexHarness()
    Reindex(harness.catalog, harness.open_versions(embedder="other"), clock=harness.clock).build()
    manifest = harness.reindex.build_if_due()
    assert manifest and manifest.embedder == EMBEDDER


@pytest.mark.parametrize(
    "path", [POINTER_PATH, FOLDER + "/{}/manifest.json", f"{FOLDER}/{{}}/{INDEX_PART}", f"{FOLDER}/{{}}/{ID_MAP_PART}"]
)
@pytest.mark.parametrize("added", [0, 2])
@pytest.mark.parametrize("is_missing", [True, False])
def test_scheduled_build_replaces_damaged_or_missing_version(path: str, is_missing: bool, added: int) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(3))
    first = harness.reindex.build()
    if is_missing:
        harness.store.delete(path.format(first.version))
    else:
        harness.tamper(path.format(first.version), b"damaged")
    harness.add_rows(unit_vectors(added))
    second = harness.reindex.build_if_due()
    assert second and second.version != first.version and second.rows == 3 + added
    assert harness.reindex.build_if_due() is None
    harness.versions.load(second.version)


class OvertakenCatalog(FakeCatalog):
    """Catalog during whose reads another build is published."""

    def __init__(self, harness: IndexHarness) -> None:
        super().__init__()
        self.harness = harness

    def changes(self, embedder: str, since: int) -> Changes:
        changes = self.harness.catalog.changes(embedder, since)
        self.harness.add_rows(unit_vectors(1))
        self.harness.reindex.build()
        return changes


def test_build_raises_conflict_if_other_build_is_published_meanwhile() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(1))
    with pytest.raises(Conflict):
        Reindex(OvertakenCatalog(harness), harness.versions, clock=harness.clock).build()
    assert [manifest.rows for manifest in harness.versions.list_manifests()] == [2]


class InterruptingStore(FakeStore):
    """Store that calls `interrupt` once, after `operations_left` more operations."""

    def __init__(self) -> None:
        super().__init__()
        self.operations_left = -1
        self.interrupt: Callable[[], object] = int

    def _count_operation(self) -> None:
        self.operations_left -= 1
        if self.operations_left == -1:
            self.interrupt()

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        self._count_operation()
        return super().put(path, data, content_type, if_generation)

    def get(self, path: str) -> bytes:
        self._count_operation()
        return super().get(path)

    def stat(self, path: str) -> StoredObject | None:
        self._count_operation()
        return super().stat(path)

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        self._count_operation()
        return super().list(prefix)

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        self._count_operation()
        return super().delete(path, if_generation)


def prepare_due_build(version_count: int, change: str, store: InterruptingStore) -> IndexHarness:
    """Publish this many versions and make changes after which a build is due."""
    harness = IndexHarness(store)
    rows = harness.add_rows(unit_vectors(3))
    manifests = [harness.reindex.build() for _ in range(version_count)]
    harness.add_rows(unit_vectors(2))
    match change:
        case "deleted":
            harness.delete_row(rows[0])
        case "damaged pointer" if version_count:
            harness.tamper(POINTER_PATH, b"damaged")
        case "damaged version" if version_count:
            harness.tamper(f"{FOLDER}/{manifests[-1].version}/{INDEX_PART}", b"damaged")
    return harness


@example(25, 3, "damaged version")
@given(
    st.integers(0, 60), st.integers(0, 4), st.sampled_from(["written", "deleted", "damaged pointer", "damaged version"])
)
@settings(max_examples=150, deadline=None)
def test_rollback_at_any_point_survives_scheduled_build(operation: int, version_count: int, change: str) -> None:
    store, pinned = InterruptingStore(), list[Manifest]()
    harness = prepare_due_build(version_count, change, store)

    def roll_back() -> None:
        if version_count < 2 or change == "damaged pointer":
            harness.reindex.build()
            harness.reindex.build()
        # The previous version may be the damaged one, which cannot become current.
        with suppress(Untrusted):
            pinned.append(harness.versions.roll_back())

    store.operations_left, store.interrupt = operation, roll_back
    built = harness.reindex.build_if_due()
    store.operations_left = -1
    pointer = harness.versions.current()
    assert pointer and pointer.pinned == bool(pinned)
    assert pointer.version in {manifest.version for manifest in [built, *pinned] if manifest}
    assert not pinned or pointer.version == pinned[0].version
    harness.versions.load(pointer.version)
    # Three objects per version and the pointer: no version is incomplete.
    assert len(index_paths(harness)) % 3 == 1 and harness.reindex.build().rows == harness.open_live_index().info().rows


def test_scheduled_build_raises_conflict_if_catalog_was_restored() -> None:
    harness = IndexHarness()
    version = harness.versions.publish(vector_source_from_arrays([1], unit_vectors(1)), 99, harness.clock()).version
    harness.tamper(f"{FOLDER}/{version}/{INDEX_PART}", b"damaged")
    harness.add_rows(unit_vectors(2))
    with pytest.raises(Conflict, match="restored from a backup"):
        harness.reindex.build_if_due()


def test_overtaken_scheduled_build_gives_up_without_warning(caplog: pytest.LogCaptureFixture) -> None:
    store = InterruptingStore()
    harness = prepare_due_build(1, "deleted", store)
    built: list[Manifest | None] = []
    store.operations_left, store.interrupt = 12, lambda: built.append(harness.reindex.build_if_due())
    with caplog.at_level("INFO"):
        assert harness.reindex.build_if_due() is None
    pointer = harness.versions.current()
    assert built[0] and pointer and pointer.version == built[0].version and "is discarded" in caplog.text
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_each_scheduled_call_logs_the_state_of_the_index(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lookalike.index")
    harness = IndexHarness()
    reindex = Reindex(harness.catalog, harness.versions, 4, harness.clock)
    harness.add_rows(unit_vectors(4))
    first = reindex.build_if_due()
    assert first
    harness.add_rows(unit_vectors(3))
    reindex.build_if_due()
    harness.versions.roll_back(first.version)
    harness.add_rows(unit_vectors(7))
    assert reindex.build_if_due() is None
    states = [vars(record) for record in caplog.records if record.message == "Index state"]
    assert [state["index_version"] for state in states] == [first.version] * 3
    assert [(state["pending"], state["builds_behind"]) for state in states] == [(0, 0), (3, 0.75), (10, 2.5)]
    assert [(state["rows"], state["recall"]) for state in states[:2]] == [(4, 1.0)] * 2
    assert 0 <= states[0]["age_seconds"] < states[1]["age_seconds"]
