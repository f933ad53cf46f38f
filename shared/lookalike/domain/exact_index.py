"""Exact nearest-neighbor search by cosine similarity over vectors in memory."""

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import SearchHit, Vectors

QUERIES_PER_BLOCK = 64
"""Queries per matrix product. Bounds the memory of the (queries, rows) score matrix."""
ROWS_PER_BLOCK = 4096
"""Rows widened to float64 at a time. Bounds the memory of the final scoring."""
COPY_RATIO = 8
"""Filtered search copies the allowed rows only if they are fewer than one in `COPY_RATIO`."""
Positions = NDArray[np.intp]


class ExactIndex:
    """`VectorIndex` by brute force over `row_ids` (n,), unique, and `vectors` (n, dim), unit rows.

    Both arrays become read-only. Hits of equal similarity are ordered by row id.
    """

    is_exact = True

    def __init__(self, row_ids: NDArray[np.int64], vectors: Vectors) -> None:
        self.row_ids: NDArray[np.int64] = np.ascontiguousarray(row_ids, np.int64).view()
        self.vectors: Vectors = np.ascontiguousarray(vectors, np.float32).view()
        self.row_ids.flags.writeable = self.vectors.flags.writeable = False
        # Twice the error bound of a float32 dot product of unit vectors, 2 * dim * 2^-24, plus 5 %.
        # Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
        self._score_error = np.float32(2.1 * self.vectors.shape[1] * 2.0**-24)

    @property
    def row_count(self) -> int:
        """Number of indexed rows."""
        return len(self.row_ids)

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the given row ids that are in the index."""
        return self.row_ids[np.isin(self.row_ids, row_ids)]

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """Return the k nearest rows of each query, most similar first; fewer if the index has fewer.

        `vectors` is (q, dim), unit rows. `allowed_ids` (n,) restricts the search to these rows. Takes O(q n dim).
        """
        allowed = None if allowed_ids is None else np.flatnonzero(np.isin(self.row_ids, allowed_ids))
        k = min(k, len(self.row_ids) if allowed is None else len(allowed))
        if k < 1:
            return [[] for _ in vectors]
        blocks = (vectors[start : start + QUERIES_PER_BLOCK] for start in range(0, len(vectors), QUERIES_PER_BLOCK))
        return [
            self._top_k(query, scores, k, allowed)
            for block in blocks
            for query, scores in zip(block, self._approximate_scores(block, allowed), strict=True)
        ]

    # OpenBLAS sometimes reports invalid numbers where there are none, see numpy's issue 24067.
    @np.errstate(invalid="ignore")
    def _approximate_scores(self, block: Vectors, allowed: Positions | None) -> NDArray[np.float32]:
        """Return float32 scores, shape (q, n), of the allowed positions or of all."""
        if allowed is None:
            return np.asarray(block @ self.vectors.T)
        if len(allowed) * COPY_RATIO < len(self.row_ids):
            return np.asarray(block @ self.vectors[allowed].T)
        # Copying this many rows takes longer than multiplying all of them.
        return np.asarray((block @ self.vectors.T)[:, allowed])

    def _top_k(
        self, query: NDArray[np.float32], scores: NDArray[np.float32], k: int, allowed: Positions | None
    ) -> list[SearchHit]:
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        # Rows within the rounding error of the k-th score may belong to the exact top k.
        candidates = np.flatnonzero(scores >= threshold - self._score_error)
        candidates = candidates if allowed is None else allowed[candidates]
        row_ids, similarities = self.row_ids[candidates], self._exact_similarities(candidates, query)
        order = np.lexsort((row_ids, -similarities))[:k]
        return [SearchHit(int(row_ids[position]), float(similarities[position])) for position in order]

    def _exact_similarities(self, positions: Positions, query: NDArray[np.float32]) -> NDArray[np.float64]:
        # A float32 matrix product rounds differently depending on a row's position. Float64 products row by row
        # give a vector the same score in every index: hits of several indexes can be merged, equal vectors tie.
        wide_query = query.astype(np.float64)
        blocks = (positions[start : start + ROWS_PER_BLOCK] for start in range(0, len(positions), ROWS_PER_BLOCK))
        products = [(self.vectors[block] * wide_query).sum(axis=1) for block in blocks]
        similarities: NDArray[np.float64] = np.concatenate([np.empty(0), *products])
        return similarities.clip(-1, 1)
