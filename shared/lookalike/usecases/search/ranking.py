"""Ranking: chooses the results of a page from the nearest rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import SearchHit
from lookalike.usecases.duplicates import DuplicateFilter
from lookalike.usecases.search.cursor import Cursor
from lookalike.usecases.search.request import SearchRequest
from lookalike.usecases.search.result import ResultGroup

MAX_CANDIDATES = 4096
"""Maximum number of nearest rows examined for one page. Duplicate detection loads their vectors, about 32 MB."""
MIN_DIVERSITY_POOL = 64
"""Minimum number of best results from which diverse ones are chosen."""
GroupKey = str | float | None
LoadVectors = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]
LoadGroupKeys = Callable[[Sequence[int]], Mapping[int, GroupKey]]


@dataclass(frozen=True, slots=True)
class Result:
    """A chosen row, and the group that it stands for."""

    hit: SearchHit
    group: ResultGroup | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Applies the parts of a request that the index cannot: exclusion, duplicates, groups, diversity and pages.

    Make a new one for each search.
    """

    request: SearchRequest
    cursor: Cursor
    excluded_ids: frozenset[int]
    """Row ids that must not be returned."""
    load_vectors: LoadVectors
    load_group_keys: LoadGroupKeys | None = None
    """Set if the results are to be grouped."""
    duplicates: DuplicateFilter | None = None
    """Set if duplicates are to be removed."""

    @property
    def first_count(self) -> int:
        """Number of nearest rows with which to begin: enough even if all excluded ones are among them."""
        if self.load_group_keys:
            return self.max_count
        return min(self._wanted + len(self.excluded_ids) + len(self.cursor.seen_ids), self.max_count)

    @property
    def max_count(self) -> int:
        """Number of nearest rows that are examined at most for this page."""
        return self.cursor.examined + max(MAX_CANDIDATES, self._wanted + len(self.excluded_ids))

    @property
    def _wanted(self) -> int:
        """Number of results to choose the page from: one more than the page has shows whether there is a next page."""
        if self.request.diversity:
            return max(4 * self.request.limit, MIN_DIVERSITY_POOL, self.request.limit + 1)
        return self.request.limit + 1

    def choose(self, hits: Sequence[SearchHit]) -> list[Result]:
        """Return the results that are not on earlier pages, best first, enough for a page if there are. No deleted rows.

        `hits` are the nearest rows, ordered by similarity.
        """
        minimum = self.request.min_similarity
        acceptable = [hit for hit in hits if hit.row_id not in self.excluded_ids and hit.similarity >= minimum]
        count = self._wanted + len(self.cursor.seen_ids)
        if self.duplicates:
            # groups need all their members
            acceptable = self.duplicates.deduplicate(acceptable, len(acceptable) if self.load_group_keys else count)
        results = (
            self._group(acceptable, self.load_group_keys) if self.load_group_keys else list(map(Result, acceptable))
        )
        seen = self.cursor.seen_ids
        return [one for one in results if one.hit.row_id not in seen][: self._wanted]

    def needs_more(self, hits: Sequence[SearchHit], chosen: Sequence[Result], requested: int) -> bool:
        """Return whether the nearest rows after `hits`, of which `requested` were asked for, could yield more results."""
        return len(chosen) < self._wanted and not self.is_exhausted(hits, requested)

    def is_exhausted(self, hits: Sequence[SearchHit], requested: int) -> bool:
        """Return whether there are no acceptable rows after `hits`."""
        return len(hits) < requested or hits[-1].similarity < self.request.min_similarity

    def page(self, chosen: Sequence[Result]) -> list[Result]:
        """Return the results of the page, diverse if requested."""
        if not self.request.diversity or not chosen:
            return list(chosen[: self.request.limit])
        vectors = self.load_vectors([one.hit.row_id for one in chosen])
        existing = [one for one in chosen if one.hit.row_id in vectors]
        matrix = np.array([vectors[one.hit.row_id] for one in existing], np.float64)
        similarities = np.array([one.hit.similarity for one in existing])
        order = maximal_marginal_relevance(similarities, matrix, self.request.diversity, self.request.limit)
        return [existing[index] for index in order]

    def _group(self, hits: Sequence[SearchHit], load_keys: LoadGroupKeys) -> list[Result]:
        """Return the best hit of each group. Leaves out groups of which an earlier page has a member."""
        keys = load_keys([hit.row_id for hit in hits])
        groups: dict[object, list[SearchHit]] = {}
        for hit in hits:
            if hit.row_id in keys:
                key = keys[hit.row_id]
                # a row without a value is a group of its own
                groups.setdefault(("row", hit.row_id) if key is None else key, []).append(hit)
        seen = self.cursor.seen_ids
        return [
            Result(members[0], ResultGroup(keys[members[0].row_id], len(members)))
            for members in groups.values()
            if not any(hit.row_id in seen for hit in members)
        ]


def maximal_marginal_relevance(
    similarities: NDArray[np.float64], vectors: NDArray[np.float64], diversity: float, count: int
) -> list[int]:
    """Return the positions of up to `count` items, chosen one after the other (Carbonell and Goldstein, 1998).

    The next item has the highest (1 - diversity) · similarity - diversity · its highest cosine to a chosen one.
    `similarities` is (n,), `vectors` (n, dim) with unit rows. The first item is the most similar one.
    """
    chosen: list[int] = []
    nearest = np.zeros(len(similarities))
    is_left = np.ones(len(similarities), bool)
    while len(chosen) < min(count, len(similarities)):
        scores = (1 - diversity) * similarities - diversity * nearest if chosen else similarities
        best = int(np.argmax(np.where(is_left, scores, -np.inf)))
        cosines = vectors @ vectors[best]
        nearest = np.maximum(nearest, cosines) if chosen else cosines
        is_left[best] = False
        chosen.append(best)
    return chosen
