"""Index versions with many rows: their approximate index."""

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


class FakeApproximateFormat:
    """`ApproximateFormat` that stores the row ids and reports a given recall.

    `previous_rows` records how many rows the previous index of each build had.
    """

    name, part_name, libraries = "fake", "fake.bin", MappingProxyType({"fake": "1"})

    def __init__(self, recall: float = 1.0) -> None:
        self.recall, self.previous_rows = recall, list[int]()

    def build(self, source: VectorSource, previous: memoryview | None = None) -> Approximation:
        self.previous_rows.append(len(np.frombuffer(previous, np.int64)) if previous is not None else 0)
        return Approximation(source.row_ids.tobytes(), self.recall, 9, {"probes": 3})  # type: ignore[arg-type]

    def load(self, data: memoryview) -> VectorIndex:
        row_ids = np.frombuffer(data, np.int64)
        index = ExactIndex(row_ids, unit_vectors(len(row_ids)))
        index.is_exact = False
        return index


def open_versions(
    harness: IndexHarness, approximate: FakeApproximateFormat | None, approximate_above: int = 10
) -> IndexVersions:
    """Open versions that have an approximate index above 10 rows."""
    return IndexVersions(
        harness.store, NeighborsFormat(), KEY, EMBEDDER, DIM, harness.clock, approximate, approximate_above
    )


def test_version_above_row_limit_has_approximate_index() -> None:
    harness = IndexHarness(RecordingStore())
    versions = open_versions(harness, FakeApproximateFormat())
    small, large = (
        versions.publish(vector_source_from_arrays(np.arange(1, n + 1), unit_vectors(n)), 1, START) for n in (10, 11)
    )
    assert small.approximate is None and small.parts.keys() == {INDEX_PART, ID_MAP_PART}
    assert large.parts.keys() == {INDEX_PART, ID_MAP_PART, "fake.bin"} and large.libraries["fake"] == "1"
    assert large.approximate == {"format": "fake", "recall": 1.0, "queries": 9, "probes": 3}
    assert versions.load(small.version)[1].is_exact and not versions.load(large.version)[1].is_exact
    versions.verify_parts(large)


def test_loading_approximate_index_does_not_read_pickle() -> None:
    store = RecordingStore()
    harness = IndexHarness(store)
    versions = open_versions(harness, FakeApproximateFormat())
    version = versions.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
    store.read_paths.clear()
    versions.load(version)
    assert {path.split("/")[-1] for path in store.read_paths} == {"manifest.json", "fake.bin"}


def test_publish_rejects_low_recall() -> None:
    harness = IndexHarness()
    versions = open_versions(harness, FakeApproximateFormat(0.985))
    old = versions.publish(vector_source_from_arrays(np.arange(1, 4), unit_vectors(3)), 1, START)
    before = index_paths(harness)
    with pytest.raises(LookalikeError, match=r"0\.985"):
        versions.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 2, START)
    current = versions.current()
    assert index_paths(harness) == before and current and current.version == old.version


def test_load_rejects_damaged_approximate_index() -> None:
    harness = IndexHarness()
    versions = open_versions(harness, FakeApproximateFormat())
    version = versions.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
    path = f"{FOLDER}/{version}/fake.bin"
    original = harness.store.get(path)
    for damaged in (b"", original[:-8], original + b"12345678", original[:20] + b"!" + original[21:]):
        harness.tamper(path, damaged)
        with pytest.raises(Untrusted):
            versions.load(version)
    harness.store.delete(path)
    with pytest.raises(NotFound):
        versions.load(version)


def test_versions_without_faiss_are_exact_and_log_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness()
    without_faiss, with_faiss = open_versions(harness, None), open_versions(harness, FakeApproximateFormat())
    version = without_faiss.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
    assert without_faiss.load(version)[1].is_exact and "lookalike[scale]" in caplog.text
    with pytest.raises(Misconfigured, match="scale"):
        without_faiss.load(
            with_faiss.publish(vector_source_from_arrays(np.arange(1, 12), unit_vectors(11)), 1, START).version
        )


def test_approximate_index_is_extended_unless_rows_were_deleted() -> None:
    harness, approximate = IndexHarness(), FakeApproximateFormat()
    versions = open_versions(harness, approximate)
    reindex = Reindex(harness.catalog, versions, clock=harness.clock)
    harness.add_rows(unit_vectors(20))
    reindex.build_if_due()
    new = harness.add_rows(unit_vectors(5))
    reindex.build_if_due()
    harness.delete_row(new[0])
    reindex.build_if_due()
    assert approximate.previous_rows == [0, 20, 0]
