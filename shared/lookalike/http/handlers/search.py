"""Handlers of the search."""

from dataclasses import asdict, replace
from typing import Any

from lookalike import images
from lookalike.bootstrap import Services
from lookalike.domain.color import parse_hex
from lookalike.domain.errors import InvalidField, Unauthenticated
from lookalike.domain.model import Box
from lookalike.http.handlers.responses import group_response, match_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, RelayRequest
from lookalike.http.search_schemas import SearchBody, SearchExample
from lookalike.usecases.search import (
    ColorCondition,
    GarmentExample,
    PhotoExample,
    SearchRequest,
    SearchResult,
    TextExample,
)
from lookalike.usecases.search.request import Example

SHARED_OPTIONS = {
    "segment",
    "include",
    "min_similarity",
    "exclude_original",
    "collapse",
    "include_details",
}
"""Fields that have the same name in `SearchRequest` and in both request schemas."""


def relay_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Find the stored garments that are most similar to a photo.

    With `segment`, the garments in the photo are detected, and the response has a group of matches for each. Otherwise
    the whole photo is the query, or the part of it in `bounding_box`. The searches of signed-in users are added to their
    search history, with the vectors of the photo, but without the photo.
    """
    body = request.parse_body(RelayRequest)
    box = Box(*body.bounding_box) if body.bounding_box else None
    search_request = SearchRequest(
        [PhotoExample(request.read_image(body), box)],
        limit=body.num,
        has_pages=False,
        filter=body.conditions(),
        **body.model_dump(include=SHARED_OPTIONS),
    )
    # The photo is never stored.
    fields = {"num", "segment", "min_similarity", "filter", "bounding_box"}
    result = _run(
        services, request, search_request, body.model_dump(mode="json", include=fields, exclude_defaults=True)
    )
    return {
        "success": True,
        "results": [match_response(match) for match in result.best_matches(body.num)],
        **_groups(body.segment, result),
        "width": result.width,
        "height": result.height,
        "index": _index_info(services, result),
    }


def search(services: Services, request: ApiRequest) -> HandlerResult:
    """Search by stored garments, photos, parts of photos, words and colors, together or alone.

    Examples with a negative weight push the results away. Words become conditions if the server's embedder has no text
    encoder; `understood` and `ignored` tell what became of each word. Send JSON, or a form with the JSON in the part
    `request` and the photos as files that `image` names. The searches of signed-in users are added to their search
    history, with the vectors of the photos, but without the photos; `search` uses such a vector again.
    """
    body = request.parse_body(SearchBody)
    search_request = SearchRequest(
        [_to_example(services, request, number, example) for number, example in enumerate(body.query)],
        filter=body.conditions(),
        color=ColorCondition(parse_hex(body.color.near), body.color.within) if body.color else None,
        words_as_conditions=body.text_as == "attributes",
        **body.model_dump(include={*SHARED_OPTIONS, "limit", "group_by", "diversity", "facets", "cursor"}),
    )
    result = _run(services, request, search_request, _history_fields(body))
    return {
        "success": True,
        "search_id": request.request_id,
        "results": [match_response(match) for match in result.best_matches(body.limit)],
        **_groups(body.segment, result),
        **({"width": result.width, "height": result.height} if body.segment else {}),
        "understood": [{"text": one.text, "as": one.field, "value": one.value} for one in result.understood],
        "ignored": list(result.ignored),
        "facets": {name: [asdict(value) for value in values] for name, values in result.facets.items()},
        **({"approximate": True} if result.is_approximate else {}),
        "next_cursor": result.next_cursor,
        "index": _index_info(services, result),
    }


def _run(
    services: Services, request: ApiRequest, search_request: SearchRequest, history_fields: dict[str, Any]
) -> SearchResult:
    """Run the search as a job, and save it in the history of a signed-in user."""
    with services.jobs.run_read_only_job("search", request.caller, request.request_id, request.is_new_id) as job:
        result = services.search.search(replace(search_request, scope=request.caller.scope), job)
    if request.caller.user is not None:
        services.history.save_search(request.caller.user, request.request_id, history_fields, result)
    return result


def _to_example(services: Services, request: ApiRequest, number: int, example: SearchExample) -> Example:
    prefix = f"query[{number}]."
    if example.id is not None:
        return GarmentExample(example.id, example.weight, prefix)
    if example.text is not None:
        return TextExample(example.text, example.weight, prefix)
    if example.search is not None:
        return _read_past_search(services, request, example.search, example, prefix)
    box = Box(*example.bounding_box) if example.bounding_box else None
    return PhotoExample(_read_photo(services, request, example, prefix), box, example.weight, prefix)


def _read_past_search(
    services: Services, request: ApiRequest, search_id: str, example: SearchExample, prefix: str
) -> Example:
    if request.caller.user is None:
        raise Unauthenticated(f"{prefix}search: sign in to use one of your past searches", field=f"{prefix}search")
    return services.history.photo_example(
        request.caller.user, search_id, example.garment or 0, example.weight, field_prefix=prefix
    )


def _read_photo(services: Services, request: ApiRequest, example: SearchExample, prefix: str) -> bytes:
    """Return the photo of an example: from base64, from a file of the form, or from the bucket."""
    if example.image_base64 is not None:
        return images.decode_base64(example.image_base64, f"{prefix}image_base64")
    assert example.image is not None
    if example.image.startswith("gs://"):
        return services.photo_objects.read(example.image, f"{prefix}image", request.caller.scope)
    if example.image not in request.body.files:
        name = f"{prefix}image"
        raise InvalidField(f"{name}: the form has no file named {example.image[:100]!r}", field=name)
    return request.body.files[example.image]


def _history_fields(body: SearchBody) -> dict[str, Any]:
    """Return the request fields that the search history stores. Photos are never stored."""
    fields = {"segment", "min_similarity", "filter", "color", "group_by", "diversity", "limit"}
    examples = [
        one.model_dump(mode="json", include={"id", "text", "bounding_box", "weight"}, exclude_defaults=True)
        for one in body.query
    ]
    return {"query": examples, **body.model_dump(mode="json", include=fields, exclude_defaults=True)}


def _groups(segment: bool, result: SearchResult) -> dict[str, Any]:
    return {"groups": [group_response(group) for group in result.groups]} if segment else {}


def _index_info(services: Services, result: SearchResult) -> dict[str, Any]:
    return {**asdict(result.index), "without_vector": services.missing_vectors.count(result.index.rows)}
