"""Rebuilding the index, and sweeping what uploads left behind."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART
from lookalike.domain.errors import Conflict, Untrusted
from lookalike.domain.model import Changes, Manifest, StoredObject
from lookalike.domain.vector_source import vector_source_from_arrays
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.sweep import BATCH_SIZE, sweep
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore
from tests.usecases.index_world import EMBEDDER, FOLDER, POINTER, World, unit


def test_a_version_holds_all_living_rows_of_its_embedder() -> None:
    world = World()
    rows = world.add(unit(6))
    world.add(unit(2), "other")
    world.delete(rows[0])
    manifest = world.reindex.build()
    _, index = world.versions.load(manifest.version)
    assert index.contained_ids(np.array(rows)).tolist() == rows[1:]
    assert (manifest.rows, manifest.commit, manifest.highest_row_id) == (5, 3, rows[-1])


def test_an_empty_catalog_is_built() -> None:
    manifest = World().reindex.build()
    assert (manifest.rows, manifest.commit) == (0, 0)


def test_nothing_is_built_while_nothing_changed() -> None:
    world = World()
    first = world.reindex.build_if_due()
    assert first and world.reindex.build_if_due() is None
    (row_id,) = world.add(unit(1))
    second = world.reindex.build_if_due()
    assert second and second.rows == 1 and world.reindex.build_if_due() is None
    world.delete(row_id)
    third = world.reindex.build_if_due()
    assert third and third.rows == 0 and world.reindex.build() != third


def test_a_version_is_due_when_enough_was_written_and_deleted() -> None:
    world = World()
    reindex = Reindex(world.catalog, world.versions, 5, world.clock)
    rows = world.add(unit(1))
    assert reindex.build_if_due()
    rows += world.add(unit(2))
    assert reindex.build_if_due() is None
    world.delete(rows[0])
    world.add(unit(2))
    third = reindex.build_if_due()
    assert third and third.rows == 4 and reindex.build_if_due() is None


class Remembering(FakeCatalog):
    """Which commits' rows were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def changes(self, embedder: str, since: int) -> Changes:
        self.asked.append(since)
        return super().changes(embedder, since)


def test_where_nothing_was_deleted_only_new_rows_are_read_from_the_catalog() -> None:
    catalog = Remembering()
    world = World(catalog=catalog)
    world.add(unit(1500))
    first = world.reindex.build()
    new = world.add(unit(20))
    catalog.asked.clear()
    second = world.reindex.build_if_due()
    assert second and second.rows == 1520 and catalog.asked == [first.commit]
    assert world.live().is_exact() and world.live().info().tail_rows == 0
    world.delete(new[0])
    third = world.reindex.build_if_due()
    assert third and third.rows == 1519 and catalog.asked[-1] == 0
    assert world.live().is_exact()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=8))
@settings(max_examples=30, deadline=None)
def test_built_in_whatever_steps_it_is_what_lives(steps: list[tuple[int, int]]) -> None:
    world, living = World(), list[int]()
    for added, deleted in steps:
        living += world.add(unit(added)) if added else []
        for row_id in living[:deleted]:
            world.delete(row_id)
        living = living[deleted:]
        world.reindex.build_if_due()
    pointer = world.versions.current()
    if pointer is not None:
        assert sorted(world.versions.load(pointer.version)[1].contained_ids(np.arange(10_000)).tolist()) == living
    assert world.live().is_exact()


def test_another_embedders_version_is_no_reason_not_to_build() -> None:
    world = World()
    Reindex(world.catalog, world.versions_with(embedder="other"), clock=world.clock).build()
    mine = world.reindex.build_if_due()
    assert mine and mine.embedder == EMBEDDER


@pytest.mark.parametrize(
    "path", [POINTER, FOLDER + "/{}/manifest.json", f"{FOLDER}/{{}}/{INDEX_PART}", f"{FOLDER}/{{}}/{ID_MAP_PART}"]
)
@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("missing", [True, False])
def test_a_bad_version_is_built_anew(path: str, missing: bool, more: int) -> None:
    world = World()
    world.add(unit(3))
    first = world.reindex.build()
    if missing:
        world.store.delete(path.format(first.version))
    else:
        world.tamper(path.format(first.version), b"bad")
    world.add(unit(more))
    second = world.reindex.build_if_due()
    assert second and second.version != first.version and second.rows == 3 + more
    assert world.reindex.build_if_due() is None
    world.versions.load(second.version)


PATHS = ["photo-0/0.png", "photo-0/0.jpg", "lost/segment_0.png", "lost/claim", "index/current.json", "incoming/new.jpg"]


def filled(store: FakeStore) -> World:
    world = World(store)
    world.add(unit(1))
    for path in PATHS:
        store.put(path, path.encode(), "image/png")
    return world


def later(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def test_only_old_objects_without_rows_are_swept() -> None:
    world = filled(FakeStore())
    assert sweep(world.store, world.catalog, 3600) == 0
    assert sweep(world.store, world.catalog, 3600, lambda: later(0.9)) == 0
    assert sweep(world.store, world.catalog, 3600, lambda: later(1.1)) == 2
    assert [one.path for one in world.store.list()] == sorted(path for path in PATHS if "lost" not in path)
    assert sweep(world.store, world.catalog, 3600, lambda: later(9)) == 0


class WrittenAgain(FakeStore):
    """Each object is written again right after it was listed."""

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        for one in super().list(prefix):
            yield one
            self.put(one.path, b"new", "image/png", one.generation)


def test_what_is_written_in_the_meantime_stays() -> None:
    world = filled(WrittenAgain())
    assert sweep(world.store, world.catalog, 3600, lambda: later(2)) == 0
    assert len(list(world.store.list())) == len(PATHS)


class Batches(FakeCatalog):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def referenced_paths(self, paths: Sequence[str]) -> set[str]:
        self.sizes.append(len(paths))
        return super().referenced_paths(paths)


def test_rows_are_asked_for_in_batches() -> None:
    store, catalog = FakeStore(), Batches()
    for number in range(BATCH_SIZE + 7):
        store.put(f"lost/{number}.png", b"", "image/png")
    assert sweep(store, catalog, 60, lambda: later(1)) == BATCH_SIZE + 7
    assert catalog.sizes == [BATCH_SIZE, 7] and list(store.list()) == []


class Overtaken(FakeCatalog):
    """Another rebuild is done while its answer is under way."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def changes(self, embedder: str, since: int) -> Changes:
        found = self.world.catalog.changes(embedder, since)
        self.world.add(unit(1))
        self.world.reindex.build()
        return found


def test_who_is_overtaken_while_reading_publishes_nothing() -> None:
    world = World()
    world.add(unit(1))
    with pytest.raises(Conflict):
        Reindex(Overtaken(world), world.versions, clock=world.clock).build()
    assert [one.rows for one in world.versions.list_manifests()] == [2]


class Interrupting(FakeStore):
    """Has somebody do something before its next operation but `left`."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.meanwhile: Callable[[], object] = int

    def _pass(self) -> None:
        self.left -= 1
        if self.left == -1:
            self.meanwhile()

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        self._pass()
        return super().put(path, data, content_type, if_generation)

    def get(self, path: str) -> bytes:
        self._pass()
        return super().get(path)

    def stat(self, path: str) -> StoredObject | None:
        self._pass()
        return super().stat(path)

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        self._pass()
        return super().list(prefix)

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        self._pass()
        return super().delete(path, if_generation)


def before_a_build(built: int, what: str, store: Interrupting) -> World:
    """So many versions there are, and one is due."""
    world = World(store)
    rows = world.add(unit(3))
    manifests = [world.reindex.build() for _ in range(built)]
    world.add(unit(2))
    match what:
        case "deleted":
            world.delete(rows[0])
        case "bad pointer" if built:
            world.tamper(POINTER, b"bad")
        case "bad version" if built:
            world.tamper(f"{FOLDER}/{manifests[-1].version}/{INDEX_PART}", b"bad")
    return world


@example(25, 3, "bad version")
@given(st.integers(0, 60), st.integers(0, 4), st.sampled_from(["written", "deleted", "bad pointer", "bad version"]))
@settings(max_examples=150, deadline=None)
def test_whenever_somebody_goes_back_it_outlives_the_scheduled_build(when: int, built: int, what: str) -> None:
    store, pinned = Interrupting(), list[Manifest]()
    world = before_a_build(built, what, store)

    def go_back() -> None:
        if built < 2 or what == "bad pointer":
            world.reindex.build()
            world.reindex.build()
        # to the bad version, once there is another, nobody goes back
        with suppress(Untrusted):
            pinned.append(world.versions.roll_back())

    store.left, store.meanwhile = when, go_back
    done = world.reindex.build_if_due()
    store.left = -1
    pointer = world.versions.current()
    assert pointer and pointer.pinned == bool(pinned)
    assert pointer.version in {one.version for one in [done, *pinned] if one}
    assert not pinned or pointer.version == pinned[0].version
    world.versions.load(pointer.version)
    # nothing is half there
    assert len(paths_of(world)) % 3 == 1 and world.reindex.build().rows == world.live().info().rows


def paths_of(world: World) -> list[str]:
    return [one.path for one in world.store.list("index/")]


def test_an_older_catalog_is_said_by_scheduled_builds_too() -> None:
    world = World()
    version = world.versions.publish(vector_source_from_arrays([1], unit(1)), 99, world.clock()).version
    world.tamper(f"{FOLDER}/{version}/{INDEX_PART}", b"bad")
    world.add(unit(2))
    with pytest.raises(Conflict, match="restored from a backup"):
        world.reindex.build_if_due()


def test_of_scheduled_builds_at_once_those_that_lose_give_up(caplog: pytest.LogCaptureFixture) -> None:
    store = Interrupting()
    world = before_a_build(1, "deleted", store)
    built: list[Manifest | None] = []
    store.left, store.meanwhile = 12, lambda: built.append(world.reindex.build_if_due())
    with caplog.at_level("INFO"):
        assert world.reindex.build_if_due() is None
    pointer = world.versions.current()
    assert built[0] and pointer and pointer.version == built[0].version and "gives up" in caplog.text
    assert not [one for one in caplog.records if one.levelname in ("WARNING", "ERROR")]
