"""Exact nearest neighbours by cosine, of vectors in memory."""

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import SearchHit, Vectors

QUERIES_PER_BLOCK = 64
"""How many queries share one matrix product, which bounds the memory of its result."""
ROWS_PER_BLOCK = 4096
"""How many rows are widened to float64 at once."""

COPY_RATIO = 8
"""The share of rows, one in so many, from which all are multiplied rather than some copied."""
Positions = NDArray[np.intp]


class ExactIndex:
    """A `VectorIndex` over `row_ids` (n,), each once, and `vectors` (n, dim), unit rows. Both become read-only.

    Equally similar rows come in the order of their ids.
    """

    is_exact = True

    def __init__(self, row_ids: NDArray[np.int64], vectors: Vectors) -> None:
        self.row_ids: NDArray[np.int64] = np.ascontiguousarray(row_ids, np.int64).view()
        self.vectors: Vectors = np.ascontiguousarray(vectors, np.float32).view()
        self.row_ids.flags.writeable = self.vectors.flags.writeable = False
        # 2 * dim * 2^-24: twice the worst error of a float32 dot product of unit vectors (Higham, Accuracy, 3.1)
        self._slack = np.float32(2.1 * self.vectors.shape[1] * 2.0**-24)

    @property
    def row_count(self) -> int:
        return len(self.row_ids)

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.row_ids[np.isin(self.row_ids, row_ids)]

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """For each of the (q, dim) unit rows its k nearest, most similar first; fewer where there are fewer.

        With `among` (n,), of the rows of these ids alone.
        """
        rows = None if allowed_ids is None else np.flatnonzero(np.isin(self.row_ids, allowed_ids))
        k = min(k, len(self.row_ids) if rows is None else len(rows))
        if k < 1:
            return [[] for _ in vectors]
        blocks = (vectors[start : start + QUERIES_PER_BLOCK] for start in range(0, len(vectors), QUERIES_PER_BLOCK))
        return [
            self._nearest(query, scores, k, rows)
            for block in blocks
            for query, scores in zip(block, self._scores(block, rows), strict=True)
        ]

    def _scores(self, block: Vectors, rows: Positions | None) -> NDArray[np.float32]:
        """Shape (q, n), of these rows."""
        if rows is None:
            return np.asarray(block @ self.vectors.T)
        if len(rows) * COPY_RATIO < len(self.row_ids):
            return np.asarray(block @ self.vectors[rows].T)
        # to copy that many would take longer than to multiply with all
        return np.asarray((block @ self.vectors.T)[:, rows])

    def _nearest(
        self, query: NDArray[np.float32], scores: NDArray[np.float32], k: int, rows: Positions | None
    ) -> list[SearchHit]:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        near = np.flatnonzero(scores >= least - self._slack)
        near = near if rows is None else rows[near]
        row_ids, similarities = self.row_ids[near], self._similarities(near, query)
        best = np.lexsort((row_ids, -similarities))[:k]
        return [SearchHit(int(row_ids[one]), float(similarities[one])) for one in best]

    def _similarities(self, near: NDArray[np.intp], query: NDArray[np.float32]) -> NDArray[np.float64]:
        # the float32 product rounds by where a row stands; row by row in float64, a vector scores the same in every
        # index, so that the hits of several can be merged and equal vectors tie
        wide = query.astype(np.float64)
        parts = (near[start : start + ROWS_PER_BLOCK] for start in range(0, len(near), ROWS_PER_BLOCK))
        products = [(self.vectors[part] * wide).sum(axis=1) for part in parts]
        similarities: NDArray[np.float64] = np.concatenate([np.empty(0), *products])
        return similarities.clip(-1, 1)
