"""The steps of a search. Only the job row is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import IDENTICAL_SIMILARITY, Calibration, SearchHit, Segment
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.duplicates import DuplicateFilter
from lookalike.usecases.feed_columns import check_feed_columns
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.live_index import IndexInfo, LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.search.cursor import Cursor, decode_cursor, encode_cursor
from lookalike.usecases.search.facets import count_facets
from lookalike.usecases.search.grouping import load_group_keys
from lookalike.usecases.search.matches import Matches, MatchReader
from lookalike.usecases.search.query import Query, QueryReader
from lookalike.usecases.search.ranking import Ranking, Result
from lookalike.usecases.search.request import SearchRequest
from lookalike.usecases.search.result import Match, MatchGroup, SearchResult
from lookalike.usecases.search.selection import Conditions, Selection, select_rows
from lookalike.usecases.search.words import Words, read_words

MAX_ATTEMPTS = 3
"""How often a search is repeated because hits were deleted between the index search and the catalog query."""


@dataclass(frozen=True, slots=True)
class Found:
    """The results of each query vector, with their rows; and the index info."""

    results: list[list[Result]]
    rows: dict[int, Segment]
    index: IndexInfo
    has_more: bool
    """Whether there may be further results, for the next page."""
    examined: int
    """Number of nearest rows examined."""
    is_approximate: bool
    """Whether rows that were not examined can belong to the groups."""


@dataclass(frozen=True, slots=True)
class Search:
    """Search in the live index and in the catalog.

    `load_models` returns the models; it is called only if something has to be detected or embedded. `embedder` is the
    name of their embedder, and `calibration` that embedder's. `cursor_key` signs the cursors of result pages.
    """

    load_models: Callable[[], Models]
    embedder: str
    index: LiveIndex
    store: ObjectStore
    catalog: Catalog
    calibration: Calibration | None = None
    photos: PhotoReader = field(default_factory=PhotoReader)
    cursor_key: bytes = b""

    def search(self, request: SearchRequest, job: RunningJob) -> SearchResult:
        """Return the garments that satisfy all conditions, the most similar to the examples first.

        Raises the same as `check_feed_columns`, `QueryReader.read`, `decode_cursor` and `read_words`, and `Unavailable`
        if the index is not loaded yet.
        """
        check_feed_columns(self.catalog, request.filter, request.scope, "filter")
        check_feed_columns(self.catalog, request.facets, request.scope, "facets")
        fingerprint = request.fingerprint() if request.cursor else ""
        cursor = decode_cursor(request.cursor, fingerprint, self.cursor_key)
        words = read_words(request, self.load_models, self.catalog)
        reader = QueryReader(self.load_models, self.embedder, self.catalog, self.photos, request.scope)
        query = reader.read(request, words.other_examples, job)
        job.enter_stage("searching")
        with stage(Stage.ROWS):
            selection = self._select(request, words)
        ranking = self._make_ranking(request, query, cursor)
        found = self._find(query, ranking, selection, job.cancel_token)
        matches = self._to_matches(found, query)
        duplicate_row_ids = duplicates_across_groups(matches, ranking.duplicates)
        match_reader = MatchReader(self.store, self.catalog)
        matches = match_reader.explain(matches, query, selection, request)
        job.enter_stage("fetching")
        matches = match_reader.add_images(matches, request.include, job.cancel_token)
        return SearchResult(
            [MatchGroup(*pair) for pair in zip(query.detections, matches, strict=True)],
            *query.size,
            found.index,
            duplicate_row_ids,
            words.understood,
            words.ignored,
            count_facets(self.catalog, self.embedder, request.facets, selection, request.scope),
            self._next_cursor(request, cursor, found),
            query.photo_vectors,
            found.is_approximate,
        )

    def _select(self, request: SearchRequest, words: Words) -> Selection:
        """Return the rows that satisfy the conditions of the request, of its words and of its scope."""
        filters = [one for one in (request.scope, request.filter) if one]
        colors = [[request.color]] if request.color else []
        wanted = Conditions([*filters, *words.wanted.filters], words.wanted.texts, [*colors, *words.wanted.colors])
        selection = select_rows(self.catalog, self.embedder, wanted)
        for unwanted in words.unwanted:
            if selection.row_ids is None:
                selection = Selection(self.catalog.matching_row_ids(self.embedder, {}))
            row_ids = select_rows(self.catalog, self.embedder, unwanted).row_ids
            assert row_ids is not None
            selection = selection.without(row_ids)
        return selection

    def _make_ranking(self, request: SearchRequest, query: Query, cursor: Cursor) -> Ranking:
        threshold = self.calibration.duplicate_threshold if self.calibration else IDENTICAL_SIMILARITY
        duplicates = DuplicateFilter(self.catalog, self.embedder, threshold) if request.collapse else None
        excluded = frozenset(one.row_id for one in query.own_segments) if request.exclude_original else frozenset()
        if not len(query.vectors):
            # nothing is compared, so that no similarity can be too low
            request = replace(request, min_similarity=-1.0)
        field = request.group_by
        load_keys = partial(load_group_keys, self.catalog, field, request.scope) if field else None
        return Ranking(request, cursor, excluded, self._load_vectors, load_keys, duplicates)

    def _load_vectors(self, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        with stage(Stage.ROWS):
            return self.catalog.vectors(self.embedder, row_ids)

    def _find(self, query: Query, ranking: Ranking, selection: Selection, cancel: CancelToken) -> Found:
        """Return the results of each query vector with their rows.

        A hit can be deleted before its row is read. The search is then repeated, so that the next best hit replaces it.
        """
        for _ in range(MAX_ATTEMPTS):
            found = self._choose(query, ranking, selection, cancel)
            if all(result.hit.row_id in found.rows for results in found.results for result in results):
                break
        return found

    def _choose(self, query: Query, ranking: Ranking, selection: Selection, cancel: CancelToken) -> Found:
        """Search for twice as many rows until the ranking is satisfied, or its maximum is reached."""
        count = ranking.first_count
        while True:
            hits, info = self._nearest(query, count, selection, cancel)
            chosen = [ranking.choose(one) for one in hits]
            needs_more = any(ranking.needs_more(*pair, count) for pair in zip(hits, chosen, strict=True))
            if not needs_more or count >= ranking.max_count:
                break
            count = min(2 * count, ranking.max_count)
        pages = [ranking.page(one) for one in chosen]
        is_exhausted = ranking.is_exhausted(hits[0], count)
        has_more = len(chosen[0]) > len(pages[0]) or not is_exhausted
        with stage(Stage.ROWS):
            rows = self.catalog.segments(sorted({one.hit.row_id for page in pages for one in page}))
        return Found(pages, rows, info, has_more, count, bool(ranking.request.group_by) and not is_exhausted)

    def _nearest(
        self, query: Query, count: int, selection: Selection, cancel: CancelToken
    ) -> tuple[list[list[SearchHit]], IndexInfo]:
        """Return the nearest selected rows of each query vector, or without vectors the first rows in their order."""
        if len(query.vectors):
            return self.index.search(query.vectors, count, cancel, selection.row_ids)
        cancel.check()
        # similarities that fall with the color distance, so that diverse results can be chosen from them
        row_ids = selection.ordered_ids()[:count].tolist()
        listed = [SearchHit(row_id, 1 - (selection.color_distance(row_id) or 0.0) / 100) for row_id in row_ids]
        return [listed], self.index.warm_up()

    def _to_matches(self, found: Found, query: Query) -> Matches:
        is_listing = not len(query.vectors)
        calibration = self.calibration if query.is_calibrated and not is_listing else None
        return [
            [
                Match(
                    found.rows[one.hit.row_id],
                    None if is_listing else one.hit.similarity,
                    calibration.match_probability(one.hit.similarity) if calibration else None,
                    group=one.group,
                )
                for one in results
                if one.hit.row_id in found.rows
            ]
            for results in found.results
        ]

    def _next_cursor(self, request: SearchRequest, cursor: Cursor, found: Found) -> str | None:
        """Return the cursor of the next page, `None` on the last one and for segmented photos, which have no pages."""
        if request.segment or not request.has_pages or not found.has_more:
            return None
        on_page = frozenset(one.hit.row_id for one in found.results[0])
        # without results on this page, the next one has to look further
        examined = cursor.examined if on_page else found.examined
        return encode_cursor(Cursor(cursor.seen_ids | on_page, examined), request.fingerprint(), self.cursor_key)


def duplicates_across_groups(matches: Matches, duplicates: DuplicateFilter | None) -> frozenset[int]:
    """Return the row ids of matches that duplicate a better match of another group.

    `Ranking` has already removed duplicates within each group.
    """
    if duplicates is None or len(matches) < 2:
        return frozenset()
    hits = {SearchHit(match.segment.row_id, match.similarity or 0.0) for group in matches for match in group}
    return duplicates.duplicate_row_ids(sorted(hits, key=lambda hit: -hit.similarity))
