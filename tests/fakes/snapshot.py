"""Snapshot of the catalog in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import Changes, Vectors
from lookalike.domain.vector_source import paginate


@dataclass(frozen=True)
class FakeSnapshot:
    """Returns the content of `changes`."""

    changes: Changes

    @property
    def last_commit(self) -> int:
        return self.changes.last_commit

    @property
    def row_ids(self) -> NDArray[np.int64]:
        return self.changes.row_ids

    @property
    def deleted(self) -> NDArray[np.int64]:
        return self.changes.deleted

    def pages(self) -> Iterator[Vectors]:
        return paginate(self.changes.vectors)
