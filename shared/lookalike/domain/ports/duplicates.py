"""Port of decisions about duplicates, and of what merging moves from one garment to another."""

from collections.abc import Sequence
from typing import Protocol

from lookalike.domain.duplicates import Decision


class DuplicateDecisions(Protocol):
    """Decisions about pairs of rows. A deleted row takes its decisions with it."""

    def next_row_ids(self, embedder: str, after: int, limit: int) -> list[int]:
        """Return the next `limit` ids of rows above `after` with a vector of the embedder, ascending."""
        ...

    def decide_duplicate(self, first: int, second: int, decision: Decision | None) -> bool:
        """Store the decision about two different rows, in either order, or delete it with `None`.

        Returns whether both rows exist. Nothing is stored otherwise.
        """
        ...

    def duplicate_decisions(self, row_ids: Sequence[int]) -> dict[tuple[int, int], Decision]:
        """Return the decisions about pairs of which one row is given, by ascending row ids."""
        ...

    def accepted_duplicates(self, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
        """Return the next `limit` accepted pairs after that pair, in the order of their row ids."""
        ...

    def move_references(self, old: int, new: int) -> int:
        """Let search histories, choices, and pictures of products refer to the row `new` instead of `old`.

        If `old` is the last row of its photo, ledger entries of that photo name the photo of `new`. Other decisions about
        `old` become decisions about `new`, unless there are some. Returns the number of changed entries, without
        decisions. Does nothing if one of the rows does not exist.
        """
        ...
