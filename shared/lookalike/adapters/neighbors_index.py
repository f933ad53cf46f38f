"""The original's index: scikit-learn's brute-force NearestNeighbors in a pickle, and a JSON map from positions to rows."""

import importlib.metadata
import io
import pickle
import pickletools
import platform
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Vectors
from lookalike.domain.vector_source import PAGE_SIZE, VectorSource, are_unit_vectors

INDEX_PART, ID_MAP_PART = "vector_nn_index.pkl", "vector_id_map.json"
HOLE = b"the matrix" * (1 << 13)
"""So long that the pickle gives it a place outside its frames, whose lengths stay right when something longer comes there."""
OPCODES = frozenset(
    ["PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1"]
    + ["BININT2", "BINFLOAT", "SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "TUPLE1"]
    + ["TUPLE2", "TUPLE3", "TUPLE", "EMPTY_DICT", "SETITEMS", "STACK_GLOBAL", "NEWOBJ", "REDUCE", "BUILD"]
)
"""What `build` writes, and nothing more: no extension registry, no persistent ids, no older ways to name a global."""


class NeighborsFormat:
    """An `IndexFormat`. scikit-learn writes the pickle and can read it, but is not needed to search it."""

    name = "neighbours"

    @property
    def libraries(self) -> Mapping[str, str]:
        found = {name: importlib.metadata.version(name) for name in ("scikit-learn", "numpy")}
        return found | {"python": platform.python_version()}

    def build(self, source: VectorSource) -> Iterator[tuple[str, Iterator[bytes]]]:
        yield INDEX_PART, _pickled(source)
        yield ID_MAP_PART, _id_map(source.row_ids)

    def load(self, parts: Mapping[str, bytes]) -> ExactIndex:
        try:
            return _loaded(parts)
        except Untrusted:
            raise
        except Exception as error:
            raise Untrusted(f"The index cannot be read: {type(error).__name__}") from error

    def read_vectors(self, count: int, dim: int, read: Callable[[str], Iterable[bytes]]) -> VectorSource:
        """Those that a version was built of, streamed anew. `read` gives the verified bytes of a part."""
        row_ids = _read_ids(b"".join(read(ID_MAP_PART)))
        _require(len(row_ids) == count, "the id map is of another length")
        return VectorSource(row_ids, dim, lambda: _read_pages(read(INDEX_PART), count, dim))


class _Matrix:
    """Pickles as numpy's (rows, dim) array would, but with `HOLE` where its numbers belong."""

    def __init__(self, rows: int, dim: int) -> None:
        self._shape = rows, dim

    def __reduce__(self) -> tuple[Any, ...]:
        numpys: Any = np.empty(0, "<f4").__reduce__()
        return *numpys[:2], (1, self._shape, np.dtype("<f4"), False, HOLE)


def _pickled(rows: VectorSource) -> Iterator[bytes]:
    """The pickle, whose matrix passes by: it is in memory nowhere."""
    matrix = _Matrix(len(rows), rows.dim)
    # protocol 5 would need one more global of numpy's
    whole = pickle.dumps({"index": _neighbours(matrix, rows), "vectors": matrix}, protocol=4)
    before, after = whole.split(_bytes_header(len(HOLE)) + HOLE)
    yield before + _bytes_header(4 * len(rows) * rows.dim)
    for page in rows.pages():
        yield np.ascontiguousarray(page, "<f4").tobytes()
    yield after


def _bytes_header(size: int) -> bytes:
    """How protocol 4 announces so many bytes."""
    if size < 1 << 8:
        return pickle.SHORT_BINBYTES + struct.pack("<B", size)
    return pickle.BINBYTES + struct.pack("<I", size) if size < 1 << 32 else pickle.BINBYTES8 + struct.pack("<Q", size)


def _neighbours(matrix: _Matrix, rows: VectorSource) -> Any:
    """As if it had been fitted to the matrix."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(metric="cosine", algorithm="brute")
    if len(rows):
        index.fit(np.ones((1, rows.dim), np.float32))
        # the very same array, so that the pickle holds it once
        index._fit_X, index.n_samples_fit_ = matrix, len(rows)
    return index


def _read_pages(pieces: Iterable[bytes], count: int, dim: int) -> Iterator[Vectors]:
    """The matrix of a pickle that passes by, some whole rows at a time."""
    header, size, width = _bytes_header(4 * count * dim), 4 * count * dim, 4 * dim
    waiting, inside, left = bytearray(), False, size
    for piece in pieces:
        waiting += piece
        if not inside and (place := waiting.find(header)) >= 0:
            del waiting[: place + len(header)]
            inside = True
        if inside and (ready := min(len(waiting), left) // width * width):
            yield np.frombuffer(bytes(waiting[:ready]), "<f4").reshape(-1, dim)
            del waiting[:ready]
            left -= ready
    _require(left == 0, "its matrix is not where it should be")


def _id_map(row_ids: NDArray[np.int64]) -> Iterator[bytes]:
    """The JSON object of each position's row."""
    yield b"{"
    for start in range(0, len(row_ids), PAGE_SIZE):
        places = enumerate(row_ids[start : start + PAGE_SIZE].tolist(), start)
        yield ((", " if start else "") + ", ".join(f'"{place}": {row_id}' for place, row_id in places)).encode()
    yield b"}"


def _loaded(parts: Mapping[str, bytes]) -> ExactIndex:
    _require(parts.keys() == {INDEX_PART, ID_MAP_PART}, "it has other parts")
    matrix, row_ids = _read_matrix(parts[INDEX_PART]), _read_ids(parts[ID_MAP_PART])
    _require(len(matrix) == len(row_ids), "the id map is of another length")
    _require(bool(are_unit_vectors(matrix).all()), "not every row is a unit vector")
    # not NearestNeighbors.kneighbors: it normalises the whole matrix anew for every query
    return ExactIndex(row_ids, matrix)


def _read_ids(data: bytes) -> NDArray[np.int64]:
    """Without an object for each: the numbers alone are read, and then it must be what they are written as."""
    numbers = np.fromstring(data[1:-1].replace(b'"', b"").replace(b":", b",").decode("ascii"), np.int64, sep=",")
    row_ids = numbers[1::2].copy()
    _require(data == b"".join(_id_map(row_ids)), "the id map is not written as it should be")
    _require(bool((row_ids > 0).all()), "a row id is no number")
    _require(len(np.unique(row_ids)) == len(row_ids), "a row id occurs twice")
    return row_ids


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


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Untrusted(f"The index cannot be trusted: {otherwise}")
