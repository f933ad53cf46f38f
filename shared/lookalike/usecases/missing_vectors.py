"""Stored garments that searches cannot find, because they have vectors of other models only."""

import time
from dataclasses import dataclass

from lookalike.domain.ports import SecondaryVectors

SECONDS_VALID = 60


@dataclass(slots=True)
class MissingVectors:
    """Counts the garments without a vector of the current embedder. Safe to use from several threads.

    A count is valid for `SECONDS_VALID`. A count of 0 is final: this system stores no garment without a vector.
    """

    catalog: SecondaryVectors
    embedder: str
    _count: int | None = None
    _counted_at: float = 0

    def count(self, searched_rows: int = 0) -> int:
        """Return the number of garments without a vector of the current embedder.

        `searched_rows` is the number of rows in the index. If the catalog has no more, none of them is examined.
        """
        if self._count is None or (self._count and time.monotonic() - self._counted_at > SECONDS_VALID):
            has_others = self.catalog.count_segments() > searched_rows
            self._count = self.catalog.count_missing_vectors(self.embedder) if has_others else 0
            self._counted_at = time.monotonic()
        return self._count

    def notice(self) -> str | None:
        """Say how many garments searches cannot find and what to do about it, or return `None` if there are none."""
        count = self.count()
        if not count:
            return None
        garments = "1 garment has" if count == 1 else f"{count} garments have"
        return (
            f"{garments} vectors of another model only, and searches do not find them. "
            f"Run `lookalike reembed` to give them vectors of {self.embedder}"
        )
