"""Harness for index tests: catalog, object store and index versions in memory, and brute-force search."""

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
POINTER_PATH = f"{FOLDER}/current.json"
START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
rng = np.random.default_rng(7)


def unit_vectors(count: int, dim: int = DIM) -> Vectors:
    """Return random unit vectors (count, dim)."""
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class TickingClock:
    """Clock that advances by one second per call."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=next(self._seconds))


class RecordingStore(FakeStore):
    """Store that records the paths of all reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read_paths: list[str] = []

    def get(self, path: str) -> bytes:
        self.read_paths.append(path)
        return super().get(path)

    def read(self, path: str) -> Iterator[bytes]:
        self.read_paths.append(path)
        return iter([super().get(path)])

    def stat(self, path: str) -> StoredObject | None:
        self.read_paths.append(path)
        return super().stat(path)


class IndexHarness:
    """Catalog, store, index versions and reindex with fakes."""

    def __init__(
        self,
        store: FakeStore | None = None,
        index_format: IndexFormat | None = None,
        catalog: FakeCatalog | None = None,
    ) -> None:
        self.store, self.catalog, self.clock = store or FakeStore(), catalog or FakeCatalog(), TickingClock()
        self.versions = self.open_versions(KEY, index_format)
        self.reindex = Reindex(self.catalog, self.versions, clock=self.clock)
        self._names = itertools.count()

    def open_versions(
        self, key: bytes = KEY, index_format: IndexFormat | None = None, embedder: str = EMBEDDER, dim: int = DIM
    ) -> IndexVersions:
        """Open the versions in the same store, as another process would."""
        return IndexVersions(self.store, index_format or NeighborsFormat(), key, embedder, dim, self.clock)

    def open_live_index(self, poll_interval: float = 0, versions: IndexVersions | None = None) -> "LiveIndexProbe":
        return LiveIndexProbe(self, LiveIndex(versions or self.versions, self.catalog, EMBEDDER, DIM, poll_interval))

    def add_rows(self, vectors: Vectors, embedder: str = EMBEDDER) -> list[int]:
        """Add the vectors as segments of one new photo; return their row ids."""
        photo, box = f"photo-{next(self._names)}", Box(0, 0, 2, 3)
        segments = [
            NewSegment(f"{photo}-{number}", f"{photo}/{number}.png", f"{photo}/{number}.jpg", box, "top", 0.5, vector)
            for number, vector in enumerate(vectors)
        ]
        return [segment.row_id for segment in self.catalog.add_photo(Photo(photo, "0" * 64, 2, 3), segments, embedder)]

    def delete_row(self, row_id: int) -> None:
        """Delete the segment of a row."""
        segment = self.catalog.segment(row_id)
        assert segment is not None
        self.catalog.delete_segment(segment.name)

    def tamper(self, path: str, data: bytes) -> None:
        """Overwrite an object without its signature or checksum being updated."""
        stored = self.store.stat(path)
        self.store.put(path, data, "application/octet-stream", stored.generation if stored else 0)

    def exact_nearest(self, query: Vectors, k: int) -> list[int]:
        """Return the k nearest row ids by brute force over all rows of the catalog."""
        rows = self.catalog.changes(EMBEDDER, 0)
        exact = [[float(value) for value in vector] for vector in rows.vectors]
        exact_query = [float(value) for value in query]
        scores = [math.fsum(a * b for a, b in zip(vector, exact_query, strict=True)) for vector in exact]
        return [row for _, row in sorted(zip([-score for score in scores], rows.row_ids.tolist(), strict=True))][:k]


def publish_version(harness: IndexHarness, commit: int = 1, rows: int = 3) -> Manifest:
    """Publish a version of random vectors with the row ids 1 to `rows`."""
    row_ids = np.arange(1, rows + 1)
    return harness.versions.publish(vector_source_from_arrays(row_ids, unit_vectors(rows)), commit, harness.clock())


def index_paths(harness: IndexHarness) -> list[str]:
    """Return the paths of all index objects."""
    return [stored.path for stored in harness.store.list("index/")]


class LiveIndexProbe:
    """Searches a live index and compares the results with brute force."""

    def __init__(self, harness: IndexHarness, index: LiveIndex) -> None:
        self.harness, self.index = harness, index

    def search_ids(self, query: Vectors, k: int = 10) -> list[int]:
        """Return the row ids of the hits for one query (dim,)."""
        hits, _ = self.index.search(query[None], k, CancelToken())
        return [hit.row_id for hit in hits[0]]

    def info(self) -> IndexInfo:
        """Return the index info of a search."""
        return self.index.search(unit_vectors(1), 1, CancelToken())[1]

    def is_exact(self, k: int = 10) -> bool:
        """Return whether searches for random queries equal brute force."""
        queries = unit_vectors(5)
        return all(self.search_ids(query, k) == self.harness.exact_nearest(query, k) for query in queries)
