"""Index versions of many rows have an approximate index, too."""

from types import MappingProxyType

import numpy as np
import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART, NeighborsFormat
from lookalike.domain.errors import LookalikeError, Misconfigured, NotFound, Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.ports import Approximation, VectorIndex
from lookalike.domain.vector_source import VectorSource, vector_source_from_arrays
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.reindex import Reindex
from tests.usecases.index_harness import (
    DIM,
    EMBEDDER,
    FOLDER,
    KEY,
    START,
    IndexHarness,
    RecordingStore,
    index_paths,
    unit_vectors,
)


class Approximate:
    """An `ApproximateFormat` that keeps the row numbers, and says what it is told to of its recall."""

    name, part_name, libraries = "fake", "fake.bin", MappingProxyType({"fake": "1"})

    def __init__(self, recall: float = 1.0) -> None:
        self.recall, self.extended = recall, list[int]()

    def build(self, rows: VectorSource, previous: memoryview | None = None) -> Approximation:
        self.extended.append(len(np.frombuffer(previous, np.int64)) if previous is not None else 0)
        return Approximation(rows.row_ids.tobytes(), self.recall, 9, {"probes": 3})  # type: ignore[arg-type]

    def load(self, data: memoryview) -> VectorIndex:
        row_ids = np.frombuffer(data, np.int64)
        index = ExactIndex(row_ids, unit_vectors(len(row_ids)))
        index.is_exact = False
        return index


def approximating(world: IndexHarness, used: Approximate | None, above: int = 10) -> IndexVersions:
    return IndexVersions(world.store, NeighborsFormat(), KEY, EMBEDDER, DIM, world.clock, used, above)


def test_above_a_bound_a_version_has_an_approximate_index_too() -> None:
    world = IndexHarness(RecordingStore())
    versions = approximating(world, Approximate())
    small, large = (
        versions.publish(vector_source_from_arrays(np.arange(1, n + 1), unit_vectors(n)), 1, START) for n in (10, 11)
    )
    assert small.approximate is None and small.parts.keys() == {INDEX_PART, ID_MAP_PART}
    assert large.parts.keys() == {INDEX_PART, ID_MAP_PART, "fake.bin"} and large.libraries["fake"] == "1"
    assert large.approximate == {"format": "fake", "recall": 1.0, "queries": 9, "probes": 3}
    assert versions.load(small.version)[1].is_exact and not versions.load(large.version)[1].is_exact
    versions.verify_parts(large)


def test_who_searches_the_approximate_index_never_reads_the_pickle() -> None:
    store = RecordingStore()
    world = IndexHarness(store)
    versions = approximating(world, Approximate())
    version = versions.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
    store.read_paths.clear()
    versions.load(version)
    assert {path.split("/")[-1] for path in store.read_paths} == {"manifest.json", "fake.bin"}


def test_a_version_that_finds_too_little_is_not_published() -> None:
    world = IndexHarness()
    versions = approximating(world, Approximate(0.985))
    old = versions.publish(vector_source_from_arrays(np.arange(1, 4), unit_vectors(3)), 1, START)
    before = index_paths(world)
    with pytest.raises(LookalikeError, match=r"0\.985"):
        versions.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 2, START)
    current = versions.current()
    assert index_paths(world) == before and current and current.version == old.version


def test_every_changed_byte_of_the_approximate_index_is_refused() -> None:
    world = IndexHarness()
    versions = approximating(world, Approximate())
    version = versions.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
    path = f"{FOLDER}/{version}/fake.bin"
    good = world.store.get(path)
    for wrong in (b"", good[:-8], good + b"12345678", good[:20] + b"!" + good[21:]):
        world.tamper(path, wrong)
        with pytest.raises(Untrusted):
            versions.load(version)
    world.store.delete(path)
    with pytest.raises(NotFound):
        versions.load(version)


def test_without_the_library_all_goes_on_exactly_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    world = IndexHarness()
    plain, other = approximating(world, None), approximating(world, Approximate())
    version = plain.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
    assert plain.load(version)[1].is_exact and "lookalike[scale]" in caplog.text
    with pytest.raises(Misconfigured, match="scale"):
        plain.load(other.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version)


def test_an_approximate_index_is_extended_where_the_version_is() -> None:
    world, used = IndexHarness(), Approximate()
    versions = approximating(world, used)
    reindex = Reindex(world.catalog, versions, clock=world.clock)
    world.add_rows(unit_vectors(20))
    reindex.build_if_due()
    new = world.add_rows(unit_vectors(5))
    reindex.build_if_due()
    world.delete_row(new[0])
    reindex.build_if_due()
    assert used.extended == [0, 20, 0]
