"""A photo comes in, the most similar stored garments come out. Nothing is stored but the job."""

import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import NotFound
from lookalike.domain.filter import Filter
from lookalike.domain.model import (
    IDENTICAL_SIMILARITY,
    Box,
    Calibration,
    Detection,
    ProductDetails,
    SearchHit,
    Segment,
    Vectors,
)
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.usecases import segment_images
from lookalike.usecases.duplicates import DuplicateFilter
from lookalike.usecases.explanation import (
    Explanation,
    QueryGarment,
    details_for,
    details_keys,
    garment_color,
    known_product_details,
    required_values,
)
from lookalike.usecases.jobs import RunningJob
from lookalike.usecases.live_index import IndexInfo, LiveIndex
from lookalike.usecases.models import Models, whole_photo_detection
from lookalike.usecases.thread_pool import map_concurrently
from lookalike.usecases.upload import sha256_hex

log = logging.getLogger("lookalike.search")
MAX_ATTEMPTS = 3
MAX_SIDE = 1500
"""Pixels of each side that garments are looked for in: a larger JPEG is not decoded in full, since nothing of it is stored."""
MAX_CANDIDATES = 4096
"""Garments, nearest first, among which those are looked for that are wanted: 32 MB of vectors where copies are told apart."""


class Include(StrEnum):
    """What of each match's picture comes with the answer."""

    IMAGE = "image"
    THUMBNAIL = "thumbnail"
    URL = "url"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Match:
    """A stored garment, its cosine similarity to the query, what both have in common, and its picture as `include` asked.

    `match`: the chance, 0 to 1, that it is the same garment; none where nobody has measured what similarities mean.
    `details`: what its shop says, where that was asked for.
    """

    segment: Segment
    similarity: float
    match_probability: float | None = None
    explanation: Explanation = field(default_factory=Explanation)
    details: ProductDetails | None = None
    image_fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MatchGroup:
    """The matches of one garment of the query, best first."""

    garment: Detection
    matches: list[Match]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search answers: one group for the whole photo, or one a garment; size of the upright photo.

    `copies`: rows that are left out where the groups come together, being of a picture that another match shows.
    """

    groups: list[MatchGroup]
    width: int
    height: int
    index: IndexInfo
    duplicate_row_ids: frozenset[int] = frozenset()

    def best_matches(self, num: int) -> list[Match]:
        """The `num` most similar of all groups, each garment once."""
        ordered = sorted((one for group in self.groups for one in group.matches), key=lambda one: -one.similarity)
        first: dict[int, Match] = {}
        for one in ordered:
            if one.segment.row_id not in self.duplicate_row_ids:
                first.setdefault(one.segment.row_id, one)
        return list(first.values())[:num]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is asked of a search: with `segment`, for each garment found, else for the whole photo.

    Only garments that fulfil the filter are searched, so that it never leaves fewer than there are. `exclude_original`
    leaves out those of the very photo that is asked with, and `collapse` all but one of those that are copies of one picture:
    where the nearest `LOOKED_AT` are copies of fewer pictures than are wanted, there are fewer.
    """

    num: int = 5
    segment: bool = False
    include: Include = Include.IMAGE
    min_similarity: float = -1.0
    filter: Filter = field(default_factory=dict)
    exclude_original: bool = False
    collapse: bool = False
    include_details: bool = False


@dataclass(frozen=True, slots=True)
class HitSelector:
    """Which hits are wanted. `without`: rows that are not; `copies` tells those of one picture, of which one is."""

    request: SearchRequest
    excluded_ids: frozenset[int]
    duplicates: DuplicateFilter | None

    def select(self, hits: Sequence[SearchHit]) -> list[SearchHit]:
        """Those of the hits, best first, that are wanted."""
        least, num = self.request.min_similarity, self.request.num
        good = [hit for hit in hits if hit.row_id not in self.excluded_ids and hit.similarity >= least]
        return self.duplicates.deduplicate(good, num) if self.duplicates else good[:num]

    def needs_more(self, hits: Sequence[SearchHit], left: Sequence[SearchHit], asked: int) -> bool:
        """Whether some that are further away could be wanted still."""
        ended = len(hits) < asked or hits[-1].similarity < self.request.min_similarity
        return len(left) < self.request.num and not ended


@dataclass(frozen=True, slots=True)
class Search:
    models: Models
    index: LiveIndex
    store: ObjectStore
    catalog: Catalog
    calibration: Calibration | None = None
    """Of the models' embedder."""

    def search(self, data: bytes, request: SearchRequest, job: RunningJob) -> SearchResult:
        """Raises what `images.read_image` raises."""
        job.enter_stage("reading")
        picture, size = images.read_image(data, MAX_SIDE), images.upright_size(data)
        garments = self._garments(picture, request.segment, job)
        job.enter_stage("embedding")
        cut_outs = [one.cut_out(picture) for one in garments]
        vectors = self.models.embed(cut_outs, job.cancel)
        job.enter_stage("searching")
        own = self.catalog.row_ids_of_photo_hash(sha256_hex(data))
        choice = self._choice(request, own)
        matches, info = self._living(vectors, choice, job.cancel)
        asked = [QueryGarment(one.label, garment_color(one, cut)) for one, cut in zip(garments, cut_outs, strict=True)]
        explained = self._explained(asked, matches, own, request)
        job.enter_stage("fetching")
        shown = self._shown(explained, request.include, job.cancel)
        seen = [_in_photo(one, picture.size, size) for one in garments]
        groups = [MatchGroup(garment, found) for garment, found in zip(seen, shown, strict=True)]
        return SearchResult(groups, *size, info, duplicates_across_groups(matches, choice.duplicates))

    def _garments(self, picture: Image.Image, segment: bool, work: RunningJob) -> list[Detection]:
        if not segment:
            return [whole_photo_detection(picture)]
        work.enter_stage("detecting")
        return self.models.detect(picture, work.cancel) or [whole_photo_detection(picture)]

    def _choice(self, question: SearchRequest, own: frozenset[int]) -> HitSelector:
        bound = self.calibration.duplicate_threshold if self.calibration else IDENTICAL_SIMILARITY
        copies = DuplicateFilter(self.catalog, self.models.embedder, bound) if question.collapse else None
        return HitSelector(question, own if question.exclude_original else frozenset(), copies)

    def _living(
        self, vectors: Vectors, choice: HitSelector, cancel: CancelToken
    ) -> tuple[list[list[Match]], IndexInfo]:
        """The matches with their rows. What is deleted in the meantime is asked for anew, not missing."""
        for _ in range(MAX_ATTEMPTS):
            near, info = self._nearest(vectors, choice, cancel)
            rows = self.catalog.segments(sorted({hit.row_id for some in near for hit in some}))
            if all(hit.row_id in rows for some in near for hit in some):
                break
        return [self._joined(some, rows) for some in near], info

    def _nearest(
        self, vectors: Vectors, choice: HitSelector, cancel: CancelToken
    ) -> tuple[list[list[SearchHit]], IndexInfo]:
        """More are asked for than are wanted, until enough are left."""
        wanted = choice.request.filter
        among = self.catalog.matching_row_ids(self.models.embedder, wanted) if wanted else None
        count = choice.request.num + len(choice.excluded_ids)
        while True:
            hits, info = self.index.search(vectors, count, cancel, among)
            left = [choice.select(some) for some in hits]
            enough = not any(choice.needs_more(*pair, count) for pair in zip(hits, left, strict=True))
            if enough or count >= MAX_CANDIDATES:
                return left, info
            count = min(2 * count, MAX_CANDIDATES)

    def _joined(self, hits: Sequence[SearchHit], rows: dict[int, Segment]) -> list[Match]:
        curve = self.calibration
        return [
            Match(rows[hit.row_id], hit.similarity, curve.match_probability(hit.similarity) if curve else None)
            for hit in hits
            if hit.row_id in rows
        ]

    def _explained(
        self,
        asked: Sequence[QueryGarment],
        matches: Sequence[Sequence[Match]],
        own: frozenset[int],
        question: SearchRequest,
    ) -> list[list[Match]]:
        """The matches with what each has in common with the garment that was asked with, and with what shops say of them."""
        found, wanted = [one.segment for some in matches for one in some], question.filter
        stored = list(self.catalog.segments(sorted(own)).values()) if found and own else []
        is_needed = found and (stored or required_values(wanted) or question.include_details)
        said = self.catalog.details(details_keys([*stored, *found])) if is_needed else {}
        queries = [replace(one, known_details=known_product_details(stored, said, wanted)) for one in asked]
        shown = said if question.include_details else {}
        return [
            [
                replace(one, explanation=query.explain(one.segment, said), details=details_for(one.segment, shown))
                for one in some
            ]
            for query, some in zip(queries, matches, strict=True)
        ]

    def _shown(self, matches: Sequence[Sequence[Match]], include: Include, cancel: CancelToken) -> list[list[Match]]:
        segments = {one.segment.row_id: one.segment for some in matches for one in some}
        fetched = map_concurrently(lambda one: self._picture(one, include, cancel), list(segments.values()))
        known = dict(zip(segments, fetched, strict=True))
        return [
            [replace(one, image_fields=picture) for one in some if (picture := known[one.segment.row_id]) is not None]
            for some in matches
        ]

    def _picture(self, segment: Segment, include: Include, cancel: CancelToken) -> dict[str, str] | None:
        """None where the garment was deleted between its row and its picture."""
        cancel.check()
        try:
            return self._fetched(segment, include)
        except NotFound:
            if self.catalog.segment(segment.row_id) is not None:
                log.error("%s has a row, but no picture", segment.path)
            return None

    def _fetched(self, segment: Segment, include: Include) -> dict[str, str]:
        match include:
            case Include.IMAGE:
                return {"processed_image_base64": _text(segment_images.load_image(self.store, self.catalog, segment))}
            case Include.THUMBNAIL:
                return {"thumbnail_base64": _text(segment_images.load_thumbnail(self.store, self.catalog, segment))}
            case Include.URL:
                return segment_images.image_urls(self.store, segment)
            case Include.NONE:
                return {}


def duplicates_across_groups(matches: Sequence[Sequence[Match]], copies: DuplicateFilter | None) -> frozenset[int]:
    """The rows whose picture a better match of another group shows: within a group none does."""
    if copies is None or len(matches) < 2:
        return frozenset()
    hits = {SearchHit(one.segment.row_id, one.similarity) for some in matches for one in some}
    return copies.duplicate_row_ids(sorted(hits, key=lambda hit: -hit.similarity))


def _in_photo(garment: Detection, looked: tuple[int, int], size: tuple[int, int]) -> Detection:
    """What was found in a smaller picture of the photo, in pixels of the photo."""
    wide, high, box = size[0] / looked[0], size[1] / looked[1], garment.box
    return replace(garment, box=Box(box.x1 * wide, box.y1 * high, box.x2 * wide, box.y2 * high))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
