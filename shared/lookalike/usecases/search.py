"""Search: embeds a query photo and returns the most similar garments. Only the job row is written."""

import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray
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
from lookalike.domain.stage_times import Stage, stage
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
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.thread_pool import map_concurrently, start_call
from lookalike.usecases.upload import sha256_hex

log = logging.getLogger("lookalike.search")
MAX_ATTEMPTS = 3
"""How often a search is repeated because hits were deleted between the index search and the catalog query."""
MIN_DECODED_SIDE = 1500
"""Sides in pixels down to which a larger JPEG may be scaled while decoding. Uploads are always decoded in full."""
MAX_CANDIDATES = 4096
"""Maximum number of nearest rows examined for one query. Duplicate detection loads their vectors, about 32 MB."""


class Include(StrEnum):
    """Form in which the response contains the image of each match."""

    IMAGE = "image"
    THUMBNAIL = "thumbnail"
    URL = "url"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Match:
    """A stored segment that is similar to a query garment."""

    segment: Segment
    similarity: float
    """Cosine similarity, -1 to 1."""
    match_probability: float | None = None
    """Probability, 0 to 1, that both are the same garment. `None` if the embedder has no calibration."""
    explanation: Explanation = field(default_factory=Explanation)
    details: ProductDetails | None = None
    """Product details, if requested and known."""
    image_fields: dict[str, str] = field(default_factory=dict)
    """Response fields with the image, in the form that `Include` selects."""


@dataclass(frozen=True, slots=True)
class MatchGroup:
    """The matches of one query garment, best first. Its box is in pixels of the original upright photo."""

    garment: Detection
    matches: list[Match]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One group for each query garment, or one for the whole photo; and the size of the upright photo in pixels."""

    groups: list[MatchGroup]
    width: int
    height: int
    index: IndexInfo
    duplicate_row_ids: frozenset[int] = frozenset()
    """Rows that duplicate a better match of another group. `best_matches` leaves them out."""

    def best_matches(self, num: int) -> list[Match]:
        """Return the `num` most similar matches of all groups, each segment once."""
        matches = [match for group in self.groups for match in group.matches]
        best: dict[int, Match] = {}
        for match in sorted(matches, key=lambda match: -match.similarity):
            if match.segment.row_id not in self.duplicate_row_ids:
                best.setdefault(match.segment.row_id, match)
        return list(best.values())[:num]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Parameters of a search. The fields have the names of the API."""

    num: int = 5
    """Maximum number of matches of each query garment."""
    segment: bool = False
    """Whether to detect garments and search for each. Otherwise the whole photo is the query."""
    include: Include = Include.IMAGE
    min_similarity: float = -1.0
    filter: Filter = field(default_factory=dict)
    """Applied before the search, so that a strict filter does not reduce the number of matches."""
    exclude_original: bool = False
    """Whether to leave out garments of the query photo itself, if it was uploaded."""
    collapse: bool = False
    """Whether to return only one of several duplicate images.

    There can be fewer than `num` matches if the nearest `MAX_CANDIDATES` rows contain fewer different images.
    """
    include_details: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class QueryPhoto:
    """The garments of a query photo.

    `size` is that of the upright photo in pixels. `detections` have their boxes in these pixels, and a row each in
    `vectors` (n, dim) and `garments`.
    """

    size: tuple[int, int]
    detections: list[Detection]
    vectors: Vectors
    garments: list[QueryGarment]


@dataclass(frozen=True, slots=True)
class HitSelector:
    """Applies the parts of a search request that the index cannot: exclusion, minimum similarity and duplicates."""

    request: SearchRequest
    excluded_ids: frozenset[int]
    """Row ids that must not be returned."""
    duplicates: DuplicateFilter | None
    """Set if duplicates are to be removed."""

    def select(self, hits: Sequence[SearchHit]) -> list[SearchHit]:
        """Return the first `num` acceptable hits. `hits` are ordered by similarity, best first."""
        minimum, num = self.request.min_similarity, self.request.num
        acceptable = [hit for hit in hits if hit.row_id not in self.excluded_ids and hit.similarity >= minimum]
        return self.duplicates.deduplicate(acceptable, num) if self.duplicates else acceptable[:num]

    def needs_more(self, hits: Sequence[SearchHit], selected: Sequence[SearchHit], requested: int) -> bool:
        """Return whether a search for more than `requested` hits could yield further acceptable ones."""
        is_exhausted = len(hits) < requested or hits[-1].similarity < self.request.min_similarity
        return len(selected) < self.request.num and not is_exhausted


@dataclass(frozen=True, slots=True)
class Search:
    """Similarity search in the live index."""

    models: Models
    index: LiveIndex
    store: ObjectStore
    catalog: Catalog
    calibration: Calibration | None = None
    """Calibration of the models' embedder."""
    photos: PhotoReader = field(default_factory=PhotoReader)

    def search(self, data: bytes, request: SearchRequest, job: RunningJob) -> SearchResult:
        """Search with an encoded photo.

        Raises the same as `images.read_image` and `Models.detect`, and `Unavailable` if the index is not loaded yet.
        """
        # Rows of the query photo itself, if the same file was uploaded before. Read while the models compute.
        own_rows = start_call(self.catalog.row_ids_of_photo_hash, sha256_hex(data))
        query = self._embed_photo(data, request.segment, job)
        job.enter_stage("searching")
        with stage(Stage.ROWS):
            own_row_ids = own_rows.result()
        selector = self._make_selector(request, own_row_ids)
        groups, info = self._find_matches(query.vectors, selector, job.cancel_token)
        duplicate_row_ids = duplicates_across_groups(groups, selector.duplicates)
        groups = self._explain(query.garments, groups, own_row_ids, request)
        job.enter_stage("fetching")
        groups = self._add_images(groups, request.include, job.cancel_token)
        match_groups = [MatchGroup(*pair) for pair in zip(query.detections, groups, strict=True)]
        return SearchResult(match_groups, *query.size, info, duplicate_row_ids)

    def _embed_photo(self, data: bytes, segment: bool, job: RunningJob) -> "QueryPhoto":
        """Detect and embed the garments of the query photo, or the whole photo without `segment`."""
        job.enter_stage("reading")
        size = images.upright_size(data)
        with self.photos.open_photo(data, job.cancel_token, MIN_DECODED_SIDE) as image:
            detections = self._detect(image, segment, job)
            job.enter_stage("embedding")
            cut_outs = [detection.cut_out(image) for detection in detections]
            vectors = self.models.embed(cut_outs, job.cancel_token)
            pairs = zip(detections, cut_outs, strict=True)
            garments = [
                QueryGarment(detection.label, garment_color(detection, cut_out)) for detection, cut_out in pairs
            ]
            return QueryPhoto(size, [_scale_box(one, image.size, size) for one in detections], vectors, garments)

    def _detect(self, image: Image.Image, segment: bool, job: RunningJob) -> list[Detection]:
        if not segment:
            return [whole_photo_detection(image)]
        job.enter_stage("detecting")
        return self.models.detect(image, job.cancel_token) or [whole_photo_detection(image)]

    def _make_selector(self, request: SearchRequest, own_row_ids: frozenset[int]) -> HitSelector:
        threshold = self.calibration.duplicate_threshold if self.calibration else IDENTICAL_SIMILARITY
        duplicates = DuplicateFilter(self.catalog, self.models.embedder, threshold) if request.collapse else None
        return HitSelector(request, own_row_ids if request.exclude_original else frozenset(), duplicates)

    def _find_matches(
        self, vectors: Vectors, selector: HitSelector, cancel: CancelToken
    ) -> tuple[list[list[Match]], IndexInfo]:
        """Return the matches of each query vector with their rows.

        A hit can be deleted before its row is read. The search is then repeated, so that the next best hit replaces it.
        """
        for _ in range(MAX_ATTEMPTS):
            groups, info = self._find_hits(vectors, selector, cancel)
            with stage(Stage.ROWS):
                rows = self.catalog.segments(sorted({hit.row_id for hits in groups for hit in hits}))
            if all(hit.row_id in rows for hits in groups for hit in hits):
                break
        return [self._to_matches(hits, rows) for hits in groups], info

    def _find_hits(
        self, vectors: Vectors, selector: HitSelector, cancel: CancelToken
    ) -> tuple[list[list[SearchHit]], IndexInfo]:
        """Return the selected hits of each query vector.

        Searches for twice as many hits until the selector is satisfied, or `MAX_CANDIDATES` is reached.
        """
        wanted = selector.request.filter
        allowed_ids: NDArray[np.int64] | None = None
        if wanted:
            with stage(Stage.ROWS):
                allowed_ids = self.catalog.matching_row_ids(self.models.embedder, wanted)
        # Even if all excluded rows are among the nearest, enough others remain.
        count = selector.request.num + len(selector.excluded_ids)
        while True:
            groups, info = self.index.search(vectors, count, cancel, allowed_ids)
            selected = [selector.select(hits) for hits in groups]
            is_satisfied = not any(selector.needs_more(*pair, count) for pair in zip(groups, selected, strict=True))
            if is_satisfied or count >= MAX_CANDIDATES:
                return selected, info
            count = min(2 * count, MAX_CANDIDATES)

    def _to_matches(self, hits: Sequence[SearchHit], rows: dict[int, Segment]) -> list[Match]:
        calibration = self.calibration
        return [
            Match(
                rows[hit.row_id],
                hit.similarity,
                calibration.match_probability(hit.similarity) if calibration else None,
            )
            for hit in hits
            if hit.row_id in rows
        ]

    def _explain(
        self,
        garments: Sequence[QueryGarment],
        groups: Sequence[Sequence[Match]],
        own_row_ids: frozenset[int],
        request: SearchRequest,
    ) -> list[list[Match]]:
        """Add explanations and, if requested, product details to the matches."""
        found = [match.segment for matches in groups for match in matches]
        with stage(Stage.ROWS):
            own = list(self.catalog.segments(sorted(own_row_ids)).values()) if found and own_row_ids else []
            # The details are read in one query, and only if they can change the response.
            needs_details = found and (own or required_values(request.filter) or request.include_details)
            details = self.catalog.details(details_keys([*own, *found])) if needs_details else {}
        included = details if request.include_details else {}
        known_details = known_product_details(own, details, request.filter)
        queries = [replace(garment, known_details=known_details) for garment in garments]
        return [
            [
                replace(
                    match,
                    explanation=query.explain(match.segment, details),
                    details=details_for(match.segment, included),
                )
                for match in matches
            ]
            for query, matches in zip(queries, groups, strict=True)
        ]

    def _add_images(
        self, groups: Sequence[Sequence[Match]], include: Include, cancel: CancelToken
    ) -> list[list[Match]]:
        """Add the image fields. Leaves out matches whose image does not exist."""
        segments = {match.segment.row_id: match.segment for matches in groups for match in matches}
        load = partial(self._load, include=include, cancel=cancel)
        # reading a local file takes less time than handing it to a thread
        is_remote = self.store.is_remote
        loaded = map_concurrently(load, list(segments.values())) if is_remote else list(map(load, segments.values()))
        fields_by_row = dict(zip(segments, loaded, strict=True))
        return [
            [
                replace(match, image_fields=fields)
                for match in matches
                if (fields := fields_by_row[match.segment.row_id]) is not None
            ]
            for matches in groups
        ]

    def _load(self, segment: Segment, include: Include, cancel: CancelToken) -> dict[str, str] | None:
        cancel.check()
        try:
            return self._image_fields(segment, include)
        except NotFound:
            # A concurrent deletion is normal. A row without an object is data loss, which an operator must see.
            if self.catalog.segment(segment.row_id) is not None:
                log.error("A row has no image in the store", extra={"row_id": segment.row_id, "path": segment.path})
            return None

    def _image_fields(self, segment: Segment, include: Include) -> dict[str, str]:
        match include:
            case Include.IMAGE:
                image = segment_images.load_image(self.store, self.catalog, segment)
                return {"processed_image_base64": base64.b64encode(image).decode()}
            case Include.THUMBNAIL:
                thumbnail = segment_images.load_thumbnail(self.store, self.catalog, segment)
                return {"thumbnail_base64": base64.b64encode(thumbnail).decode()}
            case Include.URL:
                return segment_images.image_urls(self.store, segment)
            case Include.NONE:
                return {}


def duplicates_across_groups(groups: Sequence[Sequence[Match]], duplicates: DuplicateFilter | None) -> frozenset[int]:
    """Return the row ids of matches that duplicate a better match of another group.

    `HitSelector` has already removed duplicates within each group.
    """
    if duplicates is None or len(groups) < 2:
        return frozenset()
    hits = {SearchHit(match.segment.row_id, match.similarity) for matches in groups for match in matches}
    return duplicates.duplicate_row_ids(sorted(hits, key=lambda hit: -hit.similarity))


def _scale_box(detection: Detection, from_size: tuple[int, int], to_size: tuple[int, int]) -> Detection:
    """Convert a box from the image as it was decoded to pixels of the photo in full size."""
    x_scale, y_scale, box = to_size[0] / from_size[0], to_size[1] / from_size[1], detection.box
    return replace(detection, box=Box(box.x1 * x_scale, box.y1 * y_scale, box.x2 * x_scale, box.y2 * y_scale))
