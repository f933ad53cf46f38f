"""The original system's index as it lies in its bucket: unsigned, of any numpy and scikit-learn of Python 3, read and not run."""

import io
import json
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Untrusted
from lookalike.domain.model import Vectors

FORBIDDEN = frozenset(["EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "INST", "OBJ", "NEXT_BUFFER", "READONLY_BUFFER"])
FLOATS = ("f4", "f8")


def read_original_index(index: bytes, id_map: bytes) -> tuple[NDArray[np.int64], Vectors]:
    """Row numbers (n,) and unit vectors (n, dim). Raises `Untrusted` for what holds anything but numbers and scikit-learn's
    brute-force index of them, or no such numbers.
    """
    try:
        vectors, row_ids = _matrix(index), _row_ids(json.loads(id_map))
    except Untrusted:
        raise
    except Exception as error:
        raise Untrusted(f"The index cannot be read: {type(error).__name__}") from error
    _require(len(vectors) == len(row_ids), f"{len(vectors)} vectors and {len(row_ids)} row numbers")
    _require(len(np.unique(row_ids)) == len(row_ids), "a row number occurs twice")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    _require(bool((np.isfinite(lengths) & (lengths > 0)).all()), "a vector is zero or no number")
    return row_ids, np.asarray(vectors / lengths, np.float32)


def _row_ids(told: Any) -> NDArray[np.int64]:
    """From a list in the order of the vectors, or an object of positions and rows."""
    if isinstance(told, dict):
        _require(sorted(map(int, told)) == list(range(len(told))), "the id map leaves positions out")
        told = [told[key] for key in sorted(told, key=int)]
    _require(isinstance(told, list) and all(type(one) is int and one > 0 for one in told), "a row number is none")
    return np.array(told, np.int64)


def _matrix(data: bytes) -> NDArray[np.float64]:
    names = {opcode.name for opcode, _, _ in pickletools.genops(data)}
    _require(not names & FORBIDDEN, f"{', '.join(names & FORBIDDEN)} in a pickle")
    found = [one.matrix for one in _arrays(_Reader(io.BytesIO(data)).load())]
    _require(bool(found), "it holds no vectors")
    first = found[0]
    _require(all(np.array_equal(first, other) for other in found), "its vectors are not those that it searches")
    return first


def _arrays(held: Any) -> "list[_Array]":
    """The two-dimensional arrays in whatever the original's versions wrapped them in."""
    if isinstance(held, _Array):
        return [held] if held.matrix.ndim == 2 else []
    if isinstance(held, _Estimator):
        _require(held.state.get("metric") == "cosine", f"it is of the metric {held.state.get('metric')!r}")
        return _arrays(held.state.get("_fit_X"))
    if isinstance(held, dict):
        held = list(held.values())
    return [one for part in held for one in _arrays(part)] if isinstance(held, list | tuple) else []


class _Dtype:
    """Stands for `numpy.dtype`."""

    order = "<"

    def __init__(self, kind: Any, *_: object) -> None:
        self.kind = str(kind)

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    @property
    def real(self) -> np.dtype[Any]:
        _require(self.kind in FLOATS and self.order in "<>", f"its numbers are {self.kind}")
        return np.dtype(self.order + self.kind)


class _Array:
    """Stands for `numpy.ndarray`, and for what rebuilds one."""

    matrix: NDArray[np.float64]

    def __init__(self, *_: object) -> None:
        self.matrix = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.fill(data, dtype, shape, "F" if is_fortran else "C")

    def fill(self, data: Any, dtype: Any, shape: Any, order: str) -> None:
        _require(isinstance(dtype, _Dtype) and isinstance(data, bytes | bytearray), "its array is of another kind")
        self.matrix = np.frombuffer(data, dtype.real).reshape(shape, order=order).astype(np.float64)  # type: ignore[call-overload]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """Stands for what rebuilds an array in protocol 5."""
    found = _Array()
    found.fill(data, dtype, shape, str(order))
    return found


class _Estimator:
    """Stands for `NearestNeighbors`."""

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state)


class _Number:
    """Stands for a number of numpy's, in an estimator's settings."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        raise Untrusted("The index cannot be trusted: a number has a state")


GLOBALS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("sklearn.neighbors._unsupervised", "NearestNeighbors"): _Estimator,
    ("sklearn.neighbors.unsupervised", "NearestNeighbors"): _Estimator,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Number for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    """Gives a pickle no real global, only stand-ins that hold what is written."""

    def find_class(self, module: str, name: str) -> Any:
        _require((module, name) in GLOBALS, f"{module}.{name} in a pickle")
        return GLOBALS[module, name]


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Untrusted(f"The index cannot be trusted: {otherwise}")
