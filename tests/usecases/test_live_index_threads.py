"""The live index under several threads: each search sees one whole state, and nothing older than its own beginning."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lookalike.adapters.neighbors_index import INDEX_PART
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Changes, Manifest, Vectors
from lookalike.domain.ports import VectorIndex
from lookalike.usecases.index_versions import IndexVersions
from tests.fakes.catalog import FakeCatalog
from tests.usecases.index_world import DIM, EMBEDDER, FOLDER, KEY, Counting, World, unit


class Paused(IndexVersions):
    """Reads when it is let."""

    def __init__(self, world: World) -> None:
        super().__init__(world.store, world.versions._format, KEY, EMBEDDER, DIM, world.clock)
        self.reading, self.go = threading.Event(), threading.Event()
        self.go.set()

    def read(self, version: str) -> tuple[Manifest, VectorIndex]:
        self.reading.set()
        assert self.go.wait(10)
        return super().load(version)


def test_while_one_thread_loads_the_others_search_the_old_version() -> None:
    world = World()
    world.add(unit(10))
    versions = Paused(world)
    first, live = world.reindex.build(), world.live(versions=versions)
    live.index.warm()
    versions.reading.clear()
    versions.go.clear()
    world.add(unit(2))
    second = world.reindex.build()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(live.info)
        assert versions.reading.wait(10)
        (row_id,) = world.add(vector := unit(1))
        assert live.ids(vector[0])[0] == row_id and live.info().version == first.version
        versions.go.set()
        info = loading.result()
    assert (info.version, info.rows) == (second.version, 13)


def test_the_first_version_is_loaded_by_one_thread_while_the_others_wait() -> None:
    store = Counting()
    world = World(store)
    world.add(unit(50))
    published, live = world.reindex.build(), world.live(look_every=1000)
    store.asked.clear()
    with ThreadPoolExecutor(8) as pool:
        infos = list(pool.map(lambda _: live.info(), range(8)))
    assert {info.version for info in infos} == {published.version}
    assert store.asked.count(f"{FOLDER}/{published.version}/{INDEX_PART}") == 1


class SlowCatalog(FakeCatalog):
    """Answers `changes` late: with what was there when it was asked."""

    def changes(self, embedder: str, since: int) -> Changes:
        found = super().changes(embedder, since)
        threading.Event().wait(0.002)
        return found


class Writer:
    """Adds and deletes rows, one writer at a time, and looks for them without waiting for the others."""

    def __init__(self, world: World) -> None:
        self.world, self.live, self._lock = world, world.live(), threading.Lock()

    def add(self, vector: Vectors) -> int:
        with self._lock:
            (row_id,) = self.world.add(vector)
        return row_id

    def delete(self, row_id: int) -> None:
        with self._lock:
            self.world.delete(row_id)

    def takes_a_turn(self, vector: Vectors) -> None:
        row_id = self.add(vector)
        assert self.live.ids(vector[0])[0] == row_id
        self.delete(row_id)
        assert row_id not in self.live.ids(vector[0], 500)
        self.add(vector)


def rebuilt(world: World, done: threading.Event) -> int:
    """How often, until it is done."""
    times = 0
    while not done.wait(0.005):
        world.reindex.build()
        times += 1
    return times


@pytest.mark.parametrize("catalog", [FakeCatalog, SlowCatalog])
def test_threads_that_write_find_their_own_at_once(catalog: Callable[[], FakeCatalog]) -> None:
    world, done = World(catalog=catalog()), threading.Event()
    writer = Writer(world)
    with ThreadPoolExecutor(9) as pool:
        times = pool.submit(rebuilt, world, done)
        try:
            list(pool.map(writer.takes_a_turn, np.split(unit(96), 96)))
        finally:
            done.set()
        assert times.result() > 1
    assert writer.live.is_exact(100) and writer.live.info().rows == 96


def test_a_reader_during_a_swap_sees_one_version_whole() -> None:
    world = World()
    vectors = unit(40)
    world.add(vectors)
    live, done = world.live(), threading.Event()
    expected = [world.nearest(vector, 40) for vector in vectors]

    def read(_: int) -> set[str | None]:
        seen = set[str | None]()
        for place in itertools.cycle(range(40)):
            hits, info = live.index.search(vectors[place][None], 40, CancelToken())
            assert [hit.row_id for hit in hits[0]] == expected[place] and info.rows == 40
            seen.add(info.version)
            if done.is_set():
                return seen
        raise AssertionError

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        built = [world.reindex.build().version for _ in range(20)]
        done.set()
        seen = set[str | None]().union(*(reader.result() for reader in readers))
    assert seen <= {None, *built} and live.info().version == built[-1]
