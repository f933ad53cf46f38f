"""The contract of the port `VectorIndex`, as searches use it, on every adapter, against brute force."""

import importlib.util
import os
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.adapters.faiss_index import FaissFormat
from lookalike.adapters.milvus_index import MilvusIndex
from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.domain.errors import LookalikeError, Misconfigured, Unavailable
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.ports import VectorIndex
from lookalike.domain.reranked_index import RerankedIndex
from lookalike.domain.vector_source import vector_source_from_arrays
from tests.emulators.milvus import served

T = TypeVar("T")
Numbers = NDArray[np.int64]
Build = Callable[[Numbers, Vectors], VectorIndex]
DIM, MOST = 5, 40
"""So few rows that each adapter finds them all: what is approximate has a contract of its own."""
TOKEN = "root:a-secret"


def exact(row_ids: Numbers, vectors: Vectors) -> VectorIndex:
    parts = NeighborsFormat().build(vector_source_from_arrays(row_ids, vectors))
    return NeighborsFormat().load({name: b"".join(pieces) for name, pieces in parts})


def approximate(row_ids: Numbers, vectors: Vectors) -> VectorIndex:
    return FaissFormat().load(FaissFormat().build(vector_source_from_arrays(row_ids, vectors)).data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server at `TEST_MILVUS_URL`, with `TEST_MILVUS_TOKEN`, or a file."""
    if server := os.environ.get("TEST_MILVUS_URL"):
        return server
    if importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("No Milvus: neither TEST_MILVUS_URL nor milvus-lite is there")
    return str(tmp_path_factory.mktemp("milvus") / "new" / "vectors.db")


@pytest.fixture
def milvus(place: str) -> Iterator[Callable[[], MilvusIndex]]:
    """New collections in one place."""
    made: list[MilvusIndex] = []

    def build() -> MilvusIndex:
        made.append(MilvusIndex(place, os.environ.get("TEST_MILVUS_TOKEN", ""), f"test-{uuid.uuid4().hex}", DIM))
        return made[-1]

    yield build
    for one in made:
        one.drop()


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
    return (
        index
        if index.is_exact
        else RerankedIndex(index, lambda asked: {one: known[one] for one in asked if one in known})
    )


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
    assert built.row_count == index.row_count == len(rows)
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
    assert built.contained_ids(among).tolist() == row_ids[there].tolist()
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
    assert list(index.row_ids()) == [] and index.row_count == 0
    index.upsert(np.array([1, 2, 3]), vectors)
    index.upsert(np.array([3]), vectors[:1])
    assert index.row_count == 3 and {hit.row_id for hit in index.search(vectors[:1], 2)[0]} == {1, 3}
    index.delete(np.array([1, 77]))
    assert [page.tolist() for page in index.row_ids()] == [[2, 3]]
    index.delete(np.array([], np.int64))
    assert index.search(vectors[:1], 9)[0][0].row_id == 3 and index.row_count == 2


@few
@given(st.lists(st.tuples(st.integers(1, 9), st.none() | small), max_size=20), small)
def test_any_writes_leave_what_they_left_last(
    milvus: Callable[[], MilvusIndex], writes: list[tuple[int, list[int] | None]], asked: list[int]
) -> None:
    index, left = milvus(), dict[int, Vectors]()
    for row_id, numbers in writes:
        if numbers is None:
            left.pop(row_id, None)
            index.delete(np.array([row_id]))
        else:
            left[row_id] = unit([numbers])[0]
            index.upsert(np.array([row_id]), left[row_id][None])
    row_ids, query = np.array(sorted(left), np.int64), unit([asked])
    vectors = np.stack([left[row_id] for row_id in row_ids.tolist()]) if left else unit([])
    assert index.row_count == len(left) and np.concatenate([row_ids[:0], *index.row_ids()]).tolist() == row_ids.tolist()
    wanted = brute_force(row_ids, vectors, query[0], 20)
    assert compared(index, row_ids, vectors).search(query, 20) == [wanted]


def test_threads_write_while_others_search(milvus: Callable[[], MilvusIndex]) -> None:
    index, dice = milvus(), np.random.default_rng(5)
    vectors = unit(dice.integers(-9, 9, (3000, DIM)).tolist())
    row_ids = np.arange(1, 3001)
    index.upsert(row_ids[:1], vectors[:1])

    def work(start: int) -> bool:
        index.upsert(row_ids[start : start + 100], vectors[start : start + 100])
        return index.search(vectors[:1], 100, row_ids[:1])[0][0].row_id == 1

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(0, 3000, 100)))
    assert index.row_count == 3000
    assert np.concatenate(list(index.row_ids())).tolist() == row_ids.tolist()


def test_a_row_given_twice_is_refused(milvus: Callable[[], MilvusIndex]) -> None:
    index = milvus()
    with pytest.raises(LookalikeError, match="twice"):
        index.upsert(np.array([1, 1]), unit([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]))
    assert index.row_count == 0


def test_what_was_dropped_is_made_anew(place: str) -> None:
    name, vectors = f"test-{uuid.uuid4().hex}", unit([[1, 0, 0, 0, 0]])
    index, other = (MilvusIndex(place, os.environ.get("TEST_MILVUS_TOKEN", ""), name, DIM) for _ in range(2))
    index.upsert(np.array([4]), vectors)
    index.drop()
    assert index.row_count == other.row_count == 0
    index.upsert(np.array([5]), vectors)
    other.drop()
    with pytest.raises(Unavailable):
        index.search(vectors, 3)
    assert index.search(vectors, 3) == [[]]
    index.drop()


def test_a_collection_is_told_from_any_other(place: str) -> None:
    name, token = f"test-{uuid.uuid4().hex}", os.environ.get("TEST_MILVUS_TOKEN", "")
    index, other = (MilvusIndex(place, token, name, DIM) for _ in range(2))
    first = index.identity()
    assert first == other.identity() == index.identity() and index.row_count == 0
    assert [*index.row_ids()] == [] and index.contained_ids(np.arange(3)).size == 0
    noise = np.random.default_rng(1).normal(size=(50, DIM))
    index.upsert(np.arange(1, 51), np.asarray(noise / np.linalg.norm(noise, axis=1, keepdims=True), np.float32))
    assert {hit.row_id for hit in index.search(unit([[1, 0, 0, 0, 0]]), 99)[0]} == set(range(1, 51))
    index.drop()
    assert index.identity() != first
    index.drop()


def test_the_most_that_one_search_gives(milvus: Callable[[], MilvusIndex]) -> None:
    index, dice = milvus(), np.random.default_rng(6)
    vectors = dice.normal(size=(17_000, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index.upsert(np.arange(1, 17_001), vectors.astype(np.float32))
    (hits,) = index.search(unit([[1, 0, 0, 0, 0]]), 17_000)
    assert len({hit.row_id for hit in hits}) == len(hits) == 16_384


def test_very_many_rows_go_in_parts(milvus: Callable[[], MilvusIndex]) -> None:
    index, vectors = milvus(), unit([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    index.upsert(np.array([5, 110_000]), vectors)
    among = np.arange(1, 120_000)
    assert [hit.row_id for hit in index.search(vectors[1:], 3, among)[0]] == [110_000, 5]
    assert index.contained_ids(among).tolist() == [5, 110_000]


def test_what_a_file_holds_it_holds_when_opened_again(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    place, vectors = str(tmp_path / "vectors.db"), unit([[1, 0, 0, 0, 0]])
    with closing(MilvusIndex(place, "", "kept-1", DIM)) as index:
        index.upsert(np.array([4]), vectors)
    with closing(MilvusIndex(place, "", "kept-1", DIM)) as index:
        assert [hit.row_id for hit in index.search(vectors, 3)[0]] == [4]
    with closing(MilvusIndex(place, "", "kept-1", DIM + 1)) as index, pytest.raises(Misconfigured, match="length 6"):
        assert index.row_count


def test_a_file_that_another_process_has_is_unavailable(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    place = tmp_path / "vectors.db"
    script = "import sys, milvus_lite; db = milvus_lite.MilvusLite(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.read(1) == b"1"
        with pytest.raises(Unavailable):
            assert MilvusIndex(str(place), "", "any-1", DIM).row_count
        other.communicate()
    with closing(MilvusIndex(str(place), "", "any-1", DIM)) as index:
        assert index.row_count == 0


def test_a_server_takes_the_token_alone_that_is_its(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("milvus_lite")
    with served(tmp_path / "data", TOKEN) as (address, _):
        with closing(MilvusIndex(address, TOKEN, "any-1", DIM)) as index:
            index.upsert(np.array([1]), unit([[1, 0, 0, 0, 0]]))
            assert index.row_count == 1
        for wrong in ("", "root:another-secret"):
            with pytest.raises(Misconfigured, match="MILVUS_TOKEN") as refused:
                assert MilvusIndex(address, wrong, "any-1", DIM).row_count
            assert "secret" not in caplog.text + "".join(traceback.format_exception(refused.value))


def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    with served(tmp_path / "data") as (address, servicer):
        index = MilvusIndex(address, "", "any-1", DIM, timeout=1)
        index.upsert(np.array([1]), unit([[1, 0, 0, 0, 0]]))
        servicer.answers.clear()
        before = time.monotonic()
        with pytest.raises(Unavailable):
            index.search(unit([[1, 0, 0, 0, 0]]), 3)
        assert 0.5 < time.monotonic() - before < 5
        servicer.answers.set()
        assert [hit.row_id for hit in index.search(unit([[1, 0, 0, 0, 0]]), 3)[0]] == [1]
        index.close()


def test_a_server_that_went_and_came_is_found_again(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    vectors = unit([[1, 0, 0, 0, 0]])
    with served(tmp_path / "data") as (address, _):
        index = MilvusIndex(address, "", "any-1", DIM, timeout=2)
        index.upsert(np.array([1]), vectors)
    with pytest.raises(Unavailable):
        index.search(vectors, 3)
    with served(tmp_path / "data", port=int(address.rsplit(":", 1)[1])), closing(index):
        assert [hit.row_id for hit in patiently(lambda: index.search(vectors, 3))[0]] == [1]


def patiently(call: Callable[[], T]) -> T:
    """A connection waits some seconds before it is tried again."""
    for _ in range(40):
        with suppress(Unavailable):
            return call()
        time.sleep(0.25)
    return call()


def test_no_file_is_read_into_the_environment(tmp_path: Path) -> None:
    """pymilvus looks for one where it is imported from, or in the current folder where that is not known."""
    pytest.importorskip("milvus_lite")
    (tmp_path / ".env").write_text("STRANGER=1\n")
    script = (
        "import os; from lookalike.adapters.milvus_index import MilvusIndex;"
        "assert MilvusIndex('vectors.db', '', 'any-1', 5).rows == 0; assert 'STRANGER' not in os.environ"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_a_server_that_is_away_is_said_to_be_and_no_token_with_it(caplog: pytest.LogCaptureFixture) -> None:
    index = MilvusIndex("http://127.0.0.1:9", "root:a-secret", "any-1", DIM)
    with pytest.raises(Unavailable) as refused:
        index.search(unit([[1, 0, 0, 0, 0]]), 3)
    assert "secret" not in caplog.text + str(refused.value)
