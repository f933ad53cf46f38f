"""The rows that an index is built of, however many: their numbers in memory, their vectors as they pass by."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import Vectors

LENGTH_TOLERANCE = 1e-3
"""How far a row's length may be from 1."""
PAGE_SIZE = 1000
"""Rows that pass by at once."""


class VectorSource:
    """`row_ids` (n,), each once, and in the same order their vectors of length `dim`.

    `read` gives the vectors, some (m, dim) rows at a time, and does so anew whenever it is called.
    """

    def __init__(self, row_ids: NDArray[np.int64], dim: int, read_pages: Callable[[], Iterable[Vectors]]) -> None:
        self.row_ids, self.dim, self._read = row_ids, dim, read_pages

    def __len__(self) -> int:
        return len(self.row_ids)

    def pages(self) -> Iterator[Vectors]:
        """Of shape (m, dim). Raises `LookalikeError` for what is no unit vector of that length, or too many or few."""
        passed = 0
        for page in self._read():
            if page.shape[1] != self.dim:
                raise LookalikeError(f"Vectors have length {page.shape[1]}, not {self.dim}")
            self._check(self.row_ids[passed : passed + len(page)], page)
            passed += len(page)
            yield page
        if passed != len(self):
            raise LookalikeError(f"Of {len(self)} rows {passed} have vectors")

    def _check(self, row_ids: NDArray[np.int64], page: Vectors) -> None:
        if len(row_ids) != len(page):
            raise LookalikeError(f"More than {len(self)} rows have vectors")
        if (wrong := row_ids[~are_unit_vectors(page)]).size:
            raise LookalikeError(f"The vectors of {wrong.size} rows are not of length 1: {wrong[:5].tolist()} …")


def vector_source_from_arrays(row_ids: NDArray[np.int64] | Sequence[int], vectors: Vectors) -> VectorSource:
    """Those in memory: (n,) numbers, (n, dim) vectors."""
    return VectorSource(np.asarray(row_ids, np.int64), vectors.shape[1], lambda: paginate(vectors))


def paginate(vectors: Vectors) -> Iterator[Vectors]:
    return (vectors[start : start + PAGE_SIZE] for start in range(0, len(vectors), PAGE_SIZE))


def concatenate_sources(first: VectorSource, second: VectorSource) -> VectorSource:
    def read() -> Iterator[Vectors]:
        yield from first.pages()
        yield from second.pages()

    return VectorSource(np.concatenate([first.row_ids, second.row_ids]), first.dim, read)


def are_unit_vectors(vectors: Vectors) -> NDArray[np.bool_]:
    """Shape (n,). False where anything is not finite, too."""
    with np.errstate(all="ignore"):
        lengths: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        return np.abs(lengths - 1) <= LENGTH_TOLERANCE
