"""Contract of the port `VectorIndex` for every adapter, compared with brute force; more tests of Milvus."""

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
from tests.emulators.milvus import serve_milvus

T = TypeVar("T")
Ids = NDArray[np.int64]
Build = Callable[[Ids, Vectors], VectorIndex]
DIM, MAX_ROWS = 5, 40
"""Approximate indexes find all of so few rows. Their recall is tested in test_approximate_format.py."""
TOKEN = "root:a-secret"


def build_exact(row_ids: Ids, vectors: Vectors) -> VectorIndex:
    """Build an exact index."""
    parts = NeighborsFormat().build(vector_source_from_arrays(row_ids, vectors))
    return NeighborsFormat().load({name: b"".join(chunks) for name, chunks in parts})


def build_approximate(row_ids: Ids, vectors: Vectors) -> VectorIndex:
    """Build a faiss index."""
    return FaissFormat().load(FaissFormat().build(vector_source_from_arrays(row_ids, vectors)).data)


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the server at `TEST_MILVUS_URL` (token: `TEST_MILVUS_TOKEN`), or path of a new file."""
    if server := os.environ.get("TEST_MILVUS_URL"):
        return server
    if importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("Needs Milvus: set TEST_MILVUS_URL or install milvus-lite")
    return str(tmp_path_factory.mktemp("milvus") / "new" / "vectors.db")


@pytest.fixture
def milvus(location: str) -> Iterator[Callable[[], MilvusIndex]]:
    """Function that creates a new collection."""
    indexes: list[MilvusIndex] = []

    def build() -> MilvusIndex:
        indexes.append(MilvusIndex(location, os.environ.get("TEST_MILVUS_TOKEN", ""), f"test-{uuid.uuid4().hex}", DIM))
        return indexes[-1]

    yield build
    for index in indexes:
        index.drop()


@pytest.fixture(params=["exact", "approximate", "milvus"])
def build(request: pytest.FixtureRequest) -> Build:
    """Function that builds an index of one adapter."""
    if request.param != "milvus":
        return {"exact": build_exact, "approximate": build_approximate}[request.param]
    create_collection = request.getfixturevalue("milvus")

    def build_milvus(row_ids: Ids, vectors: Vectors) -> VectorIndex:
        index: MilvusIndex = create_collection()
        index.upsert(row_ids, vectors)
        return index

    return build_milvus


def rerank(index: VectorIndex, row_ids: Ids, vectors: Vectors) -> VectorIndex:
    """Rerank an approximate index, as `LiveIndex` does."""
    known = dict(zip(row_ids.tolist(), vectors, strict=True))
    if index.is_exact:
        return index
    return RerankedIndex(index, lambda requested: {row_id: known[row_id] for row_id in requested if row_id in known})


def brute_force(row_ids: Ids, vectors: Vectors, query: Vectors, k: int) -> list[SearchHit]:
    """Return the k nearest rows of a query (dim,), computed in float64."""
    similarities = (vectors.astype(np.float64) * query.astype(np.float64)).sum(1).clip(-1, 1)
    order = np.lexsort((row_ids, -similarities))[:k]
    return [SearchHit(int(row_ids[position]), float(similarities[position])) for position in order]


def unit_vectors(components: list[list[int]]) -> Vectors:
    """Return unit vectors from small integers, of which many are equally near. A leading zero becomes one."""
    rows = np.array([[row[0] or 1, *row[1:]] for row in components], np.float64).reshape(-1, DIM)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


small_integers = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM)
few_examples = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few_examples
@given(
    st.lists(small_integers, max_size=MAX_ROWS),
    st.lists(small_integers, min_size=1, max_size=3),
    st.integers(0, 50),
    st.randoms(),
)
def test_hits_are_ordered_by_similarity_and_row_id(
    build: Build, rows: list[list[int]], query_rows: list[list[int]], k: int, random: object
) -> None:
    row_ids = np.array(random.sample(range(1, 200), len(rows)), np.int64)  # type: ignore[attr-defined]
    vectors, queries = unit_vectors(rows), unit_vectors(query_rows)
    built = build(row_ids, vectors)
    index = rerank(built, row_ids, vectors)
    assert built.row_count == index.row_count == len(rows)
    assert index.search(queries, k) == [brute_force(row_ids, vectors, query, k) for query in queries]


@few_examples
@given(
    st.lists(small_integers, min_size=1, max_size=MAX_ROWS),
    small_integers,
    st.integers(1, 9),
    st.sets(st.integers(1, MAX_ROWS + 5)),
)
def test_filtered_search_equals_brute_force_over_allowed_rows(
    build: Build, rows: list[list[int]], query_row: list[int], k: int, ids: set[int]
) -> None:
    row_ids, vectors = np.arange(1, len(rows) + 1), unit_vectors(rows)
    allowed_ids, query = np.array(sorted(ids), np.int64), unit_vectors([query_row])
    built = build(row_ids, vectors)
    is_allowed = np.isin(row_ids, allowed_ids)
    expected = brute_force(row_ids[is_allowed], vectors[is_allowed], query[0], k)
    assert built.contained_ids(allowed_ids).tolist() == row_ids[is_allowed].tolist()
    assert rerank(built, row_ids, vectors).search(query, k, allowed_ids) == [expected]
    # Also without reranking, which compares so few rows by brute force and does not use the index.
    assert {hit.row_id for hit in built.search(query, 100, allowed_ids)[0]} == set(row_ids[is_allowed].tolist())


def test_hits_have_cosine_similarity(build: Build) -> None:
    row_ids, vectors = np.arange(1, 4), unit_vectors([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [-1, 0, 0, 0, 0]])
    (hits,) = build(row_ids, vectors).search(vectors[:1], 3)
    assert [hit.row_id for hit in hits] == [1, 2, 3]
    assert [hit.similarity for hit in hits] == pytest.approx([1, 2**-0.5, -1], abs=0.02)


def test_index_is_thread_safe(build: Build) -> None:
    rng = np.random.default_rng(4)
    vectors = unit_vectors(rng.integers(-9, 9, (MAX_ROWS, DIM)).tolist())
    index = rerank(build(np.arange(1, MAX_ROWS + 1), vectors), np.arange(1, MAX_ROWS + 1), vectors)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda query: index.search(query[None], 5), vectors))
    assert results == [index.search(query[None], 5) for query in vectors]


@pytest.mark.parametrize("value", [0.0, 2.0, np.nan, np.inf])
def test_index_rejects_vectors_not_of_length_1(build: Build, value: float) -> None:
    vectors = unit_vectors([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    vectors[1] = vectors[1] * 2 if value == 2 else value
    with pytest.raises(LookalikeError, match="length 1"):
        build(np.array([1, 2]), vectors)


def test_milvus_upsert_replaces_rows_and_delete_removes_them(milvus: Callable[[], MilvusIndex]) -> None:
    index, vectors = milvus(), unit_vectors([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]])
    with pytest.raises(LookalikeError, match="3 dimensions; expected 5"):
        index.upsert(np.array([1]), np.ones((1, 3), np.float32))
    assert list(index.row_ids()) == [] and index.row_count == 0
    index.upsert(np.array([1, 2, 3]), vectors)
    index.upsert(np.array([3]), vectors[:1])
    assert index.row_count == 3 and {hit.row_id for hit in index.search(vectors[:1], 2)[0]} == {1, 3}
    index.delete(np.array([1, 77]))
    assert [page.tolist() for page in index.row_ids()] == [[2, 3]]
    index.delete(np.array([], np.int64))
    assert index.search(vectors[:1], 9)[0][0].row_id == 3 and index.row_count == 2


@few_examples
@given(st.lists(st.tuples(st.integers(1, 9), st.none() | small_integers), max_size=20), small_integers)
def test_milvus_has_last_written_rows_after_any_writes(
    milvus: Callable[[], MilvusIndex], writes: list[tuple[int, list[int] | None]], query_row: list[int]
) -> None:
    index, expected_rows = milvus(), dict[int, Vectors]()
    for row_id, components in writes:
        if components is None:
            expected_rows.pop(row_id, None)
            index.delete(np.array([row_id]))
        else:
            expected_rows[row_id] = unit_vectors([components])[0]
            index.upsert(np.array([row_id]), expected_rows[row_id][None])
    row_ids, query = np.array(sorted(expected_rows), np.int64), unit_vectors([query_row])
    vectors = np.stack([expected_rows[row_id] for row_id in row_ids.tolist()]) if expected_rows else unit_vectors([])
    assert (
        index.row_count == len(expected_rows)
        and np.concatenate([row_ids[:0], *index.row_ids()]).tolist() == row_ids.tolist()
    )
    hits = brute_force(row_ids, vectors, query[0], 20)
    assert rerank(index, row_ids, vectors).search(query, 20) == [hits]


def test_milvus_searches_during_concurrent_writes(milvus: Callable[[], MilvusIndex]) -> None:
    index, rng = milvus(), np.random.default_rng(5)
    vectors = unit_vectors(rng.integers(-9, 9, (3000, DIM)).tolist())
    row_ids = np.arange(1, 3001)
    index.upsert(row_ids[:1], vectors[:1])

    def write_and_search(start: int) -> bool:
        index.upsert(row_ids[start : start + 100], vectors[start : start + 100])
        return index.search(vectors[:1], 100, row_ids[:1])[0][0].row_id == 1

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_search, range(0, 3000, 100)))
    assert index.row_count == 3000
    assert np.concatenate(list(index.row_ids())).tolist() == row_ids.tolist()


def test_milvus_rejects_duplicate_row_ids(milvus: Callable[[], MilvusIndex]) -> None:
    index = milvus()
    with pytest.raises(LookalikeError, match="twice"):
        index.upsert(np.array([1, 1]), unit_vectors([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]))
    assert index.row_count == 0


def test_milvus_recreates_dropped_collection(location: str) -> None:
    name, vectors = f"test-{uuid.uuid4().hex}", unit_vectors([[1, 0, 0, 0, 0]])
    index, other = (MilvusIndex(location, os.environ.get("TEST_MILVUS_TOKEN", ""), name, DIM) for _ in range(2))
    index.upsert(np.array([4]), vectors)
    index.drop()
    assert index.row_count == other.row_count == 0
    index.upsert(np.array([5]), vectors)
    other.drop()
    with pytest.raises(Unavailable):
        index.search(vectors, 3)
    assert index.search(vectors, 3) == [[]]
    index.drop()


def test_milvus_identity_differs_between_collections(location: str) -> None:
    name, token = f"test-{uuid.uuid4().hex}", os.environ.get("TEST_MILVUS_TOKEN", "")
    index, other = (MilvusIndex(location, token, name, DIM) for _ in range(2))
    first = index.identity()
    assert first == other.identity() == index.identity() and index.row_count == 0
    assert [*index.row_ids()] == [] and index.contained_ids(np.arange(3)).size == 0
    noise = np.random.default_rng(1).normal(size=(50, DIM))
    index.upsert(np.arange(1, 51), np.asarray(noise / np.linalg.norm(noise, axis=1, keepdims=True), np.float32))
    assert {hit.row_id for hit in index.search(unit_vectors([[1, 0, 0, 0, 0]]), 99)[0]} == set(range(1, 51))
    index.drop()
    assert index.identity() != first
    index.drop()


def test_milvus_search_returns_at_most_16384_hits(milvus: Callable[[], MilvusIndex]) -> None:
    index, rng = milvus(), np.random.default_rng(6)
    vectors = rng.normal(size=(17_000, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index.upsert(np.arange(1, 17_001), vectors.astype(np.float32))
    (hits,) = index.search(unit_vectors([[1, 0, 0, 0, 0]]), 17_000)
    assert len({hit.row_id for hit in hits}) == len(hits) == 16_384


def test_milvus_splits_large_filters(milvus: Callable[[], MilvusIndex]) -> None:
    index, vectors = milvus(), unit_vectors([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    index.upsert(np.array([5, 110_000]), vectors)
    allowed_ids = np.arange(1, 120_000)
    assert [hit.row_id for hit in index.search(vectors[1:], 3, allowed_ids)[0]] == [110_000, 5]
    assert index.contained_ids(allowed_ids).tolist() == [5, 110_000]


def test_milvus_file_keeps_rows_after_reopening(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    location, vectors = str(tmp_path / "vectors.db"), unit_vectors([[1, 0, 0, 0, 0]])
    with closing(MilvusIndex(location, "", "kept-1", DIM)) as index:
        index.upsert(np.array([4]), vectors)
    with closing(MilvusIndex(location, "", "kept-1", DIM)) as index:
        assert [hit.row_id for hit in index.search(vectors, 3)[0]] == [4]
    with (
        closing(MilvusIndex(location, "", "kept-1", DIM + 1)) as index,
        pytest.raises(Misconfigured, match="expected 6"),
    ):
        assert index.row_count


def test_milvus_file_open_in_other_process_is_unavailable(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    location = tmp_path / "vectors.db"
    script = "import sys, milvus_lite; db = milvus_lite.MilvusLite(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(location)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1) == b"1"
        with pytest.raises(Unavailable):
            assert MilvusIndex(str(location), "", "any-1", DIM).row_count
        process.communicate()
    with closing(MilvusIndex(str(location), "", "any-1", DIM)) as index:
        assert index.row_count == 0


def test_milvus_server_rejects_wrong_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("milvus_lite")
    with serve_milvus(tmp_path / "data", TOKEN) as (address, _):
        with closing(MilvusIndex(address, TOKEN, "any-1", DIM)) as index:
            index.upsert(np.array([1]), unit_vectors([[1, 0, 0, 0, 0]]))
            assert index.row_count == 1
        for token in ("", "root:another-secret"):
            with pytest.raises(Misconfigured, match="MILVUS_TOKEN") as error:
                assert MilvusIndex(address, token, "any-1", DIM).row_count
            assert "secret" not in caplog.text + "".join(traceback.format_exception(error.value))


def test_milvus_search_times_out(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    with serve_milvus(tmp_path / "data") as (address, servicer):
        index = MilvusIndex(address, "", "any-1", DIM, timeout=1)
        index.upsert(np.array([1]), unit_vectors([[1, 0, 0, 0, 0]]))
        servicer.can_respond.clear()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            index.search(unit_vectors([[1, 0, 0, 0, 0]]), 3)
        assert 0.5 < time.monotonic() - started < 5
        servicer.can_respond.set()
        assert [hit.row_id for hit in index.search(unit_vectors([[1, 0, 0, 0, 0]]), 3)[0]] == [1]
        index.close()


def test_milvus_reconnects_after_server_restart(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    vectors = unit_vectors([[1, 0, 0, 0, 0]])
    with serve_milvus(tmp_path / "data") as (address, _):
        index = MilvusIndex(address, "", "any-1", DIM, timeout=2)
        index.upsert(np.array([1]), vectors)
    with pytest.raises(Unavailable):
        index.search(vectors, 3)
    with serve_milvus(tmp_path / "data", port=int(address.rsplit(":", 1)[1])), closing(index):
        assert [hit.row_id for hit in retry(lambda: index.search(vectors, 3))[0]] == [1]


def retry(call: Callable[[], T]) -> T:
    """Retry for ten seconds, because gRPC waits before it connects again."""
    for _ in range(40):
        with suppress(Unavailable):
            return call()
        time.sleep(0.25)
    return call()


def test_milvus_import_does_not_load_dotenv_file(tmp_path: Path) -> None:
    """pymilvus searches `.env` in the importing file's folder, or in the current folder if there is no such file."""
    pytest.importorskip("milvus_lite")
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n")
    script = (
        "import os; from lookalike.adapters.milvus_index import MilvusIndex;"
        "assert MilvusIndex('vectors.db', '', 'any-1', 5).row_count == 0; assert 'FROM_DOTENV' not in os.environ"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_milvus_connection_error_does_not_contain_token(caplog: pytest.LogCaptureFixture) -> None:
    index = MilvusIndex("http://127.0.0.1:9", "root:a-secret", "any-1", DIM)
    with pytest.raises(Unavailable) as error:
        index.search(unit_vectors([[1, 0, 0, 0, 0]]), 3)
    assert "secret" not in caplog.text + str(error.value)
