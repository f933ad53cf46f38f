"""Reader of the original system's index: accepts pickles of all versions and executes nothing in them."""

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
from tests.contracts.test_index_format import MALICIOUS_OPCODES, MARKER, malicious_objects

VECTORS = np.random.default_rng(1).normal(size=(5, 7))
IDS = [4, 9, 2, 7, 1]
MAPS = [IDS, {str(position): row_id for position, row_id in enumerate(IDS)}]
UNIT_VECTORS = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)


def fit_neighbors(vectors: Any) -> Any:
    """Return a fitted `NearestNeighbors`."""
    return NearestNeighbors(metric="cosine", algorithm="brute", n_neighbors=5).fit(vectors)


CONTAINERS: dict[str, Any] = {
    "only the model": fit_neighbors,
    "a dict": lambda vectors: {"index": fit_neighbors(vectors), "vectors": vectors, "note": "edited by hand", "n": 5},
    "a tuple": lambda vectors: (fit_neighbors(vectors), vectors),
    "a list of two copies": lambda vectors: [fit_neighbors(vectors), vectors.copy()],
    "only the vectors": lambda vectors: vectors,
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4"])
@pytest.mark.parametrize("id_map", MAPS, ids=["list", "object"])
def test_reads_indexes_of_all_original_versions(container: str, protocol: int, dtype: str, id_map: Any) -> None:
    content = CONTAINERS[container](
        np.asfortranarray(VECTORS.astype(dtype)) if protocol == 3 else VECTORS.astype(dtype)
    )
    row_ids, vectors = read_original_index(pickle.dumps(content, protocol=protocol), json.dumps(id_map).encode())
    assert row_ids.tolist() == IDS and vectors.dtype == np.float32
    assert np.allclose(vectors, UNIT_VECTORS, atol=1e-6)


def test_reads_pickles_of_older_numpy() -> None:
    data = pickle.dumps(VECTORS.astype("<f4"), protocol=4).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    # The module name is one byte shorter, so its length and the frame are adapted.
    data = data.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
    data = data[:2] + data[11:] if data[2:3] == b"\x95" else data
    assert read_original_index(data, json.dumps(IDS).encode())[0].tolist() == IDS


@pytest.mark.parametrize("name", malicious_objects())
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_malicious_pickles_are_rejected_and_not_executed(name: str, protocol: int, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(Untrusted):
        read_original_index(pickle.dumps(malicious_objects()[name], protocol=protocol), b"[1, 2, 3]")
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize("name", MALICIOUS_OPCODES)
def test_malicious_opcodes_are_rejected_and_not_executed(name: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(Untrusted):
        read_original_index(MALICIOUS_OPCODES[name], b"[1, 2, 3]")
    assert not (tmp_path / MARKER).exists()


VALID_PICKLE = pickle.dumps(
    {"index": fit_neighbors(VECTORS.astype("<f4")), "vectors": VECTORS.astype("<f4")}, protocol=4
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(VALID_PICKLE) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_changed_bytes_give_vectors_or_raise_untrusted(changes: list[tuple[int, int]]) -> None:
    data = bytearray(VALID_PICKLE)
    for position, value in changes:
        data[position] = value
    with contextlib.suppress(Untrusted), np.errstate(all="ignore"):
        row_ids, vectors = read_original_index(bytes(data), json.dumps(IDS).encode())
        assert len(row_ids) == len(vectors) == 5


INVALID_ID_MAPS = [b"", b"null", b"[1,2,3]", b"[1,2,3,4,4]", b"[1,2,3,4,0]", b'[1,2,3,4,"5"]', b"[1,2,3,4,5.0]"]
INVALID_ID_MAPS += [
    b'{"0":1,"1":2,"2":3,"3":4,"5":5}',
    b"[1,2,3,4,true]",
    b"[" * 100_000,
    b"[1,2,3,4,99999999999999999999]",
]


@pytest.mark.parametrize("id_map", INVALID_ID_MAPS, ids=lambda data: data[:40])
def test_rejects_invalid_id_maps(id_map: bytes) -> None:
    with pytest.raises(Untrusted):
        read_original_index(VALID_PICKLE, id_map)


def test_rejects_other_metrics_and_invalid_vectors() -> None:
    not_finite, zero = VECTORS.copy(), VECTORS.copy()
    not_finite[1, 1], zero[2] = np.nan, 0
    integers = np.ones((5, 7), np.int64)
    euclidean: Any = NearestNeighbors(metric="euclidean", algorithm="brute").fit(VECTORS)
    invalid: list[Any] = [
        not_finite,
        zero,
        integers,
        euclidean,
        VECTORS[0],
        [],
        {"index": fit_neighbors(VECTORS), "vectors": -VECTORS},
    ]
    for content in invalid:
        with pytest.raises(Untrusted):
            read_original_index(pickle.dumps(content, protocol=4), json.dumps(IDS).encode())
