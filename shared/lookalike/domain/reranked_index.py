"""Candidates of an index that is not exact, compared anew by their true vectors."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.ports import VectorIndex

MIN_CANDIDATES = 48
MAX_BRUTE_FORCE_ROWS = 4096
"""Rows of a filter up to which all their vectors are compared: 32 MB at 2,048 numbers."""
FetchVectors = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]


def candidate_count(k: int) -> int:
    """How many are compared for k neighbours."""
    return max(MIN_CANDIDATES, 3 * k)


class RerankedIndex:
    """A `VectorIndex` over another. `vectors` gives those of rows that still exist: what was deleted falls out."""

    is_exact = True

    def __init__(self, index: VectorIndex, vectors: FetchVectors) -> None:
        self._index, self._vectors = index, vectors

    @property
    def row_count(self) -> int:
        return self._index.row_count

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._index.contained_ids(row_ids)

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """Exact where `among` names few of its rows; otherwise as good as the candidates are."""
        if allowed_ids is not None and len(allowed_ids) <= MAX_BRUTE_FORCE_ROWS:
            return exact_nearest(self._vectors(self.contained_ids(allowed_ids).tolist()), vectors, k)
        count = candidate_count(k)
        while True:
            found = self._index.search(vectors, count, allowed_ids)
            there = self._vectors(sorted({hit.row_id for hits in found for hit in hits}))
            if not any(len(hits) == count and _left(hits, there) < k for hits in found):
                return exact_nearest(there, vectors, k)
            # so many were deleted that it takes others
            count *= 2


def _left(hits: Sequence[SearchHit], there: Mapping[int, object]) -> int:
    return sum(hit.row_id in there for hit in hits)


def exact_nearest(there: Mapping[int, NDArray[np.float32]], vectors: Vectors, k: int) -> list[list[SearchHit]]:
    """Of these rows alone, by brute force."""
    if not there:
        return [[] for _ in vectors]
    return ExactIndex(np.array(list(there), np.int64), np.stack(list(there.values()))).search(vectors, k)
