"""The contract of the port `ApproximateFormat`, and whether what it finds is near enough."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.adapters import faiss_index
from lookalike.adapters.faiss_index import FaissFormat, lists
from lookalike.domain.errors import LookalikeError, Untrusted
from lookalike.domain.exact import ExactIndex
from lookalike.domain.model import Vectors
from lookalike.domain.ports import ApproximateFormat, VectorIndex
from lookalike.domain.reranked import FEW, Reranked, candidates
from lookalike.domain.rows import rows_of

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
    return used.load(used.build(rows_of(row_ids, vectors)).data)


def compared(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors) -> Reranked:
    """With the true vectors from somewhere else, as the catalogue gives them."""
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    return Reranked(index, lambda asked: {one: known[one] for one in asked if one in known})


@formats
@pytest.mark.parametrize("count", [1, 2, 40, 3000])
def test_what_is_built_is_held_and_found(used: ApproximateFormat, count: int) -> None:
    row_ids, vectors = numbered(count), near_each_other(count)
    index = built(used, row_ids, vectors)
    assert index.rows == count and not index.exact
    assert index.holding(np.arange(0, 4 * count + 2)).tolist() == sorted(row_ids.tolist())
    assert index.holding(np.empty(0, np.int64)).size == 0
    found = compared(index, row_ids, vectors).search(vectors[:20], 1)
    assert [hits[0].row_id for hits in found] == row_ids[:20].tolist()
    assert [len(hits) for hits in index.search(vectors[:3], count + 5)] == [count] * min(3, count)
    assert index.search(vectors[:2], 0) == [[] for _ in vectors[:2]] and index.search(vectors[:0], 3) == []


@formats
def test_the_recall_that_is_told_is_that_of_others_questions(used: ApproximateFormat) -> None:
    row_ids, vectors, queries = numbered(6000), near_each_other(6000), near_each_other(200)
    told = used.build(rows_of(row_ids, vectors))
    index = compared(used.load(told.data), row_ids, vectors)
    assert abs(told.recall - share_found(index, row_ids, vectors, vectors[::12])) < 0.005
    assert told.recall >= 0.99 and share_found(index, row_ids, vectors, queries) >= 0.98
    assert told.queries == 512 and told.settings["lists"] == lists(6000)


def share_found(index: VectorIndex, row_ids: NDArray[np.int64], vectors: Vectors, queries: Vectors) -> float:
    """Of the ten nearest by brute force."""
    true = ExactIndex(row_ids, vectors).search(queries, 10)
    found = ({hit.row_id for hit in hits} for hits in index.search(queries, 10))
    return sum(hit.row_id in got for got, wanted in zip(found, true, strict=True) for hit in wanted) / (
        10 * len(queries)
    )


@formats
@pytest.mark.parametrize("copies", [60, 200, 600, 6000])
def test_copies_of_one_picture_are_no_reason_not_to_publish(used: ApproximateFormat, copies: int) -> None:
    row_ids, vectors = numbered(6000), near_each_other(6000)
    vectors[dice.permutation(6000)[:copies]] = vectors[0]
    told = used.build(rows_of(row_ids, vectors))
    assert told.recall >= 0.99
    hits = compared(used.load(told.data), row_ids, vectors).search(vectors[:1], 10)[0]
    assert all(hit.similarity > 1 - 1e-6 for hit in hits) and len(hits) == 10


@formats
def test_too_few_that_are_found_are_told(used: ApproximateFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a library finds others than the nearest."""
    real = faiss_index._search

    def worse(
        index: object, vectors: Vectors, count: int, parameters: object = None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        similarities, found = real(index, vectors, count, parameters)
        return similarities, np.where(np.arange(found.shape[1]) % 2, -1, found)

    monkeypatch.setattr(faiss_index, "_search", worse)
    assert used.build(rows_of(numbered(3000), near_each_other(3000))).recall < 0.9


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
    assert (len(among) > FEW) == (share == 0.9)
    assert compared(index, row_ids, vectors).search(queries, 7, among) == wanted


@formats
def test_it_is_extended_by_the_rows_that_are_new(used: ApproximateFormat) -> None:
    row_ids, vectors = numbered(4000), near_each_other(4000)
    before = used.build(rows_of(row_ids[:3000], vectors[:3000]))
    after = used.build(rows_of(row_ids, vectors), before.data)
    index = used.load(after.data)
    assert index.rows == 4000 and after.recall >= 0.99
    assert index.holding(row_ids).size == 4000
    found = compared(index, row_ids, vectors).search(vectors[2990:3010], 1)
    assert [hits[0].row_id for hits in found] == row_ids[2990:3010].tolist()


@formats
def test_one_that_has_outgrown_its_lists_is_built_anew(used: ApproximateFormat) -> None:
    row_ids, vectors = numbered(5000), near_each_other(5000)
    before = used.build(rows_of(row_ids[:300], vectors[:300]))
    after = used.build(rows_of(row_ids, vectors), before.data)
    assert after.settings["lists"] == lists(5000) > 2 * before.settings["lists"]
    assert used.load(after.data).rows == 5000


@formats
def test_where_every_number_tells_as_much_all_are_kept(used: ApproximateFormat) -> None:
    vectors = dice.normal(size=(3000, 700)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    told = used.build(rows_of(numbered(3000), vectors))
    assert told.recall >= 0.99 and told.settings["numbers"] == 700


@formats
def test_bad_rows_and_bad_bytes_are_refused(used: ApproximateFormat) -> None:
    vectors = near_each_other(50)
    data = used.build(rows_of(numbered(50), vectors)).data
    for wrong in (b"", b"hello", bytes(data[:100]), bytes(data[:-1])):
        with pytest.raises(Untrusted):
            used.load(memoryview(wrong))
    vectors[7] = 0
    with pytest.raises(LookalikeError, match="length 1"):
        used.build(rows_of(numbered(50), vectors))


@formats
def test_the_same_rows_give_the_same_index(used: ApproximateFormat) -> None:
    row_ids, vectors = numbered(3000), near_each_other(3000)
    first, second = (used.build(rows_of(row_ids, vectors)) for _ in range(2))
    assert (first.recall, first.settings) == (second.recall, second.settings)
    assert used.load(first.data).search(vectors[:5], 9) == used.load(second.data).search(vectors[:5], 9)


def test_rows_that_were_deleted_make_room_for_others() -> None:
    row_ids, vectors = np.arange(1, 501), near_each_other(500)
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    true = [hit.row_id for hit in ExactIndex(row_ids, vectors).search(vectors[:1], 500)[0]]
    for row_id in true[: 2 * candidates(5)]:
        del known[row_id]
    index = Reranked(built(FaissFormat(), row_ids, vectors), lambda asked: {o: known[o] for o in asked if o in known})
    found = [hit.row_id for hit in index.search(vectors[:1], 5)[0]]
    assert len(found) == 5 and set(found) <= set(true[2 * candidates(5) :])
    known.clear()
    assert index.search(vectors[:2], 5) == [[], []]
