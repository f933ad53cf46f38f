"""Facets: the values of fields over many rows, and how often each occurs."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import InvalidField
from lookalike.domain.feed_columns import is_feed_column
from lookalike.domain.filter import FEED_FIELDS, PRODUCT_FIELDS, Value

T = TypeVar("T", bound=Hashable)

PHOTO_FIELD = "photo"
"""The name of the photo that a row was cut out of."""
FACET_FIELDS = ("label", PHOTO_FIELD, *PRODUCT_FIELDS, *FEED_FIELDS)
"""Fields whose values can be counted, besides the other columns of feeds."""
MAX_FACET_VALUES = 50
"""Values that a facet lists, unless asked for another number."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldValues:
    """The values of one field over many rows: row `row_ids[i]` has the value `values[codes[i]]`.

    Rows without a value are missing. A row with a list occurs once for each distinct item.
    """

    values: tuple[Value, ...]
    """The distinct values, in any order."""
    row_ids: NDArray[np.int64]
    """Row ids (n,), ascending."""
    codes: NDArray[np.int64]
    """Positions (n,) in `values`."""

    @classmethod
    def from_column(
        cls, row_ids: NDArray[np.int64], column: Sequence[T], items: Callable[[T], Iterable[Value]]
    ) -> "FieldValues":
        """Build from ascending row ids (n,) and a column (n,) of cells.

        `items` returns the distinct values in a cell. It is called once for each different cell.
        """
        cells: dict[T, int] = {}
        known: dict[Value, int] = {}
        cell_of_row = np.array([cells.setdefault(cell, len(cells)) for cell in column], np.int64)
        codes = [[known.setdefault(value, len(known)) for value in items(cell)] for cell in cells]
        lengths = np.array([len(codes_of_cell) for codes_of_cell in codes], np.int64)
        flat = np.array([code for codes_of_cell in codes for code in codes_of_cell], np.int64)
        repeats = lengths[cell_of_row]
        # Positions in `flat`: the start of the row's cell, plus 0, 1, 2, ... within the row.
        starts = np.repeat((np.cumsum(lengths) - lengths)[cell_of_row], repeats)
        within = np.arange(len(starts)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return cls(tuple(known), np.repeat(row_ids, repeats), flat[starts + within])

    def pairs(self) -> Iterator[tuple[int, Value]]:
        """Yield pairs of row id and value, ordered by row id."""
        return (
            (row_id, self.values[code]) for row_id, code in zip(self.row_ids.tolist(), self.codes.tolist(), strict=True)
        )

    def counts(self, limit: int = MAX_FACET_VALUES) -> list[tuple[Value, int]]:
        """Return the values of most rows with their number of rows, as `most_frequent` orders them."""
        counted = np.bincount(self.codes, minlength=len(self.values)).tolist()
        return most_frequent(zip(self.values, counted, strict=True), limit)


def most_frequent(counts: Iterable[tuple[Value, int]], limit: int = MAX_FACET_VALUES) -> list[tuple[Value, int]]:
    """Return the first `limit` pairs of value and count: highest count first, then in order of the values."""
    return sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:limit]


def check_facet_fields(fields: Iterable[str]) -> None:
    """Raise `InvalidField` if one of the fields cannot be counted."""
    for name in fields:
        if name not in FACET_FIELDS and not is_feed_column(name):
            known = ", ".join(FACET_FIELDS)
            message = f"There is no field {name[:100]!r} to count. Fields are: {known}, and feed.COLUMN"
            raise InvalidField(message, field="facets")
