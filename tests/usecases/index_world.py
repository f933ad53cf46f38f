"""A catalog, a store and index versions in memory, and what a search must find in them."""

import itertools
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box, Manifest, NewSegment, Photo, StoredObject, Vectors
from lookalike.domain.ports import IndexFormat
from lookalike.domain.vector_source import vector_source_from_arrays
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.live_index import IndexInfo, LiveIndex
from lookalike.usecases.reindex import Reindex
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore

EMBEDDER, DIM, KEY = "fake-1", 8, b"a key"
FOLDER = f"index/{EMBEDDER}"
POINTER = f"{FOLDER}/current.json"
START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
rng = np.random.default_rng(7)


def unit(count: int, dim: int = DIM) -> Vectors:
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class Ticking:
    """A clock that a second passes on whenever it is asked."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=next(self._seconds))


class Counting(FakeStore):
    """Keeps what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, path: str) -> bytes:
        self.asked.append(path)
        return super().get(path)

    def read(self, path: str) -> Iterator[bytes]:
        self.asked.append(path)
        return iter([super().get(path)])

    def stat(self, path: str) -> StoredObject | None:
        self.asked.append(path)
        return super().stat(path)


class World:
    def __init__(
        self,
        store: FakeStore | None = None,
        index_format: IndexFormat | None = None,
        catalog: FakeCatalog | None = None,
    ) -> None:
        self.store, self.catalog, self.clock = store or FakeStore(), catalog or FakeCatalog(), Ticking()
        self.versions = self.versions_with(KEY, index_format)
        self.reindex = Reindex(self.catalog, self.versions, clock=self.clock)
        self._names = itertools.count()

    def versions_with(
        self, key: bytes = KEY, index_format: IndexFormat | None = None, embedder: str = EMBEDDER, dim: int = DIM
    ) -> IndexVersions:
        return IndexVersions(self.store, index_format or NeighborsFormat(), key, embedder, dim, self.clock)

    def live(self, look_every: float = 0, versions: IndexVersions | None = None) -> "Live":
        return Live(self, LiveIndex(versions or self.versions, self.catalog, EMBEDDER, DIM, look_every))

    def add(self, vectors: Vectors, embedder: str = EMBEDDER) -> list[int]:
        """The new rows' ids, all of one photo."""
        photo, box = f"photo-{next(self._names)}", Box(0, 0, 2, 3)
        new = [
            NewSegment(f"{photo}-{number}", f"{photo}/{number}.png", f"{photo}/{number}.jpg", box, "top", 0.5, vector)
            for number, vector in enumerate(vectors)
        ]
        return [one.row_id for one in self.catalog.add_photo(Photo(photo, "0" * 64, 2, 3), new, embedder)]

    def delete(self, row_id: int) -> None:
        segment = self.catalog.segment(row_id)
        assert segment is not None
        self.catalog.delete_segment(segment.name)

    def tamper(self, path: str, data: bytes) -> None:
        there = self.store.stat(path)
        self.store.put(path, data, "application/octet-stream", there.generation if there else 0)

    def nearest(self, query: Vectors, k: int) -> list[int]:
        """By brute force over the catalog's living rows."""
        rows = self.catalog.changes(EMBEDDER, 0)
        wide = [[float(value) for value in vector] for vector in rows.vectors]
        wanted = [float(value) for value in query]
        scores = [math.fsum(a * b for a, b in zip(vector, wanted, strict=True)) for vector in wide]
        return [row for _, row in sorted(zip([-score for score in scores], rows.row_ids.tolist(), strict=True))][:k]


def publish(world: World, commit: int = 1, rows: int = 3) -> Manifest:
    row_ids = np.arange(1, rows + 1)
    return world.versions.publish(vector_source_from_arrays(row_ids, unit(rows)), commit, world.clock())


def paths(world: World) -> list[str]:
    return [one.path for one in world.store.list("index/")]


class Live:
    """A live index, asked and compared with brute force."""

    def __init__(self, world: World, index: LiveIndex) -> None:
        self.world, self.index = world, index

    def ids(self, query: Vectors, k: int = 10) -> list[int]:
        hits, _ = self.index.search(query[None], k, CancelToken())
        return [hit.row_id for hit in hits[0]]

    def info(self) -> IndexInfo:
        return self.index.search(unit(1), 1, CancelToken())[1]

    def is_exact(self, k: int = 10) -> bool:
        queries = unit(5)
        return all(self.ids(query, k) == self.world.nearest(query, k) for query in queries)
