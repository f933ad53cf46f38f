"""Index versions: published whole or not at all, and read as they were published."""

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


def test_a_version_is_read_as_it_was_published() -> None:
    world, vectors = IndexHarness(), unit_vectors(5)
    row_ids = np.array([7, 3, 11, 2, 5])
    published = world.versions.publish(vector_source_from_arrays(row_ids, vectors), 9, world.clock())
    manifest, index = world.versions.load(published.version)
    assert manifest == published and index.contained_ids(row_ids).tolist() == row_ids.tolist()
    assert index.search(vectors[1:2], 1)[0][0].row_id == 3
    assert (manifest.rows, manifest.highest_row_id, manifest.commit) == (5, 11, 9)
    assert manifest.metric == "cosine" and manifest.build_seconds == 2.0
    assert manifest.built_at.startswith("2026-11-23T14:30") and manifest.built_at.endswith("+00:00")
    assert manifest.parts.keys() == {INDEX_PART, ID_MAP_PART} and "scikit-learn" in manifest.libraries


def test_the_pointer_names_what_was_published_last() -> None:
    world = IndexHarness()
    assert world.versions.current() is None
    first, second = publish_version(world, 4), publish_version(world, 4)
    pointer = world.versions.current()
    assert pointer and (pointer.version, pointer.commit, pointer.pinned) == (second.version, 4, False)
    assert first.version < second.version
    assert world.versions.current(pointer) is pointer
    publish_version(world, 5)
    moved = world.versions.current(pointer)
    assert moved and moved.commit == 5


def test_an_empty_catalog_has_a_version() -> None:
    world = IndexHarness()
    none = np.empty(0, np.int64)
    published = world.versions.publish(
        vector_source_from_arrays(none, np.empty((0, DIM), np.float32)), 0, world.clock()
    )
    manifest, index = world.versions.load(published.version)
    assert (manifest.rows, manifest.highest_row_id, manifest.dimension) == (0, 0, DIM)
    assert index.search(unit_vectors(2), 3) == [[], []]


def bad_rows() -> dict[str, VectorSource]:
    hole, zero, long = unit_vectors(3), unit_vectors(3), unit_vectors(3)
    hole[1, 2], zero[1], long[1] = np.nan, 0, long[1] * 2
    return {
        "have length 5, not 8": vector_source_from_arrays([1], unit_vectors(1, 5)),
        "1 rows are not of length 1: .41": vector_source_from_arrays([1, 41, 3], hole),
        "are not of length 1: .41": vector_source_from_arrays([1, 41, 3], zero),
        "not of length 1": vector_source_from_arrays([1, 41, 3], long),
        "Of 4 rows 3": VectorSource(np.arange(4), DIM, lambda: [unit_vectors(3)]),
        "More than 2 rows": VectorSource(np.arange(2), DIM, lambda: [unit_vectors(3)]),
    }


@pytest.mark.parametrize("complaint", bad_rows())
def test_rows_that_cannot_be_searched_are_not_published(complaint: str) -> None:
    world = IndexHarness()
    old = publish_version(world)
    before = index_paths(world)
    with pytest.raises(LookalikeError, match=complaint):
        world.versions.publish(bad_rows()[complaint], 9, world.clock())
    current = world.versions.current()
    assert index_paths(world) == before and current and current.version == old.version


class Unwritable(FakeStore):
    """Takes no manifests from a moment on."""

    full = False

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        if self.full and path.endswith("manifest.json"):
            raise Unavailable("The disk is full")
        return super().put(path, data, content_type, if_generation)


def test_where_the_manifest_cannot_be_written_nothing_stays() -> None:
    store = Unwritable()
    world = IndexHarness(store)
    publish_version(world)
    before, store.full = index_paths(world), True
    with pytest.raises(Unavailable):
        publish_version(world)
    assert index_paths(world) == before


def test_what_a_version_was_built_of_passes_by_again() -> None:
    world, vectors = IndexHarness(), unit_vectors(2500)
    row_ids = np.random.default_rng(1).permutation(2500) + 1
    published = world.versions.publish(vector_source_from_arrays(row_ids, vectors), 9, world.clock())
    manifest, rows = world.versions.vector_source(published.version)
    assert manifest == published and rows.row_ids.tolist() == row_ids.tolist()
    for _ in range(2):
        assert np.array_equal(np.concatenate([*rows.pages()]), vectors)


def test_embedders_have_versions_of_their_own_side_by_side() -> None:
    world = IndexHarness()
    ours, theirs = publish_version(world), world.open_versions(embedder="other-1", dim=5)
    their = theirs.publish(vector_source_from_arrays([9], unit_vectors(1, 5)), 1, START)
    for _ in range(4):
        publish_version(world)
    assert [one.version for one in theirs.list_manifests()] == [their.version] and theirs.load(their.version)[
        1
    ].contained_ids(np.arange(10)) == [9]
    with pytest.raises(NotFound):
        theirs.load(ours.version)


def test_what_is_gone_is_not_found() -> None:
    world = IndexHarness()
    version = publish_version(world).version
    with pytest.raises(NotFound):
        world.versions.load("20200101T000000Z-000000")
    world.store.delete(f"{FOLDER}/{version}/{INDEX_PART}")
    with pytest.raises(NotFound):
        world.versions.load(version)


def test_a_store_that_is_away_is_said_to_be() -> None:
    world = IndexHarness()
    version = publish_version(world).version
    world.store.is_unavailable = True
    for call in (world.versions.current, lambda: world.versions.load(version), lambda: publish_version(world)):
        with pytest.raises(Unavailable):
            call()


class Interrupted(NeighborsFormat):
    """Does something else while it builds."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def build(self, rows: VectorSource) -> Iterator[tuple[str, Iterator[bytes]]]:
        self.meanwhile()
        yield from super().build(rows)


def test_who_is_overtaken_while_building_publishes_nothing() -> None:
    world = IndexHarness()
    late = world.open_versions(index_format=Interrupted(lambda: publish_version(world)))
    with pytest.raises(Conflict):
        late.publish(vector_source_from_arrays([1], unit_vectors(1)), 2, START)
    pointer = world.versions.current()
    assert pointer and [one.version for one in world.versions.list_manifests()] == [pointer.version]
    assert len(index_paths(world)) == 4


@pytest.mark.parametrize("first", [True, False])
def test_of_publishers_at_the_same_time_one_wins(first: bool) -> None:
    world, together = IndexHarness(), threading.Barrier(6)
    if not first:
        publish_version(world)
    racing = world.open_versions(index_format=Interrupted(together.wait))

    def race(_: int) -> Manifest | None:
        try:
            return racing.publish(vector_source_from_arrays([1], unit_vectors(1)), 2, START)
        except Conflict:
            return None

    with ThreadPoolExecutor(6) as pool:
        won = [manifest for manifest in pool.map(race, range(6)) if manifest]
    pointer = world.versions.current()
    assert pointer and [one.version for one in won] == [pointer.version]
    assert len(world.versions.list_manifests()) == (1 if first else 2)


class LostAnswer(FakeStore):
    """Writes the pointer, loses the answer, and sends it again, as a cloud client does."""

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        put = super().put(path, data, content_type, if_generation)
        return super().put(path, data, content_type, if_generation) if path == POINTER_PATH else put


def test_a_lost_answer_is_no_conflict() -> None:
    world = IndexHarness(LostAnswer())
    assert [publish_version(world).version, publish_version(world).version] == [
        one.version for one in world.versions.list_manifests()
    ]


def test_an_older_commit_never_replaces_a_newer_one() -> None:
    world = IndexHarness()
    publish_version(world, 5)
    with pytest.raises(Conflict, match="commit 5, not 4"):
        publish_version(world, 4)
    assert publish_version(world, 5)
    pointer = world.versions.current()
    assert pointer and pointer.commit == 5 and len(world.versions.list_manifests()) == 2


def test_a_bad_pointer_is_replaced() -> None:
    world = IndexHarness()
    publish_version(world, 5)
    world.tamper(POINTER_PATH, b"{}")
    version = publish_version(world, 4).version
    pointer = world.versions.current()
    assert pointer and pointer.version == version


def test_three_versions_are_kept() -> None:
    world = IndexHarness()
    published = [publish_version(world).version for _ in range(5)]
    assert [one.version for one in world.versions.list_manifests()] == published[2:]
    assert len(index_paths(world)) == 3 * 3 + 1
    assert [one.commit for one in world.versions.list_manifests()] == [1, 1, 1]


def test_the_current_version_stays_though_its_clock_was_late() -> None:
    world = IndexHarness()
    versions = [publish_version(world).version for _ in range(3)]
    slow = IndexVersions(world.store, NeighborsFormat(), KEY, EMBEDDER, DIM, lambda: START.replace(year=2020))
    late = slow.publish(vector_source_from_arrays([1], unit_vectors(1)), 1, START)
    slow.load(late.version)
    assert [one.version for one in world.versions.list_manifests()] == [late.version, *versions[1:]]


class Undeletable(FakeStore):
    def delete(self, path: str, if_generation: int | None = None) -> bool:
        raise Unavailable("Not now")


def test_a_version_counts_though_old_ones_cannot_be_deleted(caplog: pytest.LogCaptureFixture) -> None:
    world = IndexHarness(Undeletable())
    published = [publish_version(world).version for _ in range(4)]
    assert [one.version for one in world.versions.list_manifests()] == published
    assert "could not be deleted" in caplog.text
