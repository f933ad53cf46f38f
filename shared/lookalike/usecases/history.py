"""What a signed-in user searched for: remembered, listed, and forgotten when they say so."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lookalike.domain.errors import LookalikeError, NotFound
from lookalike.domain.model import PastHit, PastSearch, Segment
from lookalike.domain.ports import Catalog, Clock, History
from lookalike.usecases.search import SearchResult

log = logging.getLogger("lookalike.history")
MAX_SEARCHES_PER_USER = 500
"""Searches of one user that are kept."""


@dataclass(frozen=True, slots=True)
class SearchHistory:
    history: History
    catalog: Catalog
    clock: Clock

    def save_search(self, owner: str, search_id: str, request: Mapping[str, object], result: SearchResult) -> None:
        """Never the photo. What fails is logged: the search itself has an answer."""
        garments = [
            {"label": group.garment.label, "bounding_box": group.garment.box.as_list()} for group in result.groups
        ]
        hits = [
            PastHit(number, match.segment.row_id, match.similarity)
            for number, group in enumerate(result.groups)
            for match in group.matches
        ]
        try:
            self.history.save_search(
                PastSearch(search_id, owner, self.clock(), {**request, "garments": garments}, hits),
                MAX_SEARCHES_PER_USER,
            )
        except LookalikeError:
            log.warning("A search could not be remembered", exc_info=True)

    def list_searches(self, owner: str, limit: int, before: datetime | None) -> list[PastSearch]:
        """The newest first, without their hits."""
        return self.history.list_searches(owner, limit, before)

    def get_search(self, owner: str, search_id: str) -> tuple[PastSearch, dict[int, Segment]]:
        """With those of its garments that are still stored, by row number. Raises `NotFound`, for others' too."""
        found = self.history.get_search(owner, search_id)
        if found is None:
            raise NotFound(f"No search {search_id!r}")
        return found, self.catalog.segments(sorted({hit.row_id for hit in found.hits}))

    def delete_searches(self, owner: str, search_id: str | None = None) -> int:
        """One, or all; how many. Raises `NotFound` where the one is none of theirs."""
        count = self.history.delete_searches(owner, search_id)
        if search_id is not None and not count:
            raise NotFound(f"No search {search_id!r}")
        return count
