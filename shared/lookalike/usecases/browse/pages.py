"""Pages by position: each begins after the last row of the page before, whatever was added or deleted meanwhile."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lookalike.domain.browse import Position, Sort
from lookalike.usecases.browse.request import BrowseRequest
from lookalike.usecases.signed_cursor import decode_signed_cursor, encode_signed_cursor

MAX_IDS = 5_000
"""Up to this many selected rows are sorted by their ids. Of more, the rows of the catalog are read in their order."""
CHUNK = 2_000
"""Rows that are read at a time until a page is full."""
K = TypeVar("K", int, str)
ReadPositions = Callable[[Sort, Position | None, int, Sequence[Any] | None], list[Position]]


@dataclass(frozen=True, slots=True)
class KeyPage(Generic[K]):
    """The keys of a page."""

    keys: list[K]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Pager:
    """Reads pages of one kind of rows. `read` returns positions as the catalog does."""

    kind: str
    read: ReadPositions
    cursor_key: bytes

    def page(self, request: BrowseRequest, selected: Sequence[K] | None) -> KeyPage[K]:
        """Return the next page of the selected rows, whose keys are ascending, or of all rows.

        Raises `InvalidField` if the cursor is not one of this request.
        """
        after = self._after(request)
        # one more row tells whether there is a next page
        positions = self._next(request.sort, after, request.limit + 1, selected)
        has_more = len(positions) > request.limit
        on_page = positions[: request.limit]
        return KeyPage([one.key for one in on_page], self._cursor(request, on_page[-1]) if has_more else None)  # type: ignore[misc]

    def _next(self, sort: Sort, after: Position | None, count: int, selected: Sequence[K] | None) -> list[Position]:
        if selected is None:
            return self.read(sort, after, count, None)
        if sort.field == "id":
            return _next_by_key(sort, after, count, selected)
        if len(selected) <= MAX_IDS:
            return self.read(sort, after, count, selected)
        wanted, found = set(selected), list[Position]()
        while len(found) < count:
            chunk = self.read(sort, after, CHUNK, None)
            found += [one for one in chunk if one.key in wanted]
            if len(chunk) < CHUNK:
                break
            after = chunk[-1]
        return found[:count]

    def _after(self, request: BrowseRequest) -> Position | None:
        if request.cursor is None:
            return None
        content = decode_signed_cursor(self.kind, request.cursor, request.fingerprint(), self.cursor_key)
        return Position(content["key"], content["value"])

    def _cursor(self, request: BrowseRequest, last: Position) -> str:
        content = {"key": last.key, "value": last.value}
        return encode_signed_cursor(self.kind, content, request.fingerprint(), self.cursor_key)


def _next_by_key(sort: Sort, after: Position | None, count: int, selected: Sequence[K]) -> list[Position]:
    if sort.is_descending:
        end = len(selected) if after is None else bisect_left(selected, after.key)
        return [Position(key) for key in reversed(selected[max(0, end - count) : end])]
    start = 0 if after is None else bisect_right(selected, after.key)
    return [Position(key) for key in selected[start : start + count]]
