"""Rebuilding the index, and sweeping what uploads left behind."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.adapters.neighbours_index import INDEX
from lookalike.domain.errors import Conflict
from lookalike.domain.model import Changes, StoredObject
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.sweep import BATCH, sweep
from lookalike.usecases.versions import POINTER
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.store import FakeStore
from tests.usecases.index_world import DIM, EMBEDDER, World, unit


def test_a_version_holds_all_living_rows_of_its_embedder() -> None:
    world = World()
    rows = world.add(unit(6))
    world.add(unit(2), "other")
    world.delete(rows[0])
    manifest = world.reindex.build()
    _, index = world.versions.read(manifest.version, EMBEDDER, DIM)
    assert index.row_ids.tolist() == rows[1:]
    assert (manifest.rows, manifest.commit, manifest.highest_row_id) == (5, 3, rows[-1])


def test_an_empty_catalogue_is_built() -> None:
    manifest = World().reindex.build()
    assert (manifest.rows, manifest.commit) == (0, 0)


def test_nothing_is_built_while_nothing_changed() -> None:
    world = World()
    first = world.reindex.build(only_if_changed=True)
    assert world.reindex.build(only_if_changed=True) == first
    (row_id,) = world.add(unit(1))
    second = world.reindex.build(only_if_changed=True)
    assert second.rows == 1 and world.reindex.build(only_if_changed=True) == second
    world.delete(row_id)
    third = world.reindex.build(only_if_changed=True)
    assert third.rows == 0 and world.reindex.build() != third


def test_another_embedders_version_is_no_reason_not_to_build() -> None:
    world = World()
    other = Reindex(world.catalogue, world.versions, "other", DIM, world.clock).build()
    mine = world.reindex.build(only_if_changed=True)
    assert mine.embedder == EMBEDDER and mine.version != other.version


@pytest.mark.parametrize("path", [POINTER, "index/{}/manifest.json", f"index/{{}}/{INDEX}"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_bad_version_is_built_anew(path: str, missing: bool) -> None:
    world = World()
    world.add(unit(3))
    first = world.reindex.build()
    if missing:
        world.store.delete(path.format(first.version))
    else:
        world.tamper(path.format(first.version), b"bad")
    second = world.reindex.build(only_if_changed=True)
    assert second.version != first.version
    assert world.reindex.build(only_if_changed=True) == second
    world.versions.read(second.version, EMBEDDER, DIM)


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
    assert sweep(world.store, world.catalogue, 3600) == 0
    assert sweep(world.store, world.catalogue, 3600, lambda: later(0.9)) == 0
    assert sweep(world.store, world.catalogue, 3600, lambda: later(1.1)) == 2
    assert [one.path for one in world.store.list()] == sorted(path for path in PATHS if "lost" not in path)
    assert sweep(world.store, world.catalogue, 3600, lambda: later(9)) == 0


class WrittenAgain(FakeStore):
    """Each object is written again right after it was listed."""

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        for one in super().list(prefix):
            yield one
            self.put(one.path, b"new", "image/png", one.generation)


def test_what_is_written_in_the_meantime_stays() -> None:
    world = filled(WrittenAgain())
    assert sweep(world.store, world.catalogue, 3600, lambda: later(2)) == 0
    assert len(list(world.store.list())) == len(PATHS)


class Batches(FakeCatalogue):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def known_paths(self, paths: Sequence[str]) -> set[str]:
        self.sizes.append(len(paths))
        return super().known_paths(paths)


def test_rows_are_asked_for_in_batches() -> None:
    store, catalogue = FakeStore(), Batches()
    for number in range(BATCH + 7):
        store.put(f"lost/{number}.png", b"", "image/png")
    assert sweep(store, catalogue, 60, lambda: later(1)) == BATCH + 7
    assert catalogue.sizes == [BATCH, 7] and list(store.list()) == []


class Overtaken(FakeCatalogue):
    """Another rebuild is done while its answer is under way."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def changes(self, embedder: str, since: int) -> Changes:
        found = self.world.catalogue.changes(embedder, since)
        self.world.add(unit(1))
        self.world.reindex.build()
        return found


def test_who_is_overtaken_while_reading_publishes_nothing() -> None:
    world = World()
    world.add(unit(1))
    with pytest.raises(Conflict):
        Reindex(Overtaken(world), world.versions, EMBEDDER, DIM, world.clock).build()
    assert [one.rows for one in world.versions.list()] == [2]
