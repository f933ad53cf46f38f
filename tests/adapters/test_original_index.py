"""An unsigned index of the original system is read, whatever numpy and Python wrote it, and nothing of it is run."""

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from lookalike.adapters.original_index import read_original_index
from lookalike.domain.errors import Untrusted
from tests.contracts.test_index import MARKER, RAW, evil_objects

VECTORS = np.random.default_rng(1).normal(size=(5, 7))
IDS = [4, 9, 2, 7, 1]
MAPS = [IDS, {str(place): row_id for place, row_id in enumerate(IDS)}]
UNIT = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)


def searching(vectors: Any) -> Any:
    return NearestNeighbors(metric="cosine", algorithm="brute", n_neighbors=5).fit(vectors)


WRAPPED: dict[str, Any] = {
    "the model alone": searching,
    "a dict": lambda vectors: {"index": searching(vectors), "vectors": vectors, "note": "made by hand", "n": 5},
    "a tuple": lambda vectors: (searching(vectors), vectors),
    "a list of two copies": lambda vectors: [searching(vectors), vectors.copy()],
    "vectors alone": lambda vectors: vectors,
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("kind", ["<f4", "<f8", ">f4"])
@pytest.mark.parametrize("id_map", MAPS, ids=["list", "object"])
def test_what_the_originals_versions_wrote_is_read(wrapped: str, protocol: int, kind: str, id_map: Any) -> None:
    held = WRAPPED[wrapped](np.asfortranarray(VECTORS.astype(kind)) if protocol == 3 else VECTORS.astype(kind))
    row_ids, vectors = read_original_index(pickle.dumps(held, protocol=protocol), json.dumps(id_map).encode())
    assert row_ids.tolist() == IDS and vectors.dtype == np.float32
    assert np.allclose(vectors, UNIT, atol=1e-6)


def test_the_numpy_of_then_is_read() -> None:
    data = pickle.dumps(VECTORS.astype("<f4"), protocol=4).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    # the name is one letter shorter
    data = data.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
    data = data[:2] + data[11:] if data[2:3] == b"\x95" else data
    assert read_original_index(data, json.dumps(IDS).encode())[0].tolist() == IDS


@pytest.mark.parametrize("name", evil_objects())
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_evil_pickles_do_nothing(name: str, protocol: int, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(Untrusted):
        read_original_index(pickle.dumps(evil_objects()[name], protocol=protocol), b"[1, 2, 3]")
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize("name", RAW)
def test_evil_opcodes_do_nothing(name: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(Untrusted):
        read_original_index(RAW[name], b"[1, 2, 3]")
    assert not (tmp_path / MARKER).exists()


GOOD = pickle.dumps({"index": searching(VECTORS.astype("<f4")), "vectors": VECTORS.astype("<f4")}, protocol=4)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_changed_bytes_give_numbers_or_a_refusal_and_nothing_else(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(Untrusted), np.errstate(all="ignore"):
        row_ids, vectors = read_original_index(bytes(data), json.dumps(IDS).encode())
        assert len(row_ids) == len(vectors) == 5


BAD_MAPS = [b"", b"null", b"[1,2,3]", b"[1,2,3,4,4]", b"[1,2,3,4,0]", b'[1,2,3,4,"5"]', b"[1,2,3,4,5.0]"]
BAD_MAPS += [b'{"0":1,"1":2,"2":3,"3":4,"5":5}', b"[1,2,3,4,true]", b"[" * 100_000, b"[1,2,3,4,99999999999999999999]"]


@pytest.mark.parametrize("id_map", BAD_MAPS, ids=lambda data: data[:40])
def test_other_id_maps_are_refused(id_map: bytes) -> None:
    with pytest.raises(Untrusted):
        read_original_index(GOOD, id_map)


def test_other_metrics_and_other_numbers_are_refused() -> None:
    hole, zero = VECTORS.copy(), VECTORS.copy()
    hole[1, 1], zero[2] = np.nan, 0
    whole = np.ones((5, 7), np.int64)
    euclidean: Any = NearestNeighbors(metric="euclidean", algorithm="brute").fit(VECTORS)
    bad: list[Any] = [hole, zero, whole, euclidean, VECTORS[0], [], {"index": searching(VECTORS), "vectors": -VECTORS}]
    for held in bad:
        with pytest.raises(Untrusted):
            read_original_index(pickle.dumps(held, protocol=4), json.dumps(IDS).encode())
