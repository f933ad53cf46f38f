"""Browsing: sorted pages of garments and of products."""

from collections.abc import Iterable
from dataclasses import dataclass

from lookalike.domain.filter import FEED_FIELDS

Key = int | str
"""Identifies a row: the row id of a garment, or the id of a product."""
GARMENT_SORTS = ("id", "created", "score", "price")
"""Fields that garments can be sorted by. `price` is the lowest of the products that a garment shows."""
PRODUCT_SORTS = ("id", "created", "updated", "price")
"""Fields that products can be sorted by."""
OWN_PRODUCT_FIELDS = ("brand", "size", "created", "feed", *FEED_FIELDS)
"""Fields of a product itself, besides the other columns of its feed. It has all others by the garments that show it."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Order of rows: by a field, then by key. Rows without a value come last, in either direction."""

    field: str = "id"
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Place of a row in a sorted list.

    `value` is the value of the field that is sorted by: times are microseconds since 1970, prices ten-thousandths. It is
    `None` for rows without one, and for all rows if the key itself is sorted by.
    """

    key: Key
    value: int | float | None = None


def in_order(positions: Iterable[Position], sort: Sort, after: Position | None, limit: int) -> list[Position]:
    """Return the first `limit` positions after a position, in the order of the sort."""
    known = list(positions)
    with_value = [one for one in known if one.value is not None]
    without = [one for one in known if one.value is None]
    ordered = [
        *sorted(with_value, key=lambda one: (one.value, one.key), reverse=sort.is_descending),
        *sorted(without, key=lambda one: one.key, reverse=sort.is_descending),
    ]
    return [one for one in ordered if after is None or _is_after(one, after, sort)][:limit]


def _is_after(one: Position, other: Position, sort: Sort) -> bool:
    if (one.value is None) != (other.value is None):
        return one.value is None
    pairs = (one.value or 0, one.key), (other.value or 0, other.key)
    return pairs[0] < pairs[1] if sort.is_descending else pairs[0] > pairs[1]
