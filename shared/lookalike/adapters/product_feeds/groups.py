"""Consecutive rows of one product, for formats with several lines per product."""

from collections.abc import Iterator
from dataclasses import dataclass

from lookalike.adapters.product_feeds.limits import MAX_GROUP_LINES, quote
from lookalike.adapters.product_feeds.tables import Row
from lookalike.domain.product import InvalidFeedLine


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with the same value in the column that names the product, in their order."""

    key: str
    rows: list[Row]


def group_rows(rows: Iterator[Row | InvalidFeedLine], column: str) -> Iterator[Group | InvalidFeedLine]:
    """Yield groups of consecutive rows. Invalid lines do not end a group.

    Memory grows with the number of products by their keys, so that a key that comes back later is noticed.
    """
    seen: set[str] = set()
    group: Group | None = None
    for row in rows:
        if isinstance(row, InvalidFeedLine):
            yield row
            continue
        key = row.text(column)
        if group and key != group.key:
            yield group
            group = None
        if problem := _problem(key, column, seen, group):
            yield InvalidFeedLine(row.number, problem)
        elif group:
            group.rows.append(row)
        else:
            seen.add(key)
            group = Group(key, [row])
    if group:
        yield group


def _problem(key: str, column: str, seen: set[str], group: Group | None) -> str | None:
    if not key:
        return f"{column}: is missing"
    if group is None and key in seen:
        return f"{column}: {quote(key)} had lines further up; sort the feed by {column}"
    if group and len(group.rows) >= MAX_GROUP_LINES:
        return f"{column}: {quote(key)} has more than {MAX_GROUP_LINES:,} lines"
    return None
