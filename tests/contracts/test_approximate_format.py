"""The contract of the port `ApproximateFormat`, and whether what it finds is near enough."""

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

BAD = FaissFormat(reduced_dims=(4,), max_full_bytes=0)
"""Keeps four numbers of each vector, which is too few."""
formats = pytest.mark.parametrize("used", [FaissFormat()], ids=lambda one: one.name)
dice = np.random.default_rng(5)


def near_each_other(count: int, dim: int = 24) -> Vectors:
    """Around some centres, as garments are."""
    centres = np.random.default_rng(1).normal(size=(30, dim))
    rows = centres[dice.integers(0, 30, count)] + 0.5 * dice.normal(size=(count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def numbered(count: int) -> NDArray[np.int64]:
    return dice.permutation(np.arange(1, 3 * count + 1))[:count].astype(np.int64)


def built(used: ApproximateFormat, row_ids: NDArray[np.int64], vectors: Vectors) -> VectorIndex:
    return used.load(used.build(vector_source_from_arrays(row_ids, vectors)).data)


def compared(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors) -> RerankedIndex:
    """With the true vectors from somewhere else, as the catalog gives them."""
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    return RerankedIndex(index, lambda asked: {one: known[one] for one in asked if one in known})


@formats
@pytest.mark.parametrize("count", [1, 2, 40, 3000])
def test_what_is_built_is_held_and_found(used: ApproximateFormat, count: int) -> None:
    row_ids, vectors = numbered(count), near_each_other(count)
    index = built(used, row_ids, vectors)
    assert index.row_count == count and not index.is_exact
    assert index.contained_ids(np.arange(0, 4 * count + 2)).tolist() == sorted(row_ids.tolist())
    assert index.contained_ids(np.empty(0, np.int64)).size == 0
    found = compared(index, row_ids, vectors).search(vectors[:20], 1)
    assert [hits[0].row_id for hits in found] == row_ids[:20].tolist()
    assert [len(hits) for hits in index.search(vectors[:3], count + 5)] == [count] * min(3, count)
    assert index.search(vectors[:2], 0) == [[] for _ in vectors[:2]] and index.search(vectors[:0], 3) == []


def apart(count: int, dim: int = 64) -> Vectors:
    """In every direction, so that each number tells as much."""
    rows = dice.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def with_copies(vectors: Vectors, count: int) -> Vectors:
    """So many of them, anywhere, are of one picture, some of them embedded in another batch: other in the last digit."""
    copies = dice.permutation(len(vectors))[:count]
    vectors[copies] = vectors[copies[:1]]
    vectors[copies[::3]] *= np.float32(1 + 2**-23)
    return vectors


def found_by_others(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors, queries: Vectors) -> float:
    """The share of the ten nearest, by brute force, that are found."""
    true = ExactIndex(row_ids, vectors).search(queries, 10)
    found = compared(index, row_ids, vectors).search(queries, 10)
    return sum(hit in hits for hits, wanted in zip(found, true, strict=True) for hit in wanted) / (10 * len(queries))


def found_by_themselves(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors) -> float:
    """As near as the tenth are how many of the ten best candidates, themselves left out: by brute force for 1,500 rows."""
    shares, places = [], {row_id: place for place, row_id in enumerate(row_ids.tolist())}
    for place, hits in enumerate(index.search(vectors[:1500], candidate_count(10) + 1)):
        likeness = vectors.astype(np.float64) @ vectors[place].astype(np.float64)
        tenth = np.sort(np.delete(likeness, place))[-10]
        near = [likeness[places[hit.row_id]] >= tenth - 1e-6 for hit in hits if hit.row_id != row_ids[place]]
        shares.append(min(sum(near), 10) / 10)
    return float(np.mean(shares))


@formats
def test_what_others_ask_for_is_found(used: ApproximateFormat) -> None:
    row_ids, vectors, queries = numbered(6000), near_each_other(6000), near_each_other(200)
    told = used.build(vector_source_from_arrays(row_ids, vectors))
    assert found_by_others(used.load(told.data), row_ids, vectors, queries) >= 0.98
    assert told.recall >= 0.99 and told.queries == 512 and told.settings["lists"] == list_count(6000)


@pytest.mark.parametrize("copies", [0, 400])
@pytest.mark.parametrize("used", [FaissFormat(), BAD, FaissFormat((16,), 0)], ids=["good", "bad", "middling"])
def test_the_recall_that_is_told_is_that_of_brute_force(used: FaissFormat, copies: int) -> None:
    row_ids, vectors = numbered(4000), with_copies(apart(4000), copies)
    told = used.build(vector_source_from_arrays(row_ids, vectors))
    assert told.recall == pytest.approx(found_by_themselves(used.load(told.data), row_ids, vectors), abs=0.03)


def published(used: ApproximateFormat, vectors: Vectors) -> object:
    """What the manifest says of the recall."""
    parts = FakeStore(), NeighborsFormat(), b"a key", "any-1", vectors.shape[1], lambda: datetime.now(UTC)
    told = IndexVersions(*parts, used, 100).publish(
        vector_source_from_arrays(numbered(len(vectors)), vectors), 1, datetime.now(UTC)
    )
    return (told.approximate or {})["recall"]


@formats
@pytest.mark.parametrize("copies", [50, 150, 1000, 3000])
def test_however_many_are_of_one_picture_it_is_published(used: ApproximateFormat, copies: int) -> None:
    assert published(used, with_copies(near_each_other(3000), copies)) >= 0.998  # type: ignore[operator]


@pytest.mark.parametrize("copies", [0, 100, 1500])
def test_what_finds_too_little_is_not_published_though_many_are_of_one_picture(copies: int) -> None:
    with pytest.raises(LookalikeError, match="of the nearest"):
        published(BAD, with_copies(apart(3000), copies))


@formats
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.9])
def test_among_some_rows_it_is_exact_search_over_them_alone(used: ApproximateFormat, share: float) -> None:
    row_ids, vectors, queries = numbered(6000), near_each_other(6000), near_each_other(30)
    among = np.concatenate([row_ids[dice.random(6000) < share], [10**9]])
    index = built(used, row_ids, vectors)
    for hits in index.search(queries, 7, among):
        assert {hit.row_id for hit in hits} <= set(among.tolist()) and len(hits) == min(7, len(among) - 1)
    chosen = np.isin(row_ids, among)
    wanted = ExactIndex(row_ids[chosen], vectors[chosen]).search(queries, 7)
    assert (len(among) > MAX_BRUTE_FORCE_ROWS) == (share == 0.9)
    assert compared(index, row_ids, vectors).search(queries, 7, among) == wanted


@given(st.sets(st.integers(1, 2**45), min_size=1, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_of_row_numbers_however_high_only_those_asked_for_are_found(numbers: set[int], dice: object) -> None:
    row_ids = np.array(sorted(numbers), np.int64)
    among = np.array(dice.sample(sorted(numbers), len(numbers) // 2), np.int64)  # type: ignore[attr-defined]
    index = built(FaissFormat(), row_ids, near_each_other(len(row_ids)))
    (hits,) = index.search(near_each_other(1), 60, among)
    assert sorted(hit.row_id for hit in hits) == sorted(among.tolist())


@formats
def test_a_filter_takes_a_bit_for_each_row_number(used: ApproximateFormat) -> None:
    row_ids = dice.permutation(np.concatenate([np.arange(1, 3000), np.array([1 << 26])]))
    index = built(used, row_ids, near_each_other(3000))
    tracemalloc.start()
    index.search(near_each_other(1), 9, row_ids[:2000])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 12_000_000


@pytest.mark.slow
@formats
def test_the_sample_is_held_once(used: ApproximateFormat) -> None:
    rows = vector_source_from_arrays(numbered(12_000), near_each_other(12_000, 1024))
    tracemalloc.start()
    used.build(rows)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * 4 * 1024 * SAMPLE_ROWS_PER_LIST * list_count(12_000)


@formats
def test_it_is_extended_by_the_rows_that_are_new(used: ApproximateFormat) -> None:
    row_ids, vectors = numbered(4000), near_each_other(4000)
    before = used.build(vector_source_from_arrays(row_ids[:3000], vectors[:3000]))
    after = used.build(vector_source_from_arrays(row_ids, vectors), before.data)
    index = used.load(after.data)
    assert index.row_count == 4000 and after.recall >= 0.99
    assert index.contained_ids(row_ids).size == 4000
    found = compared(index, row_ids, vectors).search(vectors[2990:3010], 1)
    assert [hits[0].row_id for hits in found] == row_ids[2990:3010].tolist()


@formats
def test_one_that_has_outgrown_its_lists_is_built_anew(used: ApproximateFormat) -> None:
    row_ids, vectors = numbered(5000), near_each_other(5000)
    before = used.build(vector_source_from_arrays(row_ids[:300], vectors[:300]))
    after = used.build(vector_source_from_arrays(row_ids, vectors), before.data)
    assert after.settings["lists"] == list_count(5000) > 2 * before.settings["lists"]
    assert used.load(after.data).row_count == 5000


@pytest.mark.slow
@formats
def test_where_every_number_tells_as_much_all_are_kept(used: ApproximateFormat) -> None:
    told = used.build(vector_source_from_arrays(numbered(3000), apart(3000, 700)))
    assert told.recall >= 0.99 and told.settings["numbers"] == 700


@formats
def test_bad_rows_and_bad_bytes_are_refused(used: ApproximateFormat) -> None:
    vectors = near_each_other(50)
    data = used.build(vector_source_from_arrays(numbered(50), vectors)).data
    for wrong in (b"", b"hello", bytes(data[:100]), bytes(data[:-1])):
        with pytest.raises(Untrusted):
            used.load(memoryview(wrong))
    vectors[7] = 0
    with pytest.raises(LookalikeError, match="length 1"):
        used.build(vector_source_from_arrays(numbered(50), vectors))


@formats
def test_the_same_rows_give_the_same_index(used: ApproximateFormat) -> None:
    row_ids, vectors = numbered(3000), near_each_other(3000)
    first, second = (used.build(vector_source_from_arrays(row_ids, vectors)) for _ in range(2))
    assert (first.recall, first.settings) == (second.recall, second.settings)
    assert used.load(first.data).search(vectors[:5], 9) == used.load(second.data).search(vectors[:5], 9)


def test_rows_that_were_deleted_make_room_for_others() -> None:
    row_ids, vectors = np.arange(1, 501), near_each_other(500)
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    true = [hit.row_id for hit in ExactIndex(row_ids, vectors).search(vectors[:1], 500)[0]]
    for row_id in true[: 2 * candidate_count(5)]:
        del known[row_id]
    index = RerankedIndex(
        built(FaissFormat(), row_ids, vectors), lambda asked: {o: known[o] for o in asked if o in known}
    )
    found = [hit.row_id for hit in index.search(vectors[:1], 5)[0]]
    assert len(found) == 5 and set(found) <= set(true[2 * candidate_count(5) :])
    known.clear()
    assert index.search(vectors[:2], 5) == [[], []]
