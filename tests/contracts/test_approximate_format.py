"""Contract of the port `ApproximateFormat`, and the recall of its indexes."""

import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.adapters.faiss_index import SAMPLE_ROWS_PER_LIST, FaissFormat, list_count
from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.domain.errors import LookalikeError, Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Vectors
from lookalike.domain.ports import ApproximateFormat, VectorIndex
from lookalike.domain.reranked_index import MAX_BRUTE_FORCE_ROWS, RerankedIndex, candidate_count
from lookalike.domain.vector_source import vector_source_from_arrays
from lookalike.usecases.index_versions import IndexVersions
from tests.fakes.store import FakeStore

LOW_RECALL_FORMAT = FaissFormat(reduced_dims=(4,), max_full_bytes=0)
"""Keeps four dimensions of each vector, which is too few."""
formats = pytest.mark.parametrize("index_format", [FaissFormat()], ids=lambda index_format: index_format.name)
rng = np.random.default_rng(5)


def clustered_vectors(count: int, dim: int = 24) -> Vectors:
    """Return unit vectors in 30 clusters, like those of garments."""
    centers = np.random.default_rng(1).normal(size=(30, dim))
    rows = centers[rng.integers(0, 30, count)] + 0.5 * rng.normal(size=(count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def random_ids(count: int) -> NDArray[np.int64]:
    """Return unique positive row ids in random order."""
    return rng.permutation(np.arange(1, 3 * count + 1))[:count].astype(np.int64)


def build_index(index_format: ApproximateFormat, row_ids: NDArray[np.int64], vectors: Vectors) -> VectorIndex:
    """Build an index and load it."""
    return index_format.load(index_format.build(vector_source_from_arrays(row_ids, vectors)).data)


def rerank(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors) -> RerankedIndex:
    """Rerank the index's hits by these vectors, which the catalog provides in production."""
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    return RerankedIndex(index, lambda row_ids: {row_id: known[row_id] for row_id in row_ids if row_id in known})


@formats
@pytest.mark.parametrize("count", [1, 2, 40, 3000])
def test_index_contains_and_finds_built_rows(index_format: ApproximateFormat, count: int) -> None:
    row_ids, vectors = random_ids(count), clustered_vectors(count)
    index = build_index(index_format, row_ids, vectors)
    assert index.row_count == count and not index.is_exact
    assert index.contained_ids(np.arange(0, 4 * count + 2)).tolist() == sorted(row_ids.tolist())
    assert index.contained_ids(np.empty(0, np.int64)).size == 0
    results = rerank(index, row_ids, vectors).search(vectors[:20], 1)
    assert [hits[0].row_id for hits in results] == row_ids[:20].tolist()
    assert [len(hits) for hits in index.search(vectors[:3], count + 5)] == [count] * min(3, count)
    assert index.search(vectors[:2], 0) == [[] for _ in vectors[:2]] and index.search(vectors[:0], 3) == []


def uniform_vectors(count: int, dim: int = 64) -> Vectors:
    """Return unit vectors of uniform direction, whose dimensions all carry the same information."""
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def with_copies(vectors: Vectors, count: int) -> Vectors:
    """Make `count` random rows show the same image.

    A third of them differ in the last bit, as after embedding in another batch.
    """
    copies = rng.permutation(len(vectors))[:count]
    vectors[copies] = vectors[copies[:1]]
    vectors[copies[::3]] *= np.float32(1 + 2**-23)
    return vectors


def recall_of_queries(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors, queries: Vectors) -> float:
    """Return the share of the ten nearest rows by brute force that a reranked search finds."""
    expected = ExactIndex(row_ids, vectors).search(queries, 10)
    results = rerank(index, row_ids, vectors).search(queries, 10)
    return sum(hit in hits for hits, nearest in zip(results, expected, strict=True) for hit in nearest) / (
        10 * len(queries)
    )


def recall_of_stored_rows(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors) -> float:
    """Return the mean recall of searches for 1,500 stored rows, by brute force.

    A row's neighbors are the others that are at least as near as its tenth one.
    """
    recalls, positions = [], {row_id: position for position, row_id in enumerate(row_ids.tolist())}
    for position, hits in enumerate(index.search(vectors[:1500], candidate_count(10) + 1)):
        similarities = vectors.astype(np.float64) @ vectors[position].astype(np.float64)
        tenth = np.sort(np.delete(similarities, position))[-10]
        is_near = [
            similarities[positions[hit.row_id]] >= tenth - 1e-6 for hit in hits if hit.row_id != row_ids[position]
        ]
        recalls.append(min(sum(is_near), 10) / 10)
    return float(np.mean(recalls))


@formats
def test_recall_of_new_queries(index_format: ApproximateFormat) -> None:
    row_ids, vectors, queries = random_ids(6000), clustered_vectors(6000), clustered_vectors(200)
    built = index_format.build(vector_source_from_arrays(row_ids, vectors))
    assert recall_of_queries(index_format.load(built.data), row_ids, vectors, queries) >= 0.98
    assert built.recall >= 0.99 and built.queries == 512 and built.settings["lists"] == list_count(6000)


def test_many_neighbors_are_found() -> None:
    row_ids, vectors = random_ids(6000), clustered_vectors(6000)
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    index = RerankedIndex(
        build_index(FaissFormat(), row_ids, vectors), lambda wanted: {row: known[row] for row in wanted}
    )
    nearest, exact = (one.search(vectors[:5], 2000) for one in (index, ExactIndex(row_ids, vectors)))
    shares = [len(set(found) & set(expected)) / 2000 for found, expected in zip(nearest, exact, strict=True)]
    assert min(shares) >= 0.99


@pytest.mark.parametrize("copies", [0, 400])
@pytest.mark.parametrize(
    "index_format", [FaissFormat(), LOW_RECALL_FORMAT, FaissFormat((16,), 0)], ids=["high", "low", "medium"]
)
def test_reported_recall_equals_brute_force(index_format: FaissFormat, copies: int) -> None:
    row_ids, vectors = random_ids(4000), with_copies(uniform_vectors(4000), copies)
    built = index_format.build(vector_source_from_arrays(row_ids, vectors))
    assert built.recall == pytest.approx(
        recall_of_stored_rows(index_format.load(built.data), row_ids, vectors), abs=0.03
    )


def publish_and_read_recall(index_format: ApproximateFormat, vectors: Vectors) -> object:
    """Publish a version; return the recall in its manifest."""
    arguments = FakeStore(), NeighborsFormat(), b"a key", "any-1", vectors.shape[1], lambda: datetime.now(UTC)
    manifest = IndexVersions(*arguments, index_format, 100).publish(
        vector_source_from_arrays(random_ids(len(vectors)), vectors), 1, datetime.now(UTC)
    )
    return (manifest.approximate or {})["recall"]


@formats
@pytest.mark.parametrize("copies", [50, 150, 1000, 3000])
def test_many_identical_images_do_not_lower_recall(index_format: ApproximateFormat, copies: int) -> None:
    assert publish_and_read_recall(index_format, with_copies(clustered_vectors(3000), copies)) >= 0.998  # type: ignore[operator]


@pytest.mark.parametrize("copies", [0, 100, 1500])
def test_low_recall_is_rejected_despite_identical_images(copies: int) -> None:
    with pytest.raises(LookalikeError, match="of the nearest neighbors; the minimum is"):
        publish_and_read_recall(LOW_RECALL_FORMAT, with_copies(uniform_vectors(3000), copies))


@formats
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.9])
def test_filtered_search_equals_exact_search_over_allowed_rows(index_format: ApproximateFormat, share: float) -> None:
    row_ids, vectors, queries = random_ids(6000), clustered_vectors(6000), clustered_vectors(30)
    allowed_ids = np.concatenate([row_ids[rng.random(6000) < share], [10**9]])
    index = build_index(index_format, row_ids, vectors)
    for hits in index.search(queries, 7, allowed_ids):
        assert {hit.row_id for hit in hits} <= set(allowed_ids.tolist()) and len(hits) == min(7, len(allowed_ids) - 1)
    is_allowed = np.isin(row_ids, allowed_ids)
    expected = ExactIndex(row_ids[is_allowed], vectors[is_allowed]).search(queries, 7)
    assert (len(allowed_ids) > MAX_BRUTE_FORCE_ROWS) == (share == 0.9)
    assert rerank(index, row_ids, vectors).search(queries, 7, allowed_ids) == expected


@given(st.sets(st.integers(1, 2**45), min_size=1, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_filter_works_with_high_row_ids(ids: set[int], random: object) -> None:
    row_ids = np.array(sorted(ids), np.int64)
    allowed_ids = np.array(random.sample(sorted(ids), len(ids) // 2), np.int64)  # type: ignore[attr-defined]
    index = build_index(FaissFormat(), row_ids, clustered_vectors(len(row_ids)))
    (hits,) = index.search(clustered_vectors(1), 60, allowed_ids)
    assert sorted(hit.row_id for hit in hits) == sorted(allowed_ids.tolist())


@formats
def test_filter_memory_is_one_bit_per_row_id(index_format: ApproximateFormat) -> None:
    row_ids = rng.permutation(np.concatenate([np.arange(1, 3000), np.array([1 << 26])]))
    index = build_index(index_format, row_ids, clustered_vectors(3000))
    tracemalloc.start()
    index.search(clustered_vectors(1), 9, row_ids[:2000])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 12_000_000


@pytest.mark.slow
@formats
def test_build_holds_training_sample_once(index_format: ApproximateFormat) -> None:
    rows = vector_source_from_arrays(random_ids(12_000), clustered_vectors(12_000, 1024))
    tracemalloc.start()
    index_format.build(rows)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2 * 4 * 1024 * SAMPLE_ROWS_PER_LIST * list_count(12_000)


@formats
def test_build_extends_previous_index(index_format: ApproximateFormat) -> None:
    row_ids, vectors = random_ids(4000), clustered_vectors(4000)
    before = index_format.build(vector_source_from_arrays(row_ids[:3000], vectors[:3000]))
    after = index_format.build(vector_source_from_arrays(row_ids, vectors), before.data)
    index = index_format.load(after.data)
    assert index.row_count == 4000 and after.recall >= 0.99
    assert index.contained_ids(row_ids).size == 4000
    results = rerank(index, row_ids, vectors).search(vectors[2990:3010], 1)
    assert [hits[0].row_id for hits in results] == row_ids[2990:3010].tolist()


@formats
def test_build_replaces_index_with_too_few_lists(index_format: ApproximateFormat) -> None:
    row_ids, vectors = random_ids(5000), clustered_vectors(5000)
    before = index_format.build(vector_source_from_arrays(row_ids[:300], vectors[:300]))
    after = index_format.build(vector_source_from_arrays(row_ids, vectors), before.data)
    assert after.settings["lists"] == list_count(5000) > 2 * before.settings["lists"]
    assert index_format.load(after.data).row_count == 5000


@pytest.mark.slow
@formats
def test_build_keeps_all_dimensions_if_reduction_loses_recall(index_format: ApproximateFormat) -> None:
    built = index_format.build(vector_source_from_arrays(random_ids(3000), uniform_vectors(3000, 700)))
    assert built.recall >= 0.99 and built.settings["numbers"] == 700


@formats
def test_invalid_vectors_and_invalid_bytes_are_rejected(index_format: ApproximateFormat) -> None:
    vectors = clustered_vectors(50)
    data = index_format.build(vector_source_from_arrays(random_ids(50), vectors)).data
    for invalid in (b"", b"hello", bytes(data[:100]), bytes(data[:-1])):
        with pytest.raises(Untrusted):
            index_format.load(memoryview(invalid))
    vectors[7] = 0
    with pytest.raises(LookalikeError, match="length 1"):
        index_format.build(vector_source_from_arrays(random_ids(50), vectors))


@formats
def test_build_is_deterministic(index_format: ApproximateFormat) -> None:
    row_ids, vectors = random_ids(3000), clustered_vectors(3000)
    first, second = (index_format.build(vector_source_from_arrays(row_ids, vectors)) for _ in range(2))
    assert (first.recall, first.settings) == (second.recall, second.settings)
    assert index_format.load(first.data).search(vectors[:5], 9) == index_format.load(second.data).search(vectors[:5], 9)


def test_rerank_requests_more_candidates_if_rows_were_deleted() -> None:
    row_ids, vectors = np.arange(1, 501), clustered_vectors(500)
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    nearest = [hit.row_id for hit in ExactIndex(row_ids, vectors).search(vectors[:1], 500)[0]]
    for row_id in nearest[: 2 * candidate_count(5)]:
        del known[row_id]
    index = RerankedIndex(
        build_index(FaissFormat(), row_ids, vectors),
        lambda requested: {row_id: known[row_id] for row_id in requested if row_id in known},
    )
    hits = [hit.row_id for hit in index.search(vectors[:1], 5)[0]]
    assert len(hits) == 5 and set(hits) <= set(nearest[2 * candidate_count(5) :])
    known.clear()
    assert index.search(vectors[:2], 5) == [[], []]
