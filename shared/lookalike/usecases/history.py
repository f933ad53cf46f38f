"""Search history of signed-in users: save, list, repeat and delete searches, and record which results they chose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lookalike.domain.errors import NotFound
from lookalike.domain.history import Choice, PastHit, PastSearch, PhotoVectors
from lookalike.domain.model import Box, Detection, Segment
from lookalike.domain.ports import Catalog, Clock, History
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.search import PastExample, SearchResult
from lookalike.usecases.segments import find_segment

MAX_SEARCHES_PER_USER = 500
"""The oldest searches above this number are deleted."""


@dataclass(frozen=True, slots=True)
class SearchHistory:
    """Access to the past searches of one user at a time."""

    history: History
    catalog: Catalog
    clock: Clock
    deferred: DeferredWrites
    embedder: str
    """The embedder in use. Vectors of others cannot be compared with stored garments."""

    def save_search(self, owner: str, search_id: str, request: Mapping[str, object], result: SearchResult) -> None:
        """Save a search with the vectors of its photos, in the background. A failure is logged and not raised."""
        garments = [
            {"label": garment.label, "bounding_box": garment.box.as_list()}
            for group in result.groups
            if (garment := group.garment)
        ]
        hits = [
            PastHit(garment_index, match.segment.row_id, match.similarity or 0.0)
            for garment_index, group in enumerate(result.groups)
            for match in group.matches
        ]
        found = result.photo_vectors
        vectors = None if found is None else PhotoVectors.encode(self.embedder, found)
        fields = {**request, "garments": garments}
        search = PastSearch(search_id, owner, self.clock(), fields, hits, photo_vectors=vectors)
        self.deferred.add(self._save, search)

    def _save(self, searches: Sequence[PastSearch]) -> None:
        self.history.save_searches(searches, MAX_SEARCHES_PER_USER)

    def list_searches(self, owner: str, limit: int, before: datetime | None) -> list[PastSearch]:
        """Return the owner's searches before that time, newest first, without their hits."""
        self.deferred.wait()
        return self.history.list_searches(owner, limit, before)

    def get_search(self, owner: str, search_id: str) -> tuple[PastSearch, dict[int, Segment]]:
        """Return a search, and the segments of its hits that still exist by row id.

        Raises `NotFound`, also for a search of another user.
        """
        self.deferred.wait()
        search = self.history.get_search(owner, search_id)
        if search is None:
            raise _no_such_search(search_id)
        return search, self.catalog.segments(sorted({hit.row_id for hit in search.hits}))

    def reusable_vectors(self, search: PastSearch) -> int:
        """Return how many vectors of its photos a search can be repeated with."""
        vectors = search.photo_vectors
        return len(vectors.encoded) if vectors and vectors.embedder == self.embedder else 0

    def photo_example(
        self, owner: str, search_id: str, number: int, weight: float, field_prefix: str = ""
    ) -> PastExample:
        """Return a photo of a past search, or a garment in it, as an example for another search.

        Raises `NotFound` if the owner has no such search, or if it has no such vector of the embedder in use.
        """
        self.deferred.wait()
        search = self.history.get_search(owner, search_id)
        if search is None:
            raise NotFound(f"{field_prefix}search: {_no_such_search(search_id).message}", field=f"{field_prefix}search")
        if search.photo_vectors is None or number >= self.reusable_vectors(search):
            raise NotFound(
                f"{field_prefix}garment: the search {search_id!r} has no vector {number} of the model in use; "
                "search with the photo again",
                field=f"{field_prefix}garment",
            )
        return PastExample(search_id, number, search.photo_vectors.decode(number), _detection(search, number), weight)

    def choose_result(self, owner: str, search_id: str, key: str | int) -> tuple[Segment, Choice]:
        """Record that the owner chose a garment, given by name or row id, among the results of a search.

        Returns the garment and the choice, that of the first time if it was chosen before. Raises `NotFound` if the
        owner has no such search, or if the garment is not among its results.
        """
        self.deferred.wait()
        if self.history.get_search(owner, search_id) is None:
            raise _no_such_search(search_id)
        segment = find_segment(self.catalog, key)
        if segment is None:
            raise NotFound(f"There is no garment {key!r}")
        return segment, self.history.add_choice(owner, search_id, Choice(segment.row_id, self.clock()))

    def delete_searches(self, owner: str, search_id: str | None = None) -> int:
        """Delete one search of the owner, or all without an id. Returns the number of deleted searches.

        Raises `NotFound` if the owner has no search with that id.
        """
        self.deferred.wait()
        count = self.history.delete_searches(owner, search_id)
        if search_id is not None and not count:
            raise _no_such_search(search_id)
        return count


def _detection(search: PastSearch, number: int) -> Detection | None:
    """Return a garment of a past search. There is none if the query was not a single photo."""
    garments = search.request.get("garments")
    if not isinstance(garments, list) or number >= len(garments):
        return None
    return Detection(Box(*garments[number]["bounding_box"]), garments[number]["label"], None)


def _no_such_search(search_id: str) -> NotFound:
    return NotFound(f"There is no search {search_id!r} in your history")
