"""Review of duplicates: finds pairs of copies, keeps decisions about them, and merges accepted pairs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.duplicates import (
    Decision,
    DuplicateGroup,
    DuplicatePair,
    PairState,
    connected_rows,
    group_pairs,
    with_decisions,
)
from lookalike.domain.errors import Conflict, InvalidField, LookalikeError, NotFound
from lookalike.domain.model import Segment, Vectors
from lookalike.domain.near_pairs import exact_cosines, near_pairs
from lookalike.domain.picture_quality import PictureQuality, measure_quality
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.ports.duplicates import DuplicateDecisions
from lookalike.usecases.erase import Erase, Receipt
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.segment_images import load_image
from lookalike.usecases.segments import Segments

BLOCK_ROWS = 128
"""Rows whose neighbors are searched for at once."""
PAGE_SECONDS = 10.0
"""Time after which a page ends, also if it is not full."""
FIRST_NEIGHBORS, MAX_GROUP_ROWS = 9, 100
"""Neighbors searched for at first, the row itself included, and rows of a group on a page."""
MAX_PAIRS = 1_000_000
"""Pairs that `find_pairs` returns at most."""
MERGE_PAGE = 100


@dataclass(frozen=True, slots=True)
class DuplicatePage:
    """A page of groups, and their segments by row id."""

    groups: Sequence[DuplicateGroup]
    segments: dict[int, Segment]
    next_cursor: str | None
    """`None` on the last page. Pages can be short, or even empty, before the last one."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Result of merging a pair."""

    kept: Segment
    merged: Segment
    moved: int
    """Entries of search histories and of the ledger that name the kept garment now."""
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class DuplicateReview:
    """Finds, decides and merges pairs of rows whose vectors have a cosine of at least `threshold`."""

    catalog: Catalog
    decisions: DuplicateDecisions
    open_index: Callable[[], LiveIndex]
    """Only pages need the index. Decisions and merges run in functions that do not load it."""
    store: ObjectStore
    segments: Segments
    erasure: Erase
    embedder: str
    threshold: float

    def list_groups(self, state: PairState, limit: int, cursor: str | None) -> DuplicatePage:
        """Return up to `limit` groups of pairs, by the index, ordered by their smallest row id.

        Raises `InvalidField` for an invalid cursor.
        """
        after, deadline = _parse_cursor(cursor), time.monotonic() + PAGE_SECONDS
        groups: list[DuplicateGroup] = []
        while len(groups) < limit:
            row_ids = self.decisions.next_row_ids(self.embedder, after, BLOCK_ROWS)
            neighbors = self._neighbors(row_ids)
            for after in row_ids:
                if neighbors.get(after):
                    groups += self._groups_from(after, neighbors, state)
                    # A row can be in several groups: pairs of another state can connect those of this one.
                    if len(groups) >= limit:
                        break
            if len(row_ids) < BLOCK_ROWS and (not row_ids or after == row_ids[-1]):
                return self._page(groups, None)
            if time.monotonic() > deadline:
                break
        return self._page(groups, str(after))

    def find_pairs(
        self, on_progress: Callable[[float], object] = lambda share: None, threshold: float | None = None
    ) -> list[DuplicatePair]:
        """Return all pairs without their decisions, ordered by row ids. Reads all vectors.

        Raises `LookalikeError` above `MAX_PAIRS`.
        """
        row_ids, vectors = self._read_vectors()
        pairs: list[DuplicatePair] = []
        for first, second, cosines in near_pairs(vectors, threshold or self.threshold, on_progress):
            ids = row_ids[first].tolist(), row_ids[second].tolist()
            pairs += map(DuplicatePair, *ids, cosines.tolist())
            if len(pairs) > MAX_PAIRS:
                raise LookalikeError(
                    f"More than {MAX_PAIRS:,} pairs are this similar: choose a higher --threshold than "
                    f"{threshold or self.threshold}"
                )
        return sorted(pairs)

    def add_decisions(self, pairs: Sequence[DuplicatePair], state: PairState) -> list[DuplicatePair]:
        """Return the pairs that `state` includes, with their decisions."""
        row_ids = sorted({row_id for pair in pairs for row_id in pair.row_ids})
        return [*with_decisions(pairs, self.decisions.duplicate_decisions(row_ids), state)]

    def decide(self, first: str, second: str, decision: Decision | None) -> tuple[Segment, Segment]:
        """Keep a decision about two garments, by name or row id. `None` deletes it. Raises `NotFound`, `InvalidField`."""
        pair = self.segments.get_segment(first), self.segments.get_segment(second)
        if pair[0].row_id == pair[1].row_id:
            raise InvalidField("garments: give two different garments", field="garments")
        if not self.decisions.decide_duplicate(pair[0].row_id, pair[1].row_id, decision):
            raise NotFound("One of the garments was deleted meanwhile")
        return pair

    def merge(self, first: str, second: str) -> Merge:
        """Merge an accepted pair: keep the better picture, move what refers to the other one, and erase that.

        Raises `NotFound`, `Conflict` if the pair is not accepted, and `Unavailable`. Can be repeated after a failure.
        """
        pair = self.segments.get_segment(first), self.segments.get_segment(second)
        row_ids = min(one.row_id for one in pair), max(one.row_id for one in pair)
        if self.decisions.duplicate_decisions([row_ids[0]]).get(row_ids) is not Decision.ACCEPTED:
            raise Conflict(f"{pair[0].name} and {pair[1].name} are not accepted as duplicates: accept the pair first")
        return self._merge(*pair)

    def merge_accepted(self) -> Iterator[Merge]:
        """Merge all accepted pairs. Merging moves decisions, so that a group of three ends as one garment."""
        after = (0, 0)
        while pairs := self.decisions.accepted_duplicates(after, MERGE_PAGE):
            for after in pairs:
                segments = self.catalog.segments(after)
                # Otherwise an earlier merge of this run has erased one of them.
                if len(segments) == 2:
                    yield self._merge(segments[after[0]], segments[after[1]])
                    # The merge may have moved decisions to pairs before this one.
                    after = (0, 0)
                    break

    def _merge(self, first: Segment, second: Segment) -> Merge:
        older, newer = sorted((first, second), key=lambda segment: segment.row_id)
        is_newer_better = self._quality(newer).is_better_than(self._quality(older))
        kept, merged = (newer, older) if is_newer_better else (older, newer)
        self._move_details(merged, kept)
        moved = self.decisions.move_references(merged.row_id, kept.row_id)
        return Merge(kept, merged, moved, self.erasure.erase_segment(merged.name))

    def _quality(self, segment: Segment) -> PictureQuality:
        try:
            return measure_quality(images.read_image(load_image(self.store, self.catalog, segment)))
        except NotFound:
            # any picture is better than a missing one
            return PictureQuality(0, 0.0)

    def _move_details(self, merged: Segment, kept: Segment) -> None:
        """Give the kept garment the product details of the other one, if it has none itself or by its photo."""
        details = self.catalog.details([merged.name, merged.photo, kept.name, kept.photo])
        source = details.get(merged.name) or details.get(merged.photo)
        if source and not (kept.name in details or kept.photo in details):
            self.catalog.put_details([replace(source, image_id=kept.name)])

    def _neighbors(self, row_ids: Sequence[int]) -> dict[int, dict[int, float]]:
        """Return the rows near each row, with their cosines. Rows without a vector are missing."""
        vectors = self.catalog.vectors(self.embedder, row_ids)
        found: dict[int, dict[int, float]] = {}
        waiting, count = list(vectors), FIRST_NEIGHBORS
        while waiting:
            hits, info = self.open_index().search(np.stack([vectors[one] for one in waiting]), count, CancelToken())
            near = [{hit.row_id: hit.similarity for hit in one if hit.similarity >= self.threshold} for one in hits]
            found |= dict(zip(waiting, near, strict=True))
            # All neighbors were near, so there may be more.
            is_full = count < min(info.rows, MAX_GROUP_ROWS)
            waiting = [one for one in waiting if is_full and len(found[one]) >= count]
            count = min(count * 4, MAX_GROUP_ROWS)
        return {one: {other: cosine for other, cosine in near.items() if other != one} for one, near in found.items()}

    def _groups_from(
        self, row_id: int, neighbors: dict[int, dict[int, float]], state: PairState
    ) -> list[DuplicateGroup]:
        """Return the groups of this state among all rows connected to this one, if it is the smallest of them."""

        def neighbors_of(row: int) -> dict[int, float]:
            if row not in neighbors:
                neighbors.update(self._neighbors([row]) or {row: {}})
            return neighbors[row]

        rows = sorted(connected_rows(row_id, neighbors_of, MAX_GROUP_ROWS))[:MAX_GROUP_ROWS]
        if rows[0] < row_id:
            return []
        return group_pairs(self.add_decisions(self._pairs_among(rows), state))

    def _pairs_among(self, row_ids: Sequence[int]) -> list[DuplicatePair]:
        stored = self.catalog.vectors(self.embedder, row_ids)
        rows, vectors = sorted(stored), np.stack([stored[row] for row in sorted(stored)])
        first, second = np.triu_indices(len(rows), 1)
        cosines = exact_cosines(vectors[first], vectors[second])
        return [
            DuplicatePair(rows[one], rows[other], float(cosine))
            for one, other, cosine in zip(first, second, cosines, strict=True)
            if cosine >= self.threshold
        ]

    def _page(self, groups: Sequence[DuplicateGroup], next_cursor: str | None) -> DuplicatePage:
        segments = self.catalog.segments([row_id for group in groups for row_id in group.row_ids])
        complete = [group for group in groups if all(row_id in segments for row_id in group.row_ids)]
        return DuplicatePage(complete, segments, next_cursor)

    def _read_vectors(self) -> tuple[NDArray[np.int64], Vectors]:
        with self.catalog.snapshot(self.embedder, 0) as snapshot:
            row_ids, vectors, start = snapshot.row_ids, np.empty((0, 0), np.float32), 0
            for page in snapshot.pages():
                if not start:
                    # filled page by page: twice the memory would be needed to join all pages
                    vectors = np.empty((len(row_ids), page.shape[1]), np.float32)
                vectors[start : start + len(page)] = page
                start += len(page)
        return row_ids, vectors


def _parse_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    # 64-bit row ids have at most 19 digits
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidField("cursor: send the cursor of an earlier response, or none", field="cursor")
    return int(cursor)
