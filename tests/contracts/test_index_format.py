"""Contract of the port `IndexFormat`, and attacks on the pickle of the original system's format."""

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

from lookalike.adapters import neighbors_index
from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART, NeighborsFormat
from lookalike.domain.errors import LookalikeError, Unavailable, Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Vectors
from lookalike.domain.ports import IndexFormat
from lookalike.domain.vector_source import vector_source_from_arrays

rng = np.random.default_rng(3)
FORMATS: list[IndexFormat] = [NeighborsFormat()]
formats = pytest.mark.parametrize("index_format", FORMATS, ids=lambda index_format: index_format.name)


def unit_vectors(count: int, dim: int = 16) -> Vectors:
    """Return random unit vectors (count, dim)."""
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def random_ids(count: int) -> Any:
    """Return unique positive row ids in random order."""
    return rng.permutation(np.arange(1, 10 * count + 1))[:count].astype(np.int64)


def build_parts(index_format: IndexFormat, row_ids: Any, vectors: Vectors) -> dict[str, bytes]:
    """Build an index and return its parts."""
    return {name: b"".join(chunks) for name, chunks in index_format.build(vector_source_from_arrays(row_ids, vectors))}


@formats
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_search_finds_built_rows(index_format: IndexFormat, count: int) -> None:
    row_ids, vectors = random_ids(count), unit_vectors(count)
    index = index_format.load(build_parts(index_format, row_ids, vectors))
    assert index.contained_ids(row_ids).tolist() == row_ids.tolist()
    for row_id, vector in zip(row_ids[:20], vectors[:20], strict=True):
        (best, *_), *_ = index.search(vector[None], 3)
        assert best.row_id == row_id and best.similarity == pytest.approx(1, abs=1e-6)


@formats
def test_search_returns_at_most_k_hits_per_query(index_format: IndexFormat) -> None:
    index = index_format.load(build_parts(index_format, random_ids(4), unit_vectors(4)))
    assert [len(hits) for hits in index.search(unit_vectors(150), 3)] == [3] * 150
    assert [len(hits) for hits in index.search(unit_vectors(2), 9)] == [4, 4]
    assert index.search(unit_vectors(2), 0) == [[], []] and index.search(unit_vectors(0), 3) == []
    empty = index_format.load(build_parts(index_format, random_ids(0), unit_vectors(0)))
    assert empty.search(unit_vectors(2), 3) == [[], []]


@formats
@given(st.integers(1, 400), st.floats(0, 1), st.integers(1, 50), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_filtered_search_equals_exact_search_over_allowed_rows(
    index_format: IndexFormat, count: int, share: float, k: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    row_ids, vectors, queries = random_ids(count), unit_vectors(count), unit_vectors(3)
    is_allowed = generator.random(count) < share
    allowed_ids = np.concatenate([row_ids[is_allowed], [10**9]])
    results = index_format.load(build_parts(index_format, row_ids, vectors)).search(
        queries, k, generator.permutation(allowed_ids)
    )
    assert results == ExactIndex(row_ids[is_allowed], vectors[is_allowed]).search(queries, k)
    assert all(len(hits) == min(k, is_allowed.sum()) for hits in results)


@formats
def test_hits_are_ordered_by_similarity_and_row_id(index_format: IndexFormat) -> None:
    row_ids, vectors = random_ids(90), np.repeat(unit_vectors(3), 30, axis=0)[rng.permutation(90)]
    index = index_format.load(build_parts(index_format, row_ids, vectors))
    for hits in index.search(unit_vectors(10), 40):
        assert [(-hit.similarity, hit.row_id) for hit in hits] == sorted((-hit.similarity, hit.row_id) for hit in hits)
        assert len({hit.similarity for hit in hits}) == 2
    (hits,) = index.search(vectors[:1], 7)
    equal_ids = sorted(row_ids[(vectors == vectors[0]).all(axis=1)].tolist())
    assert [hit.row_id for hit in hits] == equal_ids[:7]


@formats
def test_index_is_thread_safe_and_read_only(index_format: IndexFormat) -> None:
    index = index_format.load(build_parts(index_format, random_ids(500), unit_vectors(500)))
    queries = [unit_vectors(3) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda query: index.search(query, 10), queries))
    assert results == [index.search(query, 10) for query in queries]
    assert isinstance(index, ExactIndex)
    with pytest.raises(ValueError):
        index.row_ids[0] = 1


@formats
def test_libraries_lists_versions(index_format: IndexFormat) -> None:
    assert {"scikit-learn", "numpy", "python"} == set(index_format.libraries)
    assert index_format.libraries["numpy"] == np.__version__


@formats
@pytest.mark.parametrize("value", [0.0, 2.0, np.nan, np.inf])
def test_build_rejects_vectors_not_of_length_1(index_format: IndexFormat, value: float) -> None:
    vectors = unit_vectors(5)
    vectors[3] *= np.float32(value) if np.isfinite(value) else 1
    vectors[3, 0] = vectors[3, 0] if np.isfinite(value) else value
    with pytest.raises(LookalikeError, match="41"):
        build_parts(index_format, np.array([1, 2, 3, 41, 5]), vectors)


def test_search_equals_scikit_learn() -> None:
    row_ids, vectors, queries = random_ids(3000), unit_vectors(3000, 64), unit_vectors(50, 64)
    parts = build_parts(NeighborsFormat(), row_ids, vectors)
    stored = pickle.loads(parts[INDEX_PART])
    id_map = json.loads(parts[ID_MAP_PART])
    distances, neighbors = stored["index"].kneighbors(queries, n_neighbors=10)
    results = NeighborsFormat().load(parts).search(queries, 10)
    for hits, hit_distances, positions in zip(results, distances, neighbors, strict=True):
        assert [hit.row_id for hit in hits] == [id_map[str(position)] for position in positions]
        assert np.allclose([1 - hit.similarity for hit in hits], hit_distances, atol=1e-6)


def test_pickle_contains_matrix_once() -> None:
    vectors = unit_vectors(1000, 64)
    data = build_parts(NeighborsFormat(), random_ids(1000), vectors)[INDEX_PART]
    stored = pickle.loads(data)
    assert stored["index"]._fit_X is stored["vectors"] and np.array_equal(stored["vectors"], vectors)
    assert len(data) < vectors.nbytes + 2000


def run_without_scikit_learn(code: str, folder: Path) -> None:
    """Run code in a Python process, where `F` is the format, and check that it did not import scikit-learn."""
    before = "import sys, pathlib; from lookalike.adapters.neighbors_index import NeighborsFormat as F\n"
    after = "\nassert 'sklearn' not in sys.modules and F().libraries"
    subprocess.run([sys.executable, "-c", before + code + after, str(folder)], check=True)


def test_search_does_not_import_scikit_learn(tmp_path: Path) -> None:
    for name, data in build_parts(NeighborsFormat(), random_ids(3), unit_vectors(3)).items():
        (tmp_path / name).write_bytes(data)
    code = "F().load({path.name: path.read_bytes() for path in pathlib.Path(sys.argv[1]).iterdir()})"
    run_without_scikit_learn(code, tmp_path)


@pytest.mark.parametrize("count", [0, 300])
def test_build_leaves_scikit_learn_out_of_the_process(count: int, tmp_path: Path) -> None:
    """The pickle is the same as in a process that has scikit-learn."""
    row_ids, vectors = random_ids(count), unit_vectors(count)
    np.savez(tmp_path / "rows.npz", row_ids=row_ids, vectors=vectors)
    code = """
import numpy as np
from lookalike.domain.vector_source import vector_source_from_arrays
folder = pathlib.Path(sys.argv[1])
rows = np.load(folder / "rows.npz")
for name, chunks in F().build(vector_source_from_arrays(rows["row_ids"], rows["vectors"])):
    (folder / name).write_bytes(b"".join(chunks))
"""
    run_without_scikit_learn(code, tmp_path)
    assert (tmp_path / INDEX_PART).read_bytes() == build_parts(NeighborsFormat(), row_ids, vectors)[INDEX_PART]
    stored = pickle.loads((tmp_path / INDEX_PART).read_bytes())
    assert stored["vectors"].shape == (count, 16) and stored["index"].metric == "cosine"


@pytest.mark.parametrize("script", ["echo no scikit-learn here >&2; exit 1", "exec sleep 60"])
def test_build_reports_that_the_process_with_scikit_learn_failed(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.delitem(sys.modules, "sklearn")
    monkeypatch.setattr(neighbors_index, "TEMPLATE_SECONDS", 0.5)
    neighbors_index._pickle_template.cache_clear()
    with pytest.raises(Unavailable, match="scikit-learn failed: check that"):
        build_parts(NeighborsFormat(), random_ids(3), unit_vectors(3))
    (record,) = caplog.records
    assert ("no scikit-learn here" in record.__dict__["output"]) == script.startswith("echo")


class Call:
    """Pickles as a function call that a plain unpickler executes."""

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.args


MARKER = "pickle-was-executed"
"""File that appears if code in a pickle is executed."""
TOUCH_COMMAND = f"touch {MARKER}"
WRITE_EXPRESSION = f"open({MARKER!r}, 'w').close()"


def fit_neighbors(vectors: Vectors, **settings: Any) -> Any:
    """Return a fitted `NearestNeighbors`."""
    return NearestNeighbors(**{"metric": "cosine", "algorithm": "brute"} | settings).fit(vectors)


def malicious_objects() -> dict[str, object]:
    """Return objects whose pickles execute code or contain other classes."""
    valid = unit_vectors(3)
    objects = np.array([Call(os.system, TOUCH_COMMAND), None, None], object)
    model_with_call = fit_neighbors(valid)
    model_with_call.leaf_size = Call(eval, WRITE_EXPRESSION)
    return {
        "system": Call(os.system, TOUCH_COMMAND),
        "eval": {"index": Call(eval, WRITE_EXPRESSION), "vectors": valid},
        "exec": {"index": fit_neighbors(valid), "vectors": Call(exec, WRITE_EXPRESSION)},
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "inside the state": {"index": model_with_call, "vectors": valid},
        "object array": {"index": fit_neighbors(valid), "vectors": objects},
        "only an object array": objects,
        "another estimator": {"index": KNeighborsClassifier(), "vectors": valid},
        "an estimator's base": {"index": BaseEstimator(), "vectors": valid},
        "numpy's loader": Call(np.load, "/etc/passwd"),
        "subprocess": Call(subprocess.check_call, ["touch", MARKER]),
        "a thread": Call(threading.Timer, 0, print),
    }


# Written by hand, because Python's pickler does not write these opcodes.
MALICIOUS_OPCODES = {
    "an extension": b"\x80\x04\x82\xf0\x8c\x01x\x85R.",
    "an extension of two bytes": b"\x80\x04\x83\xf0\x00\x8c\x01x\x85R.",
    "an extension of four bytes": b"\x80\x04\x84\xf0\x00\x00\x00\x8c\x01x\x85R.",
    "a persistent id": b"\x80\x04\x8c\x03abcQ.",
    "an old persistent id": b"Pabc\n.",
    "an old global": b"cos\nsystem\n(S'%s'\ntR." % TOUCH_COMMAND.encode(),
    "an old instance": b"(S'%s'\nios\nsystem\n." % TOUCH_COMMAND.encode(),
    "an old object": b"(cos\nsystem\nS'%s'\no." % TOUCH_COMMAND.encode(),
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


def assert_rejected(data: bytes, tmp_path: Path) -> None:
    """Check that the pickle is rejected and executes nothing, and that a valid pickle still loads."""
    valid = build_parts(NeighborsFormat(), np.array([1, 2, 3]), unit_vectors(3))
    with contextlib.chdir(tmp_path), pytest.raises(Untrusted):
        NeighborsFormat().load({**valid, INDEX_PART: data})
    assert not (tmp_path / MARKER).exists()
    NeighborsFormat().load(valid)


@pytest.mark.parametrize("name", malicious_objects())
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_malicious_pickles_are_rejected_and_not_executed(name: str, protocol: int, tmp_path: Path) -> None:
    assert_rejected(pickle.dumps(malicious_objects()[name], protocol=protocol), tmp_path)


@pytest.mark.parametrize("name", MALICIOUS_OPCODES)
def test_malicious_opcodes_are_rejected_and_not_executed(name: str, tmp_path: Path) -> None:
    copyreg.add_extension("builtins", "print", 0xF0)
    try:
        # Python caches the object of an extension code, and then does not call `find_class`.
        assert pickle.loads(b"\x80\x04\x82\xf0.") is print
        assert_rejected(MALICIOUS_OPCODES[name], tmp_path)
    finally:
        copyreg.remove_extension("builtins", "print", 0xF0)
        copyreg.clear_extension_cache()


def craft_pickle(vectors: Any, index: object = None) -> bytes:
    """Return a pickle with the expected keys."""
    return pickle.dumps({"index": index or fit_neighbors(vectors), "vectors": vectors}, protocol=4)


def invalid_pickles() -> dict[str, bytes]:
    """Return harmless pickles with unexpected content."""
    valid, long, not_finite = unit_vectors(3), unit_vectors(3), unit_vectors(3)
    long[1] *= 1.01
    not_finite[1, 1] = np.nan
    unfitted = NearestNeighbors(metric="cosine", algorithm="brute")
    return {
        "float64": craft_pickle(valid.astype(np.float64)),
        "big-endian": craft_pickle(valid.astype(">f4"), fit_neighbors(valid)),
        "fortran": craft_pickle(np.asfortranarray(valid)),
        "one dimension": craft_pickle(valid[0], fit_neighbors(valid)),
        "not of length 1": craft_pickle(long),
        "not a number": craft_pickle(not_finite, fit_neighbors(valid)),
        "another number of rows": craft_pickle(unit_vectors(4)),
        "no rows": craft_pickle(unit_vectors(0), unfitted),
        "not fitted": craft_pickle(valid, unfitted),
        "fitted to a copy": craft_pickle(valid, fit_neighbors(valid.copy())),
        "another metric": craft_pickle(valid, fit_neighbors(valid, metric="euclidean")),
        "another algorithm": craft_pickle(valid, fit_neighbors(valid, metric="minkowski", algorithm="ball_tree")),
        "another key": pickle.dumps({"index": fit_neighbors(valid), "vectors": valid, "more": 1}, protocol=4),
        "another protocol": pickle.dumps({"index": fit_neighbors(valid), "vectors": valid}, protocol=5),
        "trailing byte": craft_pickle(valid) + b"\x00",
        "a second pickle": craft_pickle(valid) + craft_pickle(valid),
    }


@pytest.mark.parametrize("name", invalid_pickles())
def test_load_rejects_unexpected_pickles(name: str, tmp_path: Path) -> None:
    assert_rejected(invalid_pickles()[name], tmp_path)


INVALID_ID_MAPS = [
    b"",
    b"[1,2,3]",
    b"null",
    b'{"0": 1, "1": 2}',
    b'{"0": 1, "1": 2, "2": 2}',
    b'{"0": 1, "1": 2, "2": true}',
]
INVALID_ID_MAPS += [b'{"0": 1, "1": 2, "2": 3.0}', b'{"0": 1, "1": 2, "2": "3"}', b'{"0": 1, "1": 2, "3": 3}']
INVALID_ID_MAPS += [
    b'{"0": 1, "1": 2, "2": 0}',
    b'{"0": 1, "1": 2, "2": 99999999999999999999}',
    b'{"0": 1, "2": 2, "1": 3}',
]
INVALID_ID_MAPS += [b'{"0": 1, "1": 2, "1": 2, "2": 3}', b'{"0":1, "1": 2, "2": 3}', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("data", INVALID_ID_MAPS, ids=lambda data: data[:40])
def test_load_rejects_unexpected_id_maps(data: bytes) -> None:
    parts = build_parts(NeighborsFormat(), np.array([1, 2, 3]), unit_vectors(3))
    with pytest.raises(Untrusted):
        NeighborsFormat().load({**parts, ID_MAP_PART: data})


def test_load_rejects_missing_or_additional_parts() -> None:
    parts = build_parts(NeighborsFormat(), np.array([1, 2, 3]), unit_vectors(3))
    assert json.loads(parts[ID_MAP_PART]) == {"0": 1, "1": 2, "2": 3}
    for invalid in [{}, {INDEX_PART: parts[INDEX_PART]}, {**parts, "more.json": b"{}"}]:
        with pytest.raises(Untrusted):
            NeighborsFormat().load(invalid)


SMALL_PARTS = build_parts(NeighborsFormat(), np.array([4, 9]), unit_vectors(2, 3))


def test_load_rejects_every_truncated_pickle() -> None:
    for end in range(len(SMALL_PARTS[INDEX_PART])):
        with pytest.raises(Untrusted):
            NeighborsFormat().load({**SMALL_PARTS, INDEX_PART: SMALL_PARTS[INDEX_PART][:end]})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL_PARTS[INDEX_PART]) - 1), st.integers(0, 255)), min_size=1, max_size=3)
)
def test_load_of_changed_bytes_returns_index_or_raises_untrusted(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL_PARTS[INDEX_PART])
    for position, value in changes:
        data[position] = value
    try:
        index = NeighborsFormat().load({**SMALL_PARTS, INDEX_PART: bytes(data)})
    except Untrusted:
        return
    assert len(index.search(unit_vectors(1, 3), 5)[0]) == 2


def test_similarities_do_not_depend_on_other_rows() -> None:
    row_ids, vectors, query = random_ids(5000), unit_vectors(5000, 128), unit_vectors(1, 128)
    expected = {hit.row_id: hit.similarity for hit in ExactIndex(row_ids, vectors).search(query, 5000)[0]}
    for part in (slice(0, 1), slice(1, 8), slice(8, 1003), slice(4000, 4999)):
        index = ExactIndex(row_ids[part], np.asfortranarray(vectors[part]))
        for hits in index.search(np.repeat(query, 70, axis=0), 1000):
            assert all(expected[hit.row_id] == hit.similarity for hit in hits)
