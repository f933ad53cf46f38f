"""Publishing index versions: completely or not at all, safe against concurrent publishers; pruning of old ones."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART, NeighborsFormat
from lookalike.domain.errors import Conflict, LookalikeError, NotFound, Unavailable
from lookalike.domain.model import Manifest, StoredObject
from lookalike.domain.vector_source import VectorSource, vector_source_from_arrays
from lookalike.usecases.index_versions import IndexVersions
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import (
    DIM,
    EMBEDDER,
    FOLDER,
    KEY,
    POINTER_PATH,
    START,
    IndexHarness,
    index_paths,
    publish_version,
    unit_vectors,
)


def test_published_version_is_loaded_unchanged() -> None:
    harness, vectors = IndexHarness(), unit_vectors(5)
    row_ids = np.array([7, 3, 11, 2, 5])
    published = harness.versions.publish(vector_source_from_arrays(row_ids, vectors), 9, harness.clock())
    manifest, index = harness.versions.load(published.version)
    assert manifest == published and index.contained_ids(row_ids).tolist() == row_ids.tolist()
    assert index.search(vectors[1:2], 1)[0][0].row_id == 3
    assert (manifest.rows, manifest.highest_row_id, manifest.commit) == (5, 11, 9)
    assert manifest.metric == "cosine" and manifest.build_seconds == 2.0
    assert manifest.built_at.startswith("2026-11-23T14:30") and manifest.built_at.endswith("+00:00")
    assert manifest.parts.keys() == {INDEX_PART, ID_MAP_PART} and "scikit-learn" in manifest.libraries


def test_pointer_names_last_published_version() -> None:
    harness = IndexHarness()
    assert harness.versions.current() is None
    first, second = publish_version(harness, 4), publish_version(harness, 4)
    pointer = harness.versions.current()
    assert pointer and (pointer.version, pointer.commit, pointer.pinned) == (second.version, 4, False)
    assert first.version < second.version
    assert harness.versions.current(pointer) is pointer
    publish_version(harness, 5)
    moved = harness.versions.current(pointer)
    assert moved and moved.commit == 5


def test_version_without_rows_is_published() -> None:
    harness = IndexHarness()
    no_rows = np.empty(0, np.int64)
    published = harness.versions.publish(
        vector_source_from_arrays(no_rows, np.empty((0, DIM), np.float32)), 0, harness.clock()
    )
    manifest, index = harness.versions.load(published.version)
    assert (manifest.rows, manifest.highest_row_id, manifest.dimension) == (0, 0, DIM)
    assert index.search(unit_vectors(2), 3) == [[], []]


def invalid_sources() -> dict[str, VectorSource]:
    """Return invalid sources by the expected error message."""
    not_finite, zero, long = unit_vectors(3), unit_vectors(3), unit_vectors(3)
    not_finite[1, 2], zero[1], long[1] = np.nan, 0, long[1] * 2
    return {
        "have 5 dimensions; expected 8": vector_source_from_arrays([1], unit_vectors(1, 5)),
        "1 rows are not of length 1: .41": vector_source_from_arrays([1, 41, 3], not_finite),
        "are not of length 1: .41": vector_source_from_arrays([1, 41, 3], zero),
        "not of length 1": vector_source_from_arrays([1, 41, 3], long),
        "Only 3 of 4 rows": VectorSource(np.arange(4), DIM, lambda: [unit_vectors(3)]),
        "More vectors than the 2": VectorSource(np.arange(2), DIM, lambda: [unit_vectors(3)]),
    }


@pytest.mark.parametrize("message", invalid_sources())
def test_publish_rejects_invalid_vectors_and_leaves_no_objects(message: str) -> None:
    harness = IndexHarness()
    old = publish_version(harness)
    before = index_paths(harness)
    with pytest.raises(LookalikeError, match=message):
        harness.versions.publish(invalid_sources()[message], 9, harness.clock())
    current = harness.versions.current()
    assert index_paths(harness) == before and current and current.version == old.version


class FullStore(FakeStore):
    """Store that rejects manifests while `is_full`."""

    is_full = False

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        if self.is_full and path.endswith("manifest.json"):
            raise Unavailable("The disk is full")
        return super().put(path, data, content_type, if_generation)


def test_publish_leaves_no_objects_if_manifest_write_fails() -> None:
    store = FullStore()
    harness = IndexHarness(store)
    publish_version(harness)
    before, store.is_full = index_paths(harness), True
    with pytest.raises(Unavailable):
        publish_version(harness)
    assert index_paths(harness) == before


def test_vector_source_streams_published_vectors_repeatedly() -> None:
    harness, vectors = IndexHarness(), unit_vectors(2500)
    row_ids = np.random.default_rng(1).permutation(2500) + 1
    published = harness.versions.publish(vector_source_from_arrays(row_ids, vectors), 9, harness.clock())
    manifest, rows = harness.versions.vector_source(published.version)
    assert manifest == published and rows.row_ids.tolist() == row_ids.tolist()
    for _ in range(2):
        assert np.array_equal(np.concatenate([*rows.pages()]), vectors)


def test_versions_of_embedders_are_separate() -> None:
    harness = IndexHarness()
    manifest, other_versions = publish_version(harness), harness.open_versions(embedder="other-1", dim=5)
    other_manifest = other_versions.publish(vector_source_from_arrays([9], unit_vectors(1, 5)), 1, START)
    for _ in range(4):
        publish_version(harness)
    assert [manifest.version for manifest in other_versions.list_manifests()] == [other_manifest.version]
    _, other_index = other_versions.load(other_manifest.version)
    assert other_index.contained_ids(np.arange(10)).tolist() == [9]
    with pytest.raises(NotFound):
        other_versions.load(manifest.version)


def test_load_of_deleted_version_raises_not_found() -> None:
    harness = IndexHarness()
    version = publish_version(harness).version
    with pytest.raises(NotFound):
        harness.versions.load("20200101T000000Z-000000")
    harness.store.delete(f"{FOLDER}/{version}/{INDEX_PART}")
    with pytest.raises(NotFound):
        harness.versions.load(version)


def test_unavailable_store_raises_unavailable() -> None:
    harness = IndexHarness()
    version = publish_version(harness).version
    harness.store.is_unavailable = True
    for call in (harness.versions.current, lambda: harness.versions.load(version), lambda: publish_version(harness)):
        with pytest.raises(Unavailable):
            call()


class InterruptedFormat(NeighborsFormat):
    """Format that calls `meanwhile` at the start of a build."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def build(self, source: VectorSource) -> Iterator[tuple[str, Iterator[bytes]]]:
        self.meanwhile()
        yield from super().build(source)


def test_publish_raises_conflict_if_other_version_is_published_meanwhile() -> None:
    harness = IndexHarness()
    interrupted = harness.open_versions(index_format=InterruptedFormat(lambda: publish_version(harness)))
    with pytest.raises(Conflict):
        interrupted.publish(vector_source_from_arrays([1], unit_vectors(1)), 2, START)
    pointer = harness.versions.current()
    assert pointer and [manifest.version for manifest in harness.versions.list_manifests()] == [pointer.version]
    assert len(index_paths(harness)) == 4


@pytest.mark.parametrize("is_first", [True, False])
def test_one_of_concurrent_publishers_succeeds(is_first: bool) -> None:
    harness, barrier = IndexHarness(), threading.Barrier(6)
    if not is_first:
        publish_version(harness)
    racing = harness.open_versions(index_format=InterruptedFormat(barrier.wait))

    def race(_: int) -> Manifest | None:
        try:
            return racing.publish(vector_source_from_arrays([1], unit_vectors(1)), 2, START)
        except Conflict:
            return None

    with ThreadPoolExecutor(6) as pool:
        published = [manifest for manifest in pool.map(race, range(6)) if manifest]
    pointer = harness.versions.current()
    assert pointer and [manifest.version for manifest in published] == [pointer.version]
    assert len(harness.versions.list_manifests()) == (1 if is_first else 2)


class RetryingStore(FakeStore):
    """Store that writes the pointer twice, like a cloud client that lost the first response."""

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        stored = super().put(path, data, content_type, if_generation)
        return super().put(path, data, content_type, if_generation) if path == POINTER_PATH else stored


def test_publish_succeeds_if_pointer_write_is_repeated() -> None:
    harness = IndexHarness(RetryingStore())
    assert [publish_version(harness).version, publish_version(harness).version] == [
        manifest.version for manifest in harness.versions.list_manifests()
    ]


def test_publish_rejects_older_commit_than_current() -> None:
    harness = IndexHarness()
    publish_version(harness, 5)
    with pytest.raises(Conflict, match="commit 5, not 4"):
        publish_version(harness, 4)
    assert publish_version(harness, 5)
    pointer = harness.versions.current()
    assert pointer and pointer.commit == 5 and len(harness.versions.list_manifests()) == 2


def test_publish_replaces_damaged_pointer() -> None:
    harness = IndexHarness()
    publish_version(harness, 5)
    harness.tamper(POINTER_PATH, b"{}")
    version = publish_version(harness, 4).version
    pointer = harness.versions.current()
    assert pointer and pointer.version == version


def test_publish_keeps_three_versions() -> None:
    harness = IndexHarness()
    published = [publish_version(harness).version for _ in range(5)]
    assert [manifest.version for manifest in harness.versions.list_manifests()] == published[2:]
    assert len(index_paths(harness)) == 3 * 3 + 1
    assert [manifest.commit for manifest in harness.versions.list_manifests()] == [1, 1, 1]


def test_publish_keeps_current_version_built_with_slow_clock() -> None:
    harness = IndexHarness()
    versions = [publish_version(harness).version for _ in range(3)]
    slow = IndexVersions(harness.store, NeighborsFormat(), KEY, EMBEDDER, DIM, lambda: START.replace(year=2020))
    manifest = slow.publish(vector_source_from_arrays([1], unit_vectors(1)), 1, START)
    slow.load(manifest.version)
    assert [listed.version for listed in harness.versions.list_manifests()] == [manifest.version, *versions[1:]]


class UndeletableStore(FakeStore):
    """Store that rejects deletions."""

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        raise Unavailable("The store rejects deletions")


def test_publish_succeeds_if_old_versions_cannot_be_deleted(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness(UndeletableStore())
    published = [publish_version(harness).version for _ in range(4)]
    assert [manifest.version for manifest in harness.versions.list_manifests()] == published
    assert "Could not delete old index versions" in caplog.text
