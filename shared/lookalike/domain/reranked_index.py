"""Reranking: scores the candidates of an approximate index by their exact vectors."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.ports import VectorIndex

MIN_CANDIDATES = 48
"""Minimum number of candidates of a query. Few neighbors need relatively more candidates for the same recall."""
MAX_EXTRA_CANDIDATES = 1024
"""Maximum number of candidates beyond that of the neighbors. Of 4,096 neighbors among 100,000 rows, all are found."""
MAX_BRUTE_FORCE_ROWS = 4096
"""Filtered searches of up to this many rows compare all their vectors: 32 MB at 2,048 dimensions."""
FetchVectors = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]
"""Returns vectors (dim,) by row id. Rows that were deleted are missing from the result."""


def candidate_count(k: int) -> int:
    """Return how many candidates are reranked for k neighbors."""
    return max(MIN_CANDIDATES, k + min(2 * k, MAX_EXTRA_CANDIDATES))


class RerankedIndex:
    """`VectorIndex` that reranks the hits of another index.

    `fetch_vectors` returns the vectors of rows that still exist. Deleted rows therefore drop out of the hits.
    """

    is_exact = True

    def __init__(self, index: VectorIndex, fetch_vectors: FetchVectors) -> None:
        self._index, self._fetch_vectors = index, fetch_vectors

    @property
    def row_count(self) -> int:
        """Number of rows of the wrapped index, deleted ones included."""
        return self._index.row_count

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the given row ids that are in the wrapped index."""
        return self._index.contained_ids(row_ids)

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """Return the k nearest rows of each (q, dim) query; similarities are exact.

        The result is exact if `allowed_ids` has at most `MAX_BRUTE_FORCE_ROWS` ids. Otherwise its recall is that of
        the candidates.
        """
        if allowed_ids is not None and len(allowed_ids) <= MAX_BRUTE_FORCE_ROWS:
            return exact_nearest(self._fetch_vectors(self.contained_ids(allowed_ids).tolist()), vectors, k)
        count = candidate_count(k)
        while True:
            candidates = self._index.search(vectors, count, allowed_ids)
            existing = self._fetch_vectors(sorted({hit.row_id for hits in candidates for hit in hits}))
            # A full candidate list with fewer than k existing rows: deleted rows displaced others. Ask for more.
            is_short = any(
                len(hits) == count and sum(hit.row_id in existing for hit in hits) < k for hits in candidates
            )
            if not is_short:
                return exact_nearest(existing, vectors, k)
            count *= 2


def exact_nearest(vectors_by_id: Mapping[int, NDArray[np.float32]], queries: Vectors, k: int) -> list[list[SearchHit]]:
    """Return the k nearest of the given rows for each (q, dim) query, by brute force."""
    if not vectors_by_id:
        return [[] for _ in queries]
    index = ExactIndex(np.array(list(vectors_by_id), np.int64), np.stack(list(vectors_by_id.values())))
    return index.search(queries, k)
