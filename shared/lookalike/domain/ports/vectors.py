"""Ports of vector maintenance: rows of the original system, and vectors of a second embedder."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.legacy_rows import AdoptedRow, LegacyRow
from lookalike.domain.model import Segment


class LegacyRows(Protocol):
    """Rows of the original system that were not adopted yet: their vector is JSON text, their image inside the row."""

    def count_legacy_rows(self) -> int:
        """Return the number of rows that still have to be adopted."""
        ...

    def legacy_row_ids(self, after: int, limit: int) -> list[int]:
        """Return the next `limit` ids of legacy rows above `after`, ascending."""
        ...

    def legacy_row(self, row_id: int) -> LegacyRow | None:
        """Return a legacy row, or `None` if it was deleted or adopted."""
        ...

    def adopt(self, rows: Sequence[AdoptedRow], embedder: str) -> None:
        """Convert rows to the current format, in one transaction.

        The old vector and image are removed from the rows. Indexes see the rows as rewritten.
        """
        ...


class SecondaryVectors(Protocol):
    """Vectors of a second embedder, stored in addition to the vector of the row itself.

    They make a change of embedder possible without downtime. `Catalog` returns both kinds in the same way.
    """

    def count_segments(self) -> int:
        """Return the number of all segments, with or without a vector."""
        ...

    def count_missing_vectors(self, embedder: str) -> int:
        """Return the number of segments without a vector of the embedder."""
        ...

    def segments_missing_vectors(self, embedder: str, after: int, limit: int) -> list[Segment]:
        """Return the next `limit` segments with row ids above `after` and without a vector of the embedder."""
        ...

    def add_vectors(self, embedder: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        """Store unit vectors (dim,) by row id, in one transaction. Returns the number stored.

        Skips rows that were deleted or have a vector of the embedder.
        """
        ...

    def drop_other_vectors(self, embedder: str, limit: int) -> int:
        """Keep only the vectors of this embedder, for up to `limit` segments that have one.

        Returns the number of changed segments. 0 means that there are none left.
        """
        ...
