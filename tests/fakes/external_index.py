"""An index outside, in memory: a `MutableIndex` that can be away, late, or lose things."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Unavailable
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import SearchHit, Vectors


class FakeExternalIndex:
    """Set `away` to make everything raise `Unavailable`; `held` is what it holds."""

    is_exact = False

    def __init__(self) -> None:
        self.held: dict[int, NDArray[np.float32]] = {}
        self.away, self.name = False, "first"

    def identity(self) -> str:
        self._reach()
        return self.name

    @property
    def row_count(self) -> int:
        self._reach()
        return len(self.held)

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        self._reach()
        return np.array([one for one in row_ids.tolist() if one in self.held], np.int64)

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        self._reach()
        if not self.held:
            return [[] for _ in vectors]
        return ExactIndex(np.array(list(self.held)), np.stack(list(self.held.values()))).search(vectors, k, allowed_ids)

    def upsert(self, row_ids: NDArray[np.int64], vectors: Vectors) -> None:
        self._reach()
        self.held.update(zip(row_ids.tolist(), vectors, strict=True))

    def delete(self, row_ids: NDArray[np.int64]) -> None:
        self._reach()
        for row_id in row_ids.tolist():
            self.held.pop(row_id, None)

    def row_ids(self) -> Iterator[NDArray[np.int64]]:
        self._reach()
        yield np.array(sorted(self.held), np.int64)

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("The index outside cannot be reached")
