"""The contract of the port `VectorIndex`, as searches use it, on every adapter, against brute force."""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.adapters.faiss_index import FaissFormat
from lookalike.adapters.milvus_index import MilvusIndex
from lookalike.adapters.neighbours_index import NeighboursFormat
from lookalike.domain.errors import LookalikeError, Misconfigured, Unavailable
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.ports import VectorIndex
from lookalike.domain.reranked import Reranked
from lookalike.domain.rows import rows_of

Numbers = NDArray[np.int64]
Build = Callable[[Numbers, Vectors], VectorIndex]
DIM, MOST = 5, 40
"""So few rows that each adapter finds them all: what is approximate has a contract of its own."""
serial = itertools.count()


def exact(row_ids: Numbers, vectors: Vectors) -> VectorIndex:
    parts = NeighboursFormat().build(rows_of(row_ids, vectors))
    return NeighboursFormat().load({name: b"".join(pieces) for name, pieces in parts})


def approximate(row_ids: Numbers, vectors: Vectors) -> VectorIndex:
    return FaissFormat().load(FaissFormat().build(rows_of(row_ids, vectors)).data)


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], MilvusIndex]]:
    """New collections in one file."""
    if importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("milvus-lite is not installed")
    place = str(tmp_path_factory.mktemp("milvus") / "vectors.db")
    made: list[MilvusIndex] = []

    def build() -> MilvusIndex:
        made.append(MilvusIndex(place, "", f"test-{next(serial)}", DIM))
        return made[-1]

    yield build
    for one in made:
        one.close()


@pytest.fixture(params=["exact", "approximate", "milvus"])
def build(request: pytest.FixtureRequest) -> Build:
    if request.param != "milvus":
        return {"exact": exact, "approximate": approximate}[request.param]
    empty = request.getfixturevalue("milvus")

    def filled(row_ids: Numbers, vectors: Vectors) -> VectorIndex:
        index: MilvusIndex = empty()
        index.upsert(row_ids, vectors)
        return index

    return filled


def compared(index: VectorIndex, row_ids: Numbers, vectors: Vectors) -> VectorIndex:
    """As `LiveIndex` uses it."""
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    return index if index.exact else Reranked(index, lambda asked: {one: known[one] for one in asked if one in known})


def brute_force(row_ids: Numbers, vectors: Vectors, query: Vectors, k: int) -> list[SearchHit]:
    similarities = (vectors.astype(np.float64) * query.astype(np.float64)).sum(1).clip(-1, 1)
    order = np.lexsort((row_ids, -similarities))[:k]
    return [SearchHit(int(row_ids[one]), float(similarities[one])) for one in order]


def unit(numbers: list[list[int]]) -> Vectors:
    """From small whole numbers, so that many are equally near; the first is never zero."""
    rows = np.array([[one[0] or 1, *one[1:]] for one in numbers], np.float64).reshape(-1, DIM)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


small = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM)
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(st.lists(small, max_size=MOST), st.lists(small, min_size=1, max_size=3), st.integers(0, 50), st.randoms())
def test_the_nearest_come_first_and_equally_near_ones_by_row_number(
    build: Build, rows: list[list[int]], asked: list[list[int]], k: int, dice: object
) -> None:
    row_ids = np.array(dice.sample(range(1, 200), len(rows)), np.int64)  # type: ignore[attr-defined]
    vectors, queries = unit(rows), unit(asked)
    built = build(row_ids, vectors)
    index = compared(built, row_ids, vectors)
    assert built.rows == index.rows == len(rows)
    assert index.search(queries, k) == [brute_force(row_ids, vectors, query, k) for query in queries]


@few
@given(st.lists(small, min_size=1, max_size=MOST), small, st.integers(1, 9), st.sets(st.integers(1, MOST + 5)))
def test_among_some_rows_only_those_count(
    build: Build, rows: list[list[int]], asked: list[int], k: int, chosen: set[int]
) -> None:
    row_ids, vectors = np.arange(1, len(rows) + 1), unit(rows)
    among, query = np.array(sorted(chosen), np.int64), unit([asked])
    built = build(row_ids, vectors)
    there = np.isin(row_ids, among)
    wanted = brute_force(row_ids[there], vectors[there], query[0], k)
    assert built.holding(among).tolist() == row_ids[there].tolist()
    assert compared(built, row_ids, vectors).search(query, k, among) == [wanted]
    # by itself, too: what is compared by true vectors does not reach it with so few
    assert {hit.row_id for hit in built.search(query, 100, among)[0]} == set(row_ids[there].tolist())


def test_the_index_says_how_near_they_are(build: Build) -> None:
    row_ids, vectors = np.arange(1, 4), unit([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [-1, 0, 0, 0, 0]])
    (hits,) = build(row_ids, vectors).search(vectors[:1], 3)
    assert [hit.row_id for hit in hits] == [1, 2, 3]
    assert [hit.similarity for hit in hits] == pytest.approx([1, 2**-0.5, -1], abs=0.02)


def test_many_threads_search_one_index(build: Build) -> None:
    dice = np.random.default_rng(4)
    vectors = unit(dice.integers(-9, 9, (MOST, DIM)).tolist())
    index = compared(build(np.arange(1, MOST + 1), vectors), np.arange(1, MOST + 1), vectors)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda query: index.search(query[None], 5), vectors))
    assert found == [index.search(query[None], 5) for query in vectors]


@pytest.mark.parametrize("wrong", [0.0, 2.0, np.nan, np.inf])
def test_what_is_no_unit_vector_is_refused(build: Build, wrong: float) -> None:
    vectors = unit([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    vectors[1] = vectors[1] * 2 if wrong == 2 else wrong
    with pytest.raises(LookalikeError, match="length 1"):
        build(np.array([1, 2]), vectors)


def test_rows_of_milvus_are_written_over_and_deleted(milvus: Callable[[], MilvusIndex]) -> None:
    index, vectors = milvus(), unit([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]])
    with pytest.raises(LookalikeError, match="length 3, not 5"):
        index.upsert(np.array([1]), np.ones((1, 3), np.float32))
    assert list(index.row_ids()) == [] and index.rows == 0
    index.upsert(np.array([1, 2, 3]), vectors)
    index.upsert(np.array([3]), vectors[:1])
    assert index.rows == 3 and {hit.row_id for hit in index.search(vectors[:1], 2)[0]} == {1, 3}
    index.delete(np.array([1, 77]))
    assert [page.tolist() for page in index.row_ids()] == [[2, 3]]
    index.delete(np.array([], np.int64))
    assert index.search(vectors[:1], 9)[0][0].row_id == 3 and index.rows == 2


def test_very_many_rows_go_in_parts(milvus: Callable[[], MilvusIndex]) -> None:
    index, vectors = milvus(), unit([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    index.upsert(np.array([5, 25_000]), vectors)
    among = np.arange(1, 30_000)
    assert [hit.row_id for hit in index.search(vectors[1:], 3, among)[0]] == [25_000, 5]
    assert index.holding(among).tolist() == [5, 25_000]


def test_what_a_file_holds_it_holds_when_opened_again(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    place, vectors = str(tmp_path / "vectors.db"), unit([[1, 0, 0, 0, 0]])
    with closing(MilvusIndex(place, "", "kept-1", DIM)) as index:
        index.upsert(np.array([4]), vectors)
    with closing(MilvusIndex(place, "", "kept-1", DIM)) as index:
        assert [hit.row_id for hit in index.search(vectors, 3)[0]] == [4]
    with closing(MilvusIndex(place, "", "kept-1", DIM + 1)) as index, pytest.raises(Misconfigured, match="length 6"):
        assert index.rows


def test_a_server_that_is_away_is_said_to_be_and_no_token_with_it(caplog: pytest.LogCaptureFixture) -> None:
    index = MilvusIndex("http://127.0.0.1:9", "root:a-secret", "any-1", DIM)
    with pytest.raises(Unavailable) as refused:
        index.search(unit([[1, 0, 0, 0, 0]]), 3)
    assert "secret" not in caplog.text + str(refused.value)
