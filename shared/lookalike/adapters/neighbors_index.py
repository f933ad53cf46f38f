"""Index format of the original system: scikit-learn's `NearestNeighbors` in a pickle, and a JSON map of row ids."""

import functools
import importlib.metadata
import io
import logging
import pickle
import pickletools
import platform
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Unavailable, Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Vectors
from lookalike.domain.vector_source import PAGE_SIZE, VectorSource, are_unit_vectors

log = logging.getLogger("lookalike.index")
INDEX_PART, ID_MAP_PART = "vector_nn_index.pkl", "vector_id_map.json"
PLACEHOLDER = b"the matrix" * (1 << 13)
"""Stands for the matrix bytes while the pickle is made.

At 80 KiB it is longer than a pickle frame (64 KiB), so the pickler writes it outside of the frames. Their lengths stay
valid when the real bytes, which are longer, take its place.
"""
ROWS_PLACEHOLDER, DIM_PLACEHOLDER = 2**31 - 1, 2**31 - 2
"""Stand for the shape of the matrix. Of all integers, only those of four bytes can replace them: up to 2**31 - 1."""
TEMPLATE_SECONDS = 60.0
"""Time limit of the process that makes a template. It takes 1 to 2 seconds on one core."""
ALLOWED_OPCODES = frozenset(
    ["PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1"]
    + ["BININT2", "BINFLOAT", "SHORT_BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "TUPLE1"]
    + ["TUPLE2", "TUPLE3", "TUPLE", "EMPTY_DICT", "SETITEMS", "STACK_GLOBAL", "NEWOBJ", "REDUCE", "BUILD"]
)
"""Opcodes that `build` writes. Without extension registry, persistent ids and the older opcodes for globals."""


class NeighborsFormat:
    """`IndexFormat` whose pickle scikit-learn can load. Building needs scikit-learn; searching does not."""

    name = "neighbours"  # codespell:ignore

    @property
    def libraries(self) -> Mapping[str, str]:
        """Versions of scikit-learn, numpy and Python."""
        versions = {name: importlib.metadata.version(name) for name in ("scikit-learn", "numpy")}
        return versions | {"python": platform.python_version()}

    def build(self, source: VectorSource) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the pickle and the id map, each as a name and a stream of chunks."""
        yield INDEX_PART, _pickle_chunks(source)
        yield ID_MAP_PART, _id_map_chunks(source.row_ids)

    def load(self, parts: Mapping[str, bytes]) -> ExactIndex:
        """Return the index without executing anything in the pickle. Raises `Untrusted` for unexpected content."""
        try:
            return _load(parts)
        except Untrusted:
            raise
        except Exception as error:
            raise Untrusted(f"The index is not valid: {type(error).__name__} while it was parsed") from error

    def read_vectors(self, count: int, dim: int, read: Callable[[str], Iterable[bytes]]) -> VectorSource:
        """Return the vectors of an index as a stream. `read` yields the bytes of a part in chunks.

        Raises `Untrusted` for an invalid id map; an invalid pickle is raised during the stream.
        """
        row_ids = _parse_id_map(b"".join(read(ID_MAP_PART)))
        _require(len(row_ids) == count, f"the id map has {len(row_ids)} rows, not {count}")
        return VectorSource(row_ids, dim, lambda: _stream_matrix(read(INDEX_PART), count, dim))


class _MatrixPlaceholder:
    """Pickles like a numpy float32 array, with placeholders for its shape and its data."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructor and arguments of numpy's own pickle; the rest is the state for ndarray.__setstate__.
        reduced: Any = np.empty(0, "<f4").__reduce__()
        shape = ROWS_PLACEHOLDER, DIM_PLACEHOLDER
        return *reduced[:2], (1, shape, np.dtype("<f4"), False, PLACEHOLDER)


def _pickle_chunks(source: VectorSource) -> Iterator[bytes]:
    """Yield the pickle page by page. The whole matrix is never in memory."""
    template = _pickle_template(len(source) == 0)
    for placeholder, value in ((ROWS_PLACEHOLDER, len(source)), (DIM_PLACEHOLDER, source.dim)):
        template = template.replace(_integer(placeholder), _integer(value))
    before, after = template.split(_bytes_header(len(PLACEHOLDER)) + PLACEHOLDER)
    yield before + _bytes_header(4 * len(source) * source.dim)
    for page in source.pages():
        yield np.ascontiguousarray(page, "<f4").tobytes()
    yield after


@functools.cache
def _pickle_template(is_empty: bool) -> bytes:
    """Return the pickle of an index with placeholders. Raises `Unavailable`."""
    if "sklearn" in sys.modules:
        return make_template(is_empty)
    # In a process of its own: a server would keep the 140 MB that the import of scikit-learn needs.
    code = f"import sys; from {__name__} import make_template; sys.stdout.buffer.write(make_template({is_empty}))"
    try:
        made = subprocess.run(  # noqa: S603 - this Python, with code that is written above
            [sys.executable, "-c", code], capture_output=True, check=True, timeout=TEMPLATE_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or b""
        log.exception("scikit-learn's process failed", extra={"output": output.decode(errors="replace")[-2000:]})
        advice = "check that scikit-learn is installed and that 300 MB of memory are free. The server's log says more"
        raise Unavailable(f"The index cannot be built, since the process with scikit-learn failed: {advice}") from error
    return made.stdout


def make_template(is_empty: bool) -> bytes:
    """Return the pickle of an index with placeholders for the matrix and its shape. Imports scikit-learn."""
    from sklearn.neighbors import NearestNeighbors

    index, matrix = NearestNeighbors(metric="cosine", algorithm="brute"), _MatrixPlaceholder()
    if not is_empty:
        index.fit(np.ones((1, 1), np.float32))
        # The same object as under "vectors", so that the pickle contains the matrix once.
        index._fit_X, index.n_samples_fit_, index.n_features_in_ = matrix, ROWS_PLACEHOLDER, DIM_PLACEHOLDER
    # Protocol 4, because numpy's pickles of protocol 5 name one more global.
    return pickle.dumps({"index": index, "vectors": matrix}, protocol=4)


def _integer(value: int) -> bytes:
    """Return an integer as the opcode with four bytes, which a pickle may have for smaller integers, too."""
    return pickle.BININT + struct.pack("<i", value)


def _bytes_header(size: int) -> bytes:
    """Return the opcode and length that precede a bytes object of this size in protocol 4."""
    if size < 1 << 8:
        return pickle.SHORT_BINBYTES + struct.pack("<B", size)
    return pickle.BINBYTES + struct.pack("<I", size) if size < 1 << 32 else pickle.BINBYTES8 + struct.pack("<Q", size)


def _stream_matrix(chunks: Iterable[bytes], count: int, dim: int) -> Iterator[Vectors]:
    """Find the matrix (count, dim) in the chunks of a pickle and yield it as pages of whole rows."""
    remaining, row_size = 4 * count * dim, 4 * dim
    header = _bytes_header(remaining)
    buffer, is_inside = bytearray(), False
    for chunk in chunks:
        buffer += chunk
        if not is_inside and (position := buffer.find(header)) >= 0:
            del buffer[: position + len(header)]
            is_inside = True
        if is_inside and (size := min(len(buffer), remaining) // row_size * row_size):
            yield np.frombuffer(bytes(buffer[:size]), "<f4").reshape(-1, dim)
            del buffer[:size]
            remaining -= size
    _require(remaining == 0, "the pickle does not contain the matrix")


def _id_map_chunks(row_ids: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield the JSON object from position to row id."""
    yield b"{"
    for start in range(0, len(row_ids), PAGE_SIZE):
        items = enumerate(row_ids[start : start + PAGE_SIZE].tolist(), start)
        text = ", ".join(f'"{position}": {row_id}' for position, row_id in items)
        yield ((", " if start else "") + text).encode()
    yield b"}"


def _load(parts: Mapping[str, bytes]) -> ExactIndex:
    _require(parts.keys() == {INDEX_PART, ID_MAP_PART}, f"it must have exactly {INDEX_PART} and {ID_MAP_PART}")
    matrix, row_ids = _parse_pickle(parts[INDEX_PART]), _parse_id_map(parts[ID_MAP_PART])
    _require(len(matrix) == len(row_ids), f"the id map has {len(row_ids)} rows, not {len(matrix)}")
    _require(bool(are_unit_vectors(matrix).all()), "not every vector is of length 1")
    # Not NearestNeighbors.kneighbors: it normalizes the whole matrix again for each query.
    return ExactIndex(row_ids, matrix)


def _parse_id_map(data: bytes) -> NDArray[np.int64]:
    """Return the row ids (n,) by position."""
    # Parses all numbers at once instead of creating a Python object for each. The result is proven right by writing
    # it again: anything that differs from what `build` writes is refused.
    numbers = np.fromstring(data[1:-1].replace(b'"', b"").replace(b":", b",").decode("ascii"), np.int64, sep=",")
    row_ids = numbers[1::2].copy()
    _require(data == b"".join(_id_map_chunks(row_ids)), "the id map is not in the expected form")
    _require(bool((row_ids > 0).all()), "the id map has a row id that is not positive")
    _require(len(np.unique(row_ids)) == len(row_ids), "the id map has a duplicate row id")
    return row_ids


def _parse_pickle(data: bytes) -> Vectors:
    """Return the matrix (n, dim)."""
    _check_opcodes(data)
    content = _RestrictedUnpickler(io.BytesIO(data)).load()
    _require(type(content) is dict and content.keys() == {"index", "vectors"}, "the pickle has unexpected content")
    array, index = content["vectors"], content["index"]
    is_known = isinstance(array, _ArrayStub) and isinstance(index, _NearestNeighborsStub)
    _require(is_known, "the pickle has unexpected content")
    _require(index.searches(array), "scikit-learn would search other vectors or with another metric")
    matrix: Vectors = array.matrix
    return matrix


class _DtypeStub:
    """Replaces `numpy.dtype`. Accepts little-endian float32 only."""

    def __init__(self, kind: object, align: object, copy: object) -> None:
        _require((kind, align, copy) == ("f4", False, True), "its numbers are not float32")

    def __setstate__(self, state: object) -> None:
        # Pickle state of dtype("<f4"): version, byte order, four fields for structured types, flags.
        _require(state == (3, "<", None, None, None, -1, -1, 0), "its numbers are not little-endian float32")


class _ArrayStub:
    """Replaces `numpy.ndarray` and its reconstructor. Accepts two-dimensional float32 over bytes, read-only."""

    matrix: Vectors
    """Shape (n, dim)."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        _require(kind is _ArrayStub and (shape, code) == ((0,), b"b"), "its array is of an unexpected kind")

    def __setstate__(self, state: Any) -> None:
        version, (rows, dim), dtype, is_fortran, data = state
        is_plain = version == 1 and type(dtype) is _DtypeStub and is_fortran is False
        _require(is_plain, "its array is of an unexpected kind")
        _require(type(rows) is type(dim) is int and rows >= 0 and dim > 0, "its array has an invalid shape")
        _require(type(data) is bytes and len(data) == 4 * rows * dim, "the size of its array does not fit its shape")
        self.matrix = np.frombuffer(data, "<f4").reshape(rows, dim)


class _NearestNeighborsStub:
    """Replaces `NearestNeighbors`."""

    state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def searches(self, array: _ArrayStub) -> bool:
        """Return whether scikit-learn would search this very array by cosine; an empty index has no array."""
        expected = array if len(array.matrix) else None
        is_cosine = self.state["metric"] == "cosine" and self.state["algorithm"] == "brute"
        return is_cosine and self.state.get("_fit_X") is expected


ALLOWED_GLOBALS: Mapping[tuple[str, str], type] = {
    ("sklearn.neighbors._unsupervised", "NearestNeighbors"): _NearestNeighborsStub,
    ("numpy._core.multiarray", "_reconstruct"): _ArrayStub,
    ("numpy", "ndarray"): _ArrayStub,
    ("numpy", "dtype"): _DtypeStub,
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that resolves the allowed globals to stubs, which check and keep their state, and refuses all others.

    Real numpy and scikit-learn classes would accept any arguments and state. With stubs, searching also needs no import
    of scikit-learn. Each stub defines `__setstate__`, because BUILD would otherwise set attributes from the pickle.
    """

    def find_class(self, module: str, name: str) -> type:
        """Return the stub of a global. Raises `Untrusted` for globals that are not allowed."""
        _require((module, name) in ALLOWED_GLOBALS, f"the pickle uses {module}.{name}")
        return ALLOWED_GLOBALS[module, name]


def _check_opcodes(data: bytes) -> None:
    position = None
    for opcode, _, position in pickletools.genops(data):  # noqa: B007 - the last position is used after the loop
        _require(opcode.name in ALLOWED_OPCODES, f"the pickle has the opcode {opcode.name}")
    _require(position == len(data) - 1, "data follow the pickle")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise Untrusted(f"The index is not valid: {problem}")
