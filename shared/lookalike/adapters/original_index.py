"""Reader of the original system's index files. Parses their pickle without executing anything in it.

The files are unsigned and may come from any numpy and scikit-learn of Python 3.
"""

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

FORBIDDEN_OPCODES = frozenset(
    ["EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "INST", "OBJ", "NEXT_BUFFER", "READONLY_BUFFER"]
)
"""Opcodes that create objects without `find_class`, or need data from outside the pickle."""
FLOAT_KINDS = ("f4", "f8")


def read_original_index(index: bytes, id_map: bytes) -> tuple[NDArray[np.int64], Vectors]:
    """Return row ids (n,) and unit vectors (n, dim) of the original system's pickle and JSON id map.

    Raises `Untrusted` if the pickle contains anything but a brute-force cosine index and its float vectors, or if the
    id map does not match them.
    """
    try:
        vectors, row_ids = _read_matrix(index), _read_row_ids(json.loads(id_map))
    except Untrusted:
        raise
    except Exception as error:
        raise Untrusted(f"The index is not valid: {type(error).__name__} while it was parsed") from error
    _require(len(vectors) == len(row_ids), f"it has {len(vectors)} vectors, but {len(row_ids)} row ids")
    _require(len(np.unique(row_ids)) == len(row_ids), "the id map has a duplicate row id")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    _require(bool((np.isfinite(lengths) & (lengths > 0)).all()), "a vector is zero or not finite")
    return row_ids, np.asarray(vectors / lengths, np.float32)


def _read_row_ids(content: Any) -> NDArray[np.int64]:
    """Return the row ids (n,) of a list in the order of the vectors, or of an object from position to row id."""
    if isinstance(content, dict):
        _require(sorted(map(int, content)) == list(range(len(content))), "the id map lacks positions")
        content = [content[key] for key in sorted(content, key=int)]
    # `type(…) is int`, because isinstance would accept `true`.
    is_valid = isinstance(content, list) and all(type(row_id) is int and row_id > 0 for row_id in content)
    _require(is_valid, "the id map has a row id that is not a positive integer")
    return np.array(content, np.int64)


def _read_matrix(data: bytes) -> NDArray[np.float64]:
    """Return the vectors (n, dim), not normalized."""
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(data)}
    forbidden = sorted(opcodes & FORBIDDEN_OPCODES)
    _require(not forbidden, f"the pickle has the opcodes {', '.join(forbidden)}")
    content = _RestrictedUnpickler(io.BytesIO(data)).load()
    matrices = [array.matrix for array in _find_arrays(content)]
    _require(bool(matrices), "it contains no vectors")
    first = matrices[0]
    is_consistent = all(np.array_equal(first, other) for other in matrices)
    _require(is_consistent, "its stored vectors differ from the vectors that it searches")
    return first


def _find_arrays(content: Any) -> "list[_ArrayStub]":
    """Return the two-dimensional arrays in the containers and estimators of the original's versions."""
    if isinstance(content, _ArrayStub):
        return [content] if content.matrix.ndim == 2 else []
    if isinstance(content, _EstimatorStub):
        metric = content.state.get("metric")
        _require(metric == "cosine", f"its metric is {metric!r}, not 'cosine'")
        return _find_arrays(content.state.get("_fit_X"))
    if isinstance(content, dict):
        content = list(content.values())
    return [array for part in content for array in _find_arrays(part)] if isinstance(content, list | tuple) else []


class _DtypeStub:
    """Replaces `numpy.dtype`."""

    byte_order = "<"

    def __init__(self, kind: Any, *_: object) -> None:
        self.kind = str(kind)

    def __setstate__(self, state: Any) -> None:
        # state: (version, byte order, …)
        self.byte_order = state[1]

    @property
    def float_dtype(self) -> np.dtype[Any]:
        """The dtype. Raises `Untrusted` for anything but float32 and float64."""
        _require(self.kind in FLOAT_KINDS and self.byte_order in "<>", f"its numbers are of type {self.kind}")
        return np.dtype(self.byte_order + self.kind)


class _ArrayStub:
    """Replaces `numpy.ndarray` and its reconstructor."""

    matrix: NDArray[np.float64]

    def __init__(self, *_: object) -> None:
        self.matrix = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.fill(data, dtype, shape, "F" if is_fortran else "C")

    def fill(self, data: Any, dtype: Any, shape: Any, order: str) -> None:
        """Set the array from its bytes."""
        is_plain = isinstance(dtype, _DtypeStub) and isinstance(data, bytes | bytearray)
        _require(is_plain, "its array is of an unexpected kind")
        array = np.frombuffer(data, dtype.float_dtype)
        self.matrix = array.reshape(shape, order=order).astype(np.float64)  # type: ignore[call-overload]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _ArrayStub:
    """Replaces numpy's reconstructor for pickles of protocol 5."""
    array = _ArrayStub()
    array.fill(data, dtype, shape, str(order))
    return array


class _EstimatorStub:
    """Replaces `NearestNeighbors`."""

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state)


class _ScalarStub:
    """Replaces a numpy scalar in an estimator's settings."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        raise Untrusted("The index is not valid: a number has a state")


# Older numpy and scikit-learn have the same classes in other modules.
ALLOWED_GLOBALS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("sklearn.neighbors._unsupervised", "NearestNeighbors"): _EstimatorStub,
    ("sklearn.neighbors.unsupervised", "NearestNeighbors"): _EstimatorStub,
    ("numpy", "ndarray"): _ArrayStub,
    ("numpy", "dtype"): _DtypeStub,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _ArrayStub for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _ScalarStub for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that resolves the allowed globals to stubs, which only keep their state, and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stub of a global. Raises `Untrusted` for globals that are not allowed."""
        _require((module, name) in ALLOWED_GLOBALS, f"the pickle uses {module}.{name}")
        return ALLOWED_GLOBALS[module, name]


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise Untrusted(f"The index is not valid: {problem}")
