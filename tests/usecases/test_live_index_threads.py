"""Live index with several threads: a search uses exactly one state, with all commits made before it began."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lookalike.adapters.neighbors_index import INDEX_PART, NeighborsFormat
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Changes, Manifest, Vectors
from lookalike.domain.ports import VectorIndex
from lookalike.usecases.index_versions import IndexVersions
from tests.fakes.catalog import FakeCatalog
from tests.usecases.index_harness import DIM, EMBEDDER, FOLDER, KEY, IndexHarness, RecordingStore, unit_vectors


class PausedVersions(IndexVersions):
    """Versions whose loading waits while `resume` is not set. `loading` is set when it starts."""

    def __init__(self, harness: IndexHarness) -> None:
        super().__init__(harness.store, NeighborsFormat(), KEY, EMBEDDER, DIM, harness.clock)
        self.loading, self.resume = threading.Event(), threading.Event()
        self.resume.set()

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        self.loading.set()
        assert self.resume.wait(10)
        return super().load(version)


def test_other_threads_search_old_version_while_one_loads() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    versions = PausedVersions(harness)
    first, live = harness.reindex.build(), harness.open_live_index(versions=versions)
    live.index.warm_up()
    versions.loading.clear()
    versions.resume.clear()
    harness.add_rows(unit_vectors(2))
    second = harness.reindex.build()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(live.info)
        assert versions.loading.wait(10)
        (row_id,) = harness.add_rows(vector := unit_vectors(1))
        assert live.search_ids(vector[0])[0] == row_id and live.info().version == first.version
        versions.resume.set()
        info = loading.result()
    assert (info.version, info.rows) == (second.version, 13)


def test_first_version_is_loaded_once_for_all_threads() -> None:
    store = RecordingStore()
    harness = IndexHarness(store)
    harness.add_rows(unit_vectors(50))
    published, live = harness.reindex.build(), harness.open_live_index(poll_interval=1000)
    store.read_paths.clear()
    with ThreadPoolExecutor(8) as pool:
        infos = list(pool.map(lambda _: live.info(), range(8)))
    assert {info.version for info in infos} == {published.version}
    assert store.read_paths.count(f"{FOLDER}/{published.version}/{INDEX_PART}") == 1


class SlowCatalog(FakeCatalog):
    """Catalog whose `changes` returns 2 ms after the changes were read."""

    def changes(self, embedder: str, since: int) -> Changes:
        changes = super().changes(embedder, since)
        threading.Event().wait(0.002)
        return changes


class Writer:
    """Adds and deletes rows under a lock, and searches for them without it."""

    def __init__(self, harness: IndexHarness) -> None:
        self.harness, self.live, self._lock = harness, harness.open_live_index(), threading.Lock()

    def add(self, vector: Vectors) -> int:
        with self._lock:
            (row_id,) = self.harness.add_rows(vector)
        return row_id

    def delete(self, row_id: int) -> None:
        with self._lock:
            self.harness.delete_row(row_id)

    def add_delete_add(self, vector: Vectors) -> None:
        row_id = self.add(vector)
        assert self.live.search_ids(vector[0])[0] == row_id
        self.delete(row_id)
        assert row_id not in self.live.search_ids(vector[0], 500)
        self.add(vector)


def rebuild_until(harness: IndexHarness, done: threading.Event) -> int:
    """Rebuild the index until `done` is set; return the number of builds."""
    count = 0
    while not done.wait(0.005):
        harness.reindex.build()
        count += 1
    return count


@pytest.mark.parametrize("catalog", [FakeCatalog, SlowCatalog])
def test_each_writing_thread_finds_its_own_rows(catalog: Callable[[], FakeCatalog]) -> None:
    harness, done = IndexHarness(catalog=catalog()), threading.Event()
    writer = Writer(harness)
    with ThreadPoolExecutor(9) as pool:
        builds = pool.submit(rebuild_until, harness, done)
        try:
            list(pool.map(writer.add_delete_add, np.split(unit_vectors(96), 96)))
        finally:
            done.set()
        assert builds.result() > 1
    assert writer.live.is_exact(100) and writer.live.info().rows == 96


def test_search_during_version_switch_uses_one_version() -> None:
    harness = IndexHarness()
    vectors = unit_vectors(40)
    harness.add_rows(vectors)
    live, done = harness.open_live_index(), threading.Event()
    expected = [harness.exact_nearest(vector, 40) for vector in vectors]

    def read(_: int) -> set[str | None]:
        versions = set[str | None]()
        for number in itertools.cycle(range(40)):
            hits, info = live.index.search(vectors[number][None], 40, CancelToken())
            assert [hit.row_id for hit in hits[0]] == expected[number] and info.rows == 40
            versions.add(info.version)
            if done.is_set():
                return versions
        raise AssertionError

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        built = [harness.reindex.build().version for _ in range(20)]
        done.set()
        seen = set[str | None]().union(*(reader.result() for reader in readers))
    assert seen <= {None, *built} and live.info().version == built[-1]
