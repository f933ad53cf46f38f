"""Handler of the search."""

from dataclasses import asdict
from typing import Any

from lookalike.bootstrap import Services
from lookalike.http.handlers.responses import group_response, match_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, RelayRequest
from lookalike.usecases.search import SearchRequest


def relay_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Find the stored garments that are most similar to a photo.

    With `segment`, the garments in the photo are detected, and the response has a group of matches for each. Otherwise
    the whole photo is the query. The searches of signed-in users are added to their search history, without the photo.
    """
    body = request.parse_body(RelayRequest)
    data, search_request = request.read_image(body), _search_request(body)
    with services.jobs.run_read_only_job("search", request.caller, request.request_id, request.is_new_id) as job:
        result = services.search.search(data, search_request, job)
    if request.caller.user is not None:
        services.history.save_search(request.caller.user, request.request_id, _history_fields(body), result)
    groups = {"groups": [group_response(group) for group in result.groups]} if body.segment else {}
    return {
        "success": True,
        "results": [match_response(match) for match in result.best_matches(body.num)],
        **groups,
        "width": result.width,
        "height": result.height,
        "index": {**asdict(result.index), "without_vector": services.missing_vectors.count(result.index.rows)},
    }


def _search_request(body: RelayRequest) -> SearchRequest:
    options = body.model_dump(
        include={"num", "segment", "include", "min_similarity", "exclude_original", "collapse", "include_details"}
    )
    return SearchRequest(**options, filter=body.conditions())


def _history_fields(body: RelayRequest) -> dict[str, Any]:
    """Return the request fields that the search history stores. The photo is never stored."""
    return body.model_dump(mode="json", include={"num", "segment", "min_similarity", "filter"}, exclude_defaults=True)
