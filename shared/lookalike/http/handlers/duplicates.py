"""Handlers that list, decide and merge duplicates."""

from functools import partial
from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.duplicates import Decision, DuplicateGroup
from lookalike.domain.errors import NotFound
from lookalike.domain.model import Segment
from lookalike.http.duplicate_schemas import DecisionRequest, DuplicatesRequest, PairRequest
from lookalike.http.handlers.erasure import receipt_response
from lookalike.http.handlers.responses import encode_base64, segment_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.usecases.duplicate_review import DuplicatePage
from lookalike.usecases.segment_images import image_urls, load_thumbnail
from lookalike.usecases.thread_pool import map_concurrently


def list_duplicates(services: Services, request: ApiRequest) -> HandlerResult:
    """List garments that are copies of each other.

    Pairs are as similar as copies of the same picture that were resized or compressed again. Groups are pairs that have
    a garment in common. A page examines garments for at most ten seconds, so it can be short before the last one.
    """
    body = request.parse_body(DuplicatesRequest)
    page = services.duplicates.list_groups(body.state, body.limit, body.cursor)
    images = _load_images(services, page, body.include)
    data = [_group_response(group, page, images) for group in page.groups]
    count = f"{len(data)} group{'s' * (len(data) != 1)}"
    more = {"threshold": services.duplicates.threshold, "next_cursor": page.next_cursor}
    return {"success": True, "message": count, "data": data, **more}


def decide_duplicate(services: Services, request: ApiRequest) -> HandlerResult:
    """Decide whether two garments are copies.

    The decision stays until one of them is deleted. A pair that was rejected is not listed again.
    """
    body = request.parse_body(DecisionRequest)
    decision = None if body.decision == "open" else Decision(body.decision)
    one, other = map(str, body.garments)
    first, second = services.duplicates.decide(one, other, decision)
    return {"success": True, "message": f"{first.name} and {second.name}: {body.decision}"}


def merge_duplicates(services: Services, request: ApiRequest) -> HandlerResult:
    """Merge an accepted pair.

    Keeps the garment with the better picture: the larger one, or of similar sizes the sharper one. References to the
    other one then refer to it: product details if it has none, search histories, products and the ledger. The other
    one is erased.
    """
    body = request.parse_body(PairRequest)
    merge = services.duplicates.merge(*map(str, body.garments))
    message = f"Kept {merge.kept.name} and deleted {merge.merged.name}"
    return receipt_response(merge.receipt, message, kept=merge.kept.name, moved=merge.moved)


def _load_images(services: Services, page: DuplicatePage, include: str) -> dict[int, dict[str, str]]:
    load = partial(_image_fields, services, include=include)
    segments = list(page.segments.values())
    fields = map_concurrently(load, segments) if services.store.is_remote else list(map(load, segments))
    return dict(zip(page.segments, fields, strict=True))


def _image_fields(services: Services, segment: Segment, include: str) -> dict[str, str]:
    if include == "url":
        return image_urls(services.store, segment)
    if include == "none":
        return {}
    try:
        return {"thumbnail_base64": encode_base64(load_thumbnail(services.store, services.catalog, segment))}
    except NotFound:
        # `lookalike report` lists missing pictures
        return {}


def _group_response(group: DuplicateGroup, page: DuplicatePage, images: dict[int, dict[str, str]]) -> dict[str, Any]:
    garments = [segment_response(page.segments[row_id]) | images[row_id] for row_id in group.row_ids]
    pairs = [
        {"garments": [*pair.row_ids], "similarity": round(pair.similarity, 6), "decision": pair.decision}
        for pair in group.pairs
    ]
    return {"garments": garments, "pairs": pairs}
