"""The contract of the port `IndexFormat`, and what the pickle of the original's format must not be able to do."""

import contextlib
import copyreg
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART, NeighborsFormat
from lookalike.domain.errors import LookalikeError, Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Vectors
from lookalike.domain.ports import IndexFormat
from lookalike.domain.vector_source import vector_source_from_arrays

rng = np.random.default_rng(3)
FORMATS: list[IndexFormat] = [NeighborsFormat()]
formats = pytest.mark.parametrize("index_format", FORMATS, ids=lambda one: one.name)


def unit(count: int, dim: int = 16) -> Vectors:
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def ids(count: int) -> Any:
    return rng.permutation(np.arange(1, 10 * count + 1))[:count].astype(np.int64)


def built(index_format: IndexFormat, row_ids: Any, vectors: Vectors) -> dict[str, bytes]:
    return {name: b"".join(pieces) for name, pieces in index_format.build(vector_source_from_arrays(row_ids, vectors))}


@formats
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_what_is_built_is_found_again(index_format: IndexFormat, count: int) -> None:
    row_ids, vectors = ids(count), unit(count)
    index = index_format.load(built(index_format, row_ids, vectors))
    assert index.contained_ids(row_ids).tolist() == row_ids.tolist()
    for row_id, vector in zip(row_ids[:20], vectors[:20], strict=True):
        (best, *_), *_ = index.search(vector[None], 3)
        assert best.row_id == row_id and best.similarity == pytest.approx(1, abs=1e-6)


@formats
def test_answers_are_one_list_a_query_of_at_most_k_hits(index_format: IndexFormat) -> None:
    index = index_format.load(built(index_format, ids(4), unit(4)))
    assert [len(hits) for hits in index.search(unit(150), 3)] == [3] * 150
    assert [len(hits) for hits in index.search(unit(2), 9)] == [4, 4]
    assert index.search(unit(2), 0) == [[], []] and index.search(unit(0), 3) == []
    empty = index_format.load(built(index_format, ids(0), unit(0)))
    assert empty.search(unit(2), 3) == [[], []]


@formats
@given(st.integers(1, 400), st.floats(0, 1), st.integers(1, 50), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_among_some_rows_it_is_exact_search_over_them_alone(
    index_format: IndexFormat, count: int, share: float, k: int, seed: int
) -> None:
    dice = np.random.default_rng(seed)
    row_ids, vectors, queries = ids(count), unit(count), unit(3)
    chosen = dice.random(count) < share
    among = np.concatenate([row_ids[chosen], [10**9]])
    found = index_format.load(built(index_format, row_ids, vectors)).search(queries, k, dice.permutation(among))
    assert found == ExactIndex(row_ids[chosen], vectors[chosen]).search(queries, k)
    assert all(len(hits) == min(k, chosen.sum()) for hits in found)


@formats
def test_most_similar_first_and_ties_by_row_id(index_format: IndexFormat) -> None:
    row_ids, vectors = ids(90), np.repeat(unit(3), 30, axis=0)[rng.permutation(90)]
    index = index_format.load(built(index_format, row_ids, vectors))
    for hits in index.search(unit(10), 40):
        assert [(-one.similarity, one.row_id) for one in hits] == sorted((-one.similarity, one.row_id) for one in hits)
        assert len({one.similarity for one in hits}) == 2
    (hits,) = index.search(vectors[:1], 7)
    same = sorted(row_ids[(vectors == vectors[0]).all(axis=1)].tolist())
    assert [one.row_id for one in hits] == same[:7]


@formats
def test_many_threads_search_one_index_that_cannot_be_written(index_format: IndexFormat) -> None:
    index = index_format.load(built(index_format, ids(500), unit(500)))
    queries = [unit(3) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda query: index.search(query, 10), queries))
    assert found == [index.search(query, 10) for query in queries]
    assert isinstance(index, ExactIndex)
    with pytest.raises(ValueError):
        index.row_ids[0] = 1


@formats
def test_libraries_have_versions(index_format: IndexFormat) -> None:
    assert {"scikit-learn", "numpy", "python"} == set(index_format.libraries)
    assert index_format.libraries["numpy"] == np.__version__


@formats
@pytest.mark.parametrize("wrong", [0.0, 2.0, np.nan, np.inf])
def test_rows_that_are_no_unit_vectors_are_not_built(index_format: IndexFormat, wrong: float) -> None:
    vectors = unit(5)
    vectors[3] *= np.float32(wrong) if np.isfinite(wrong) else 1
    vectors[3, 0] = vectors[3, 0] if np.isfinite(wrong) else wrong
    with pytest.raises(LookalikeError, match="41"):
        built(index_format, np.array([1, 2, 3, 41, 5]), vectors)


def test_the_same_neighbours_as_scikit_learn_finds() -> None:
    row_ids, vectors, queries = ids(3000), unit(3000, 64), unit(50, 64)
    parts = built(NeighborsFormat(), row_ids, vectors)
    stored = pickle.loads(parts[INDEX_PART])
    places = json.loads(parts[ID_MAP_PART])
    distances, neighbours = stored["index"].kneighbors(queries, n_neighbors=10)
    for hits, far, near in zip(NeighborsFormat().load(parts).search(queries, 10), distances, neighbours, strict=True):
        assert [one.row_id for one in hits] == [places[str(place)] for place in near]
        assert np.allclose([1 - one.similarity for one in hits], far, atol=1e-6)


def test_the_pickle_holds_the_matrix_once() -> None:
    vectors = unit(1000, 64)
    data = built(NeighborsFormat(), ids(1000), vectors)[INDEX_PART]
    stored = pickle.loads(data)
    assert stored["index"]._fit_X is stored["vectors"] and np.array_equal(stored["vectors"], vectors)
    assert len(data) < vectors.nbytes + 2000


def test_searching_does_not_import_scikit_learn(tmp_path: Path) -> None:
    for name, data in built(NeighborsFormat(), ids(3), unit(3)).items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import sys, pathlib; from lookalike.adapters.neighbors_index import NeighborsFormat as F;"
        "F().load({one.name: one.read_bytes() for one in pathlib.Path(sys.argv[1]).iterdir()});"
        "assert 'sklearn' not in sys.modules and F().libraries"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


class Call:
    """Pickles as a call, which happens when it is unpickled."""

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.args


MARKER = "lookalike-was-here"
TOUCH = f"touch {MARKER}"
WRITE = f"open({MARKER!r}, 'w').close()"


def fitted(vectors: Vectors, **settings: Any) -> Any:
    return NearestNeighbors(**{"metric": "cosine", "algorithm": "brute"} | settings).fit(vectors)


def evil_objects() -> dict[str, object]:
    good = unit(3)
    objects = np.array([Call(os.system, TOUCH), None, None], object)
    sneaky = fitted(good)
    sneaky.leaf_size = Call(eval, WRITE)
    return {
        "system": Call(os.system, TOUCH),
        "eval": {"index": Call(eval, WRITE), "vectors": good},
        "exec": {"index": fitted(good), "vectors": Call(exec, WRITE)},
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "inside the state": {"index": sneaky, "vectors": good},
        "object array": {"index": fitted(good), "vectors": objects},
        "object array alone": objects,
        "another estimator": {"index": KNeighborsClassifier(), "vectors": good},
        "an estimator's base": {"index": BaseEstimator(), "vectors": good},
        "numpy's loader": Call(np.load, "/etc/passwd"),
        "subprocess": Call(subprocess.check_call, ["touch", MARKER]),
        "a thread": Call(threading.Timer, 0, print),
    }


# written by hand: what Python's own pickler would not write
RAW = {
    "an extension": b"\x80\x04\x82\xf0\x8c\x01x\x85R.",
    "an extension of two bytes": b"\x80\x04\x83\xf0\x00\x8c\x01x\x85R.",
    "an extension of four bytes": b"\x80\x04\x84\xf0\x00\x00\x00\x8c\x01x\x85R.",
    "a persistent id": b"\x80\x04\x8c\x03abcQ.",
    "an old persistent id": b"Pabc\n.",
    "an old global": b"cos\nsystem\n(S'%s'\ntR." % TOUCH.encode(),
    "an old instance": b"(S'%s'\nios\nsystem\n." % TOUCH.encode(),
    "an old object": b"(cos\nsystem\nS'%s'\no." % TOUCH.encode(),
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
    "a dotted module": b"\x80\x04\x8c\x05numpy\x8c\x0etesting.os.sys\x93.",
    "a new class's state": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93}\x8c\x06matrixK\x01sb.",
    "a class's state": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93N}(\x8c\x06matrixK\x01u\x86b.",
    "an array of any size": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93J\xff\xff\xff\x7f\x85\x85R.",
    "a dtype of objects": b"\x80\x04\x8c\x05numpy\x8c\x05dtype\x93\x8c\x01O\x89\x88\x87R.",
    "nothing": b"",
    "no pickle": b"hello",
    "only a dict": b"\x80\x04}.",
    "only a number": b"\x80\x04K\x01.",
}


def refused(data: bytes, tmp_path: Path) -> None:
    good = built(NeighborsFormat(), np.array([1, 2, 3]), unit(3))
    with contextlib.chdir(tmp_path), pytest.raises(Untrusted):
        NeighborsFormat().load({**good, INDEX_PART: data})
    assert not (tmp_path / MARKER).exists()
    NeighborsFormat().load(good)


@pytest.mark.parametrize("name", evil_objects())
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_evil_pickles_do_nothing(name: str, protocol: int, tmp_path: Path) -> None:
    refused(pickle.dumps(evil_objects()[name], protocol=protocol), tmp_path)


@pytest.mark.parametrize("name", RAW)
def test_evil_opcodes_do_nothing(name: str, tmp_path: Path) -> None:
    copyreg.add_extension("builtins", "print", 0xF0)
    try:
        # Python remembers what an extension stands for, and then asks no `find_class`
        assert pickle.loads(b"\x80\x04\x82\xf0.") is print
        refused(RAW[name], tmp_path)
    finally:
        copyreg.remove_extension("builtins", "print", 0xF0)
        copyreg.clear_extension_cache()


def crafted(vectors: Any, index: object = None) -> bytes:
    return pickle.dumps({"index": index or fitted(vectors), "vectors": vectors}, protocol=4)


def wrong_pickles() -> dict[str, bytes]:
    good, long, hole = unit(3), unit(3), unit(3)
    long[1] *= 1.01
    hole[1, 1] = np.nan
    unfitted = NearestNeighbors(metric="cosine", algorithm="brute")
    return {
        "float64": crafted(good.astype(np.float64)),
        "big-endian": crafted(good.astype(">f4"), fitted(good)),
        "fortran": crafted(np.asfortranarray(good)),
        "one dimension": crafted(good[0], fitted(good)),
        "not of length 1": crafted(long),
        "not a number": crafted(hole, fitted(good)),
        "another number of rows": crafted(unit(4)),
        "no rows": crafted(unit(0), unfitted),
        "not fitted": crafted(good, unfitted),
        "fitted to a copy": crafted(good, fitted(good.copy())),
        "another metric": crafted(good, fitted(good, metric="euclidean")),
        "another algorithm": crafted(good, fitted(good, metric="minkowski", algorithm="ball_tree")),
        "another key": pickle.dumps({"index": fitted(good), "vectors": good, "more": 1}, protocol=4),
        "another protocol": pickle.dumps({"index": fitted(good), "vectors": good}, protocol=5),
        "something behind": crafted(good) + b"\x00",
        "a second pickle": crafted(good) + crafted(good),
    }


@pytest.mark.parametrize("name", wrong_pickles())
def test_other_pickles_are_refused(name: str, tmp_path: Path) -> None:
    refused(wrong_pickles()[name], tmp_path)


WRONG_IDS = [b"", b"[1,2,3]", b"null", b'{"0": 1, "1": 2}', b'{"0": 1, "1": 2, "2": 2}', b'{"0": 1, "1": 2, "2": true}']
WRONG_IDS += [b'{"0": 1, "1": 2, "2": 3.0}', b'{"0": 1, "1": 2, "2": "3"}', b'{"0": 1, "1": 2, "3": 3}']
WRONG_IDS += [b'{"0": 1, "1": 2, "2": 0}', b'{"0": 1, "1": 2, "2": 99999999999999999999}', b'{"0": 1, "2": 2, "1": 3}']
WRONG_IDS += [b'{"0": 1, "1": 2, "1": 2, "2": 3}', b'{"0":1, "1": 2, "2": 3}', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("data", WRONG_IDS, ids=lambda data: data[:40])
def test_other_id_maps_are_refused(data: bytes) -> None:
    parts = built(NeighborsFormat(), np.array([1, 2, 3]), unit(3))
    with pytest.raises(Untrusted):
        NeighborsFormat().load({**parts, ID_MAP_PART: data})


def test_other_parts_are_refused() -> None:
    parts = built(NeighborsFormat(), np.array([1, 2, 3]), unit(3))
    assert json.loads(parts[ID_MAP_PART]) == {"0": 1, "1": 2, "2": 3}
    for wrong in [{}, {INDEX_PART: parts[INDEX_PART]}, {**parts, "more.json": b"{}"}]:
        with pytest.raises(Untrusted):
            NeighborsFormat().load(wrong)


SMALL = built(NeighborsFormat(), np.array([4, 9]), unit(2, 3))


def test_no_beginning_of_a_pickle_is_taken() -> None:
    for end in range(len(SMALL[INDEX_PART])):
        with pytest.raises(Untrusted):
            NeighborsFormat().load({**SMALL, INDEX_PART: SMALL[INDEX_PART][:end]})


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL[INDEX_PART]) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_changed_bytes_give_an_index_or_a_refusal_and_nothing_else(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL[INDEX_PART])
    for place, value in changes:
        data[place] = value
    try:
        index = NeighborsFormat().load({**SMALL, INDEX_PART: bytes(data)})
    except Untrusted:
        return
    assert len(index.search(unit(1, 3), 5)[0]) == 2


def test_similarities_do_not_depend_on_what_else_is_in_the_index() -> None:
    row_ids, vectors, query = ids(5000), unit(5000, 128), unit(1, 128)
    whole = {one.row_id: one.similarity for one in ExactIndex(row_ids, vectors).search(query, 5000)[0]}
    for part in (slice(0, 1), slice(1, 8), slice(8, 1003), slice(4000, 4999)):
        index = ExactIndex(row_ids[part], np.asfortranarray(vectors[part]))
        for hits in index.search(np.repeat(query, 70, axis=0), 1000):
            assert all(whole[one.row_id] == one.similarity for one in hits)
