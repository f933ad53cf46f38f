"""The original's index: scikit-learn's brute-force NearestNeighbors in a pickle, and a JSON map from positions to rows."""

import importlib.metadata
import io
import json
import pickle
import pickletools
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import LookalikeError, Untrusted
from lookalike.domain.exact import ExactIndex
from lookalike.domain.model import Vectors

INDEX, ID_MAP = "vector_nn_index.pkl", "vector_id_map.json"
LENGTH_ERROR = 1e-3
"""How far a row's length may be from 1."""
OPCODES = frozenset(
    ["PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1"]
    + ["BININT2", "BINFLOAT", "SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "TUPLE1"]
    + ["TUPLE2", "TUPLE3", "TUPLE", "EMPTY_DICT", "SETITEMS", "STACK_GLOBAL", "NEWOBJ", "REDUCE", "BUILD"]
)
"""What `build` writes, and nothing more: no extension registry, no persistent ids, no older ways to name a global."""


class NeighboursFormat:
    """An `IndexFormat`. scikit-learn writes the pickle and can read it, but is not needed to search it."""

    name = "neighbours"

    @property
    def libraries(self) -> Mapping[str, str]:
        found = {name: importlib.metadata.version(name) for name in ("scikit-learn", "numpy")}
        return found | {"python": platform.python_version()}

    def build(self, row_ids: NDArray[np.int64], vectors: Vectors) -> dict[str, bytes]:
        """From (n,) ids and (n, dim) unit rows. Raises `LookalikeError` for rows of another length."""
        matrix = np.ascontiguousarray(vectors, "<f4")
        if (wrong := row_ids[~_are_unit(matrix)]).size:
            raise LookalikeError(f"The vectors of {wrong.size} rows are not of length 1: {wrong[:5].tolist()} …")
        stored = {"index": _neighbours(matrix), "vectors": matrix}
        # protocol 5 would need one more global of numpy's
        return {INDEX: pickle.dumps(stored, protocol=4), ID_MAP: _id_map(row_ids.tolist())}

    def load(self, parts: Mapping[str, bytes]) -> ExactIndex:
        """Raises `Untrusted` for anything but what `build` writes, before any of it can do harm."""
        try:
            return _loaded(parts)
        except Untrusted:
            raise
        except Exception as error:
            raise Untrusted(f"The index cannot be read: {type(error).__name__}") from error


def _neighbours(matrix: Vectors) -> Any:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(metric="cosine", algorithm="brute")
    if len(matrix):
        index.fit(matrix)
        # the very same array, so that the pickle holds it once
        index._fit_X = matrix
    return index


def _id_map(row_ids: Sequence[int]) -> bytes:
    return json.dumps({str(position): row_id for position, row_id in enumerate(row_ids)}).encode()


def _loaded(parts: Mapping[str, bytes]) -> ExactIndex:
    _require(parts.keys() == {INDEX, ID_MAP}, "it has other parts")
    matrix, row_ids = _read_matrix(parts[INDEX]), _read_ids(parts[ID_MAP])
    _require(len(matrix) == len(row_ids), "the id map is of another length")
    _require(bool(_are_unit(matrix).all()), "not every row is a unit vector")
    # not NearestNeighbors.kneighbors: it normalises the whole matrix anew for every query
    return ExactIndex(row_ids, matrix)


def _read_ids(data: bytes) -> NDArray[np.int64]:
    row_ids = list(json.loads(data).values())
    _require(all(type(row_id) is int and row_id > 0 for row_id in row_ids), "a row id is no number")
    _require(len(set(row_ids)) == len(row_ids), "a row id occurs twice")
    _require(_id_map(row_ids) == data, "the id map is not written as it should be")
    return np.array(row_ids, np.int64)


def _read_matrix(data: bytes) -> Vectors:
    _check_opcodes(data)
    stored = _Reader(io.BytesIO(data)).load()
    _require(type(stored) is dict and stored.keys() == {"index", "vectors"}, "it holds something else")
    array, index = stored["vectors"], stored["index"]
    _require(isinstance(array, _Array) and isinstance(index, _Neighbours), "it holds something else")
    _require(index.is_over(array), "scikit-learn would search it otherwise")
    matrix: Vectors = array.matrix
    return matrix


class _Dtype:
    """Stands for `numpy.dtype`: little-endian float32, no other."""

    def __init__(self, kind: object, align: object, copy: object) -> None:
        _require((kind, align, copy) == ("f4", False, True), "its numbers are no float32")

    def __setstate__(self, state: object) -> None:
        _require(state == (3, "<", None, None, None, -1, -1, 0), "its numbers are no float32")


class _Array:
    """Stands for `numpy.ndarray` and for what rebuilds one: two dimensions of float32 over bytes, which stay read-only."""

    matrix: Vectors
    """Shape (n, dim)."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        _require(kind is _Array and (shape, code) == ((0,), b"b"), "its array is of another kind")

    def __setstate__(self, state: Any) -> None:
        version, (rows, dim), dtype, is_fortran, data = state
        _require(version == 1 and type(dtype) is _Dtype and is_fortran is False, "its array is of another kind")
        _require(type(rows) is type(dim) is int and rows >= 0 and dim > 0, "its array has no such shape")
        _require(type(data) is bytes and len(data) == 4 * rows * dim, "its array is of another size")
        self.matrix = np.frombuffer(data, "<f4").reshape(rows, dim)


class _Neighbours:
    """Stands for `NearestNeighbors`."""

    state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def is_over(self, array: _Array) -> bool:
        """Whether scikit-learn would answer as we do; it holds no matrix where there are no rows."""
        fitted = array if len(array.matrix) else None
        is_cosine = self.state["metric"] == "cosine" and self.state["algorithm"] == "brute"
        return is_cosine and self.state.get("_fit_X") is fitted


GLOBALS: Mapping[tuple[str, str], type] = {
    ("sklearn.neighbors._unsupervised", "NearestNeighbors"): _Neighbours,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _Reader(pickle.Unpickler):
    """Gives a pickle no real global, only stand-ins that hold what is written and check it.

    An allowed numpy or scikit-learn global would still take any arguments and any state; and this way a process that
    only searches does not import scikit-learn. The stand-ins' own `__setstate__` keeps BUILD from changing their classes.
    """

    def find_class(self, module: str, name: str) -> type:
        _require((module, name) in GLOBALS, f"{module}.{name} in a pickle")
        return GLOBALS[module, name]


def _check_opcodes(data: bytes) -> None:
    position = None
    for opcode, _, position in pickletools.genops(data):  # noqa: B007 - the last one is looked at
        _require(opcode.name in OPCODES, f"{opcode.name} in a pickle")
    _require(position == len(data) - 1, "something follows the pickle")


def _are_unit(matrix: Vectors) -> NDArray[np.bool_]:
    """Shape (n,). False where anything is not finite, too."""
    with np.errstate(all="ignore"):
        lengths: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
        return np.abs(lengths - 1) <= LENGTH_ERROR


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Untrusted(f"The index cannot be trusted: {otherwise}")
