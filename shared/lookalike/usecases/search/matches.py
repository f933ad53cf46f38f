"""Reads what a response says about the chosen rows: product details, explanations and images."""

import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import NotFound
from lookalike.domain.filter import Filter, feed_conditions
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.product import Offer
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases import segment_images
from lookalike.usecases.explanation import details_for, details_keys, known_product_details, required_values
from lookalike.usecases.search.query import Query
from lookalike.usecases.search.request import Include, SearchRequest
from lookalike.usecases.search.result import Match
from lookalike.usecases.search.selection import Selection
from lookalike.usecases.thread_pool import map_concurrently

log = logging.getLogger("lookalike.search")
Matches = list[list[Match]]
"""The matches of each query vector."""


@dataclass(frozen=True, slots=True)
class MatchReader:
    """Completes matches with data of the catalog and of the object store."""

    store: ObjectStore
    catalog: Catalog

    def explain(self, matches: Matches, query: Query, selection: Selection, request: SearchRequest) -> Matches:
        """Add explanations and, if requested, product details and prices to the matches."""
        found = [match.segment for group in matches for match in group]
        own = query.wanted_segments if found else []
        # The details are read in one query, and only if they can change the response.
        needs_details = found and (own or required_values(request.filter) or request.include_details)
        with stage(Stage.ROWS):
            details = self.catalog.details(details_keys([*own, *found])) if needs_details else {}
            offers = self._offers(found, request.scope) if request.include_details else {}
        included = details if request.include_details else {}
        known_details = known_product_details(own, details, request.filter)
        garments = [replace(garment, known_details=known_details) for garment in query.garments]
        return [
            [
                replace(
                    match,
                    explanation=replace(
                        garment.explain(match.segment, details),
                        color_distance=selection.color_distance(match.segment.row_id),
                    ),
                    details=details_for(match.segment, included),
                    offer=offers.get(match.segment.name),
                )
                for match in group
            ]
            for garment, group in zip(garments, matches, strict=True)
        ]

    def _offers(self, segments: Sequence[Segment], scope: Filter) -> dict[str, Offer]:
        """Return what the products that are visible in the scope cost, by the name of the segment that shows one."""
        products = self.catalog.product_ids([segment.name for segment in segments], feed_conditions(scope))
        offers = self.catalog.offers(sorted(set(products.values()))) if products else {}
        return {name: offers[product] for name, product in products.items() if product in offers}

    def add_images(self, matches: Matches, include: Include, cancel: CancelToken) -> Matches:
        """Add the image fields. Leaves out matches whose image does not exist."""
        segments = {match.segment.row_id: match.segment for group in matches for match in group}
        load = partial(self._load, include=include, cancel=cancel)
        # reading a local file takes less time than handing it to a thread
        is_remote = self.store.is_remote
        loaded = map_concurrently(load, list(segments.values())) if is_remote else list(map(load, segments.values()))
        fields_by_row = dict(zip(segments, loaded, strict=True))
        return [
            [
                replace(match, image_fields=fields)
                for match in group
                if (fields := fields_by_row[match.segment.row_id]) is not None
            ]
            for group in matches
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
