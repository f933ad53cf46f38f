"""External index in memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Unavailable
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import SearchHit, Vectors


class FakeExternalIndex:
    """`MutableIndex` that keeps `vectors` by row id, and raises `Unavailable` while `is_unavailable`.

    `collection` is its identity.
    """

    is_exact = False

    def __init__(self) -> None:
        self.vectors: dict[int, NDArray[np.float32]] = {}
        self.is_unavailable, self.collection = False, "first"

    def identity(self) -> str:
        self._check_available()
        return self.collection

    @property
    def row_count(self) -> int:
        self._check_available()
        return len(self.vectors)

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        self._check_available()
        return np.array([row_id for row_id in row_ids.tolist() if row_id in self.vectors], np.int64)

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        self._check_available()
        if not self.vectors:
            return [[] for _ in vectors]
        return ExactIndex(np.array(list(self.vectors)), np.stack(list(self.vectors.values()))).search(
            vectors, k, allowed_ids
        )

    def upsert(self, row_ids: NDArray[np.int64], vectors: Vectors) -> None:
        self._check_available()
        self.vectors.update(zip(row_ids.tolist(), vectors, strict=True))

    def delete(self, row_ids: NDArray[np.int64]) -> None:
        self._check_available()
        for row_id in row_ids.tolist():
            self.vectors.pop(row_id, None)

    def row_ids(self) -> Iterator[NDArray[np.int64]]:
        self._check_available()
        yield np.array(sorted(self.vectors), np.int64)

    def _check_available(self) -> None:
        if self.is_unavailable:
            raise Unavailable("The external index cannot be reached")
