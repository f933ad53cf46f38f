"""Input of an index build: row ids in memory and their vectors as a stream of pages."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import Vectors

LENGTH_TOLERANCE = 1e-3
"""Largest accepted difference between a vector's length and 1."""
PAGE_SIZE = 1000
"""Rows per page."""


class VectorSource:
    """Unique `row_ids` (n,) and a repeatable stream of their vectors of length `dim`.

    `read_pages` starts a new pass on each call. It yields float32 pages (m, dim) in the order of `row_ids`.
    """

    def __init__(self, row_ids: NDArray[np.int64], dim: int, read_pages: Callable[[], Iterable[Vectors]]) -> None:
        self.row_ids, self.dim, self._read_pages = row_ids, dim, read_pages

    def __len__(self) -> int:
        return len(self.row_ids)

    def pages(self) -> Iterator[Vectors]:
        """Yield the vectors as pages of shape (m, dim).

        Raises `LookalikeError` for a wrong dimension, a vector that is not of length 1, or a wrong number of rows.
        """
        row_count = 0
        for page in self._read_pages():
            if page.shape[1] != self.dim:
                raise LookalikeError(f"Vectors have {page.shape[1]} dimensions; expected {self.dim}")
            row_ids = self.row_ids[row_count : row_count + len(page)]
            if len(row_ids) != len(page):
                raise LookalikeError(f"More vectors than the {len(self)} expected rows")
            require_unit_vectors(row_ids, page)
            row_count += len(page)
            yield page
        if row_count != len(self):
            raise LookalikeError(f"Only {row_count} of {len(self)} rows have vectors")


def vector_source_from_arrays(row_ids: NDArray[np.int64] | Sequence[int], vectors: Vectors) -> VectorSource:
    """Return a source over row ids (n,) and vectors (n, dim) in memory."""
    return VectorSource(np.asarray(row_ids, np.int64), vectors.shape[1], lambda: paginate(vectors))


def paginate(vectors: Vectors) -> Iterator[Vectors]:
    """Split vectors (n, dim) into pages of `PAGE_SIZE` rows."""
    return (vectors[start : start + PAGE_SIZE] for start in range(0, len(vectors), PAGE_SIZE))


def concatenate_sources(first: VectorSource, second: VectorSource) -> VectorSource:
    """Return a source that streams `first`, then `second`. Both must have the same `dim`."""

    def read_pages() -> Iterator[Vectors]:
        yield from first.pages()
        yield from second.pages()

    return VectorSource(np.concatenate([first.row_ids, second.row_ids]), first.dim, read_pages)


def require_unit_vectors(row_ids: NDArray[np.int64], vectors: Vectors) -> None:
    """Raise `LookalikeError` naming the first rows (m,) whose vectors (m, dim) are not of length 1."""
    if (invalid := row_ids[~are_unit_vectors(vectors)]).size:
        raise LookalikeError(f"The vectors of {invalid.size} rows are not of length 1: {invalid[:5].tolist()} …")


def are_unit_vectors(vectors: Vectors) -> NDArray[np.bool_]:
    """Return for each row (n,) whether its length is 1 within `LENGTH_TOLERANCE`; false if not finite."""
    # Overflow and invalid values give inf or nan, which are not within the tolerance.
    with np.errstate(all="ignore"):
        lengths: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        return np.abs(lengths - 1) <= LENGTH_TOLERANCE
