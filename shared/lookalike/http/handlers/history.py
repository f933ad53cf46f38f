"""Handlers for the search history of the signed-in user."""

from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.model import PastSearch
from lookalike.http.handlers.responses import segment_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, HistoryRequest


def list_searches(services: Services, request: ApiRequest) -> HandlerResult:
    """List your searches, newest first.

    To get the next page, send the `before` of the response as `before`. It is null on the last page.
    """
    body = request.parse_body(HistoryRequest)
    searches = services.history.list_searches(request.owner, body.limit, body.before)
    before = searches[-1].searched_at.isoformat() if len(searches) == body.limit else None
    data = [_search_response(search) for search in searches]
    return {"success": True, "message": _count_of_searches(len(searches)), "data": data, "before": before}


def get_search(services: Services, request: ApiRequest) -> HandlerResult:
    """Get one of your searches with its matches.

    Matches that were deleted since are left out.
    """
    search, segments = services.history.get_search(request.owner, request.path_parameters["id"])
    results = [
        {
            **segment_response(segments[hit.row_id]),
            "similarity": round(hit.similarity, 6),
            "garment": hit.garment_index,
        }
        for hit in search.hits
        if hit.row_id in segments
    ]
    message = f"{len(results)} of {len(search.hits)} garments are still stored"
    return {"success": True, "message": message, "data": {**_search_response(search), "results": results}}


def delete_search(services: Services, request: ApiRequest) -> HandlerResult:
    """Delete one of your searches."""
    search_id = request.path_parameters["id"]
    services.history.delete_searches(request.owner, search_id)
    return {"success": True, "message": f"Deleted the search {search_id}"}


def delete_searches(services: Services, request: ApiRequest) -> HandlerResult:
    """Delete all your searches."""
    count = services.history.delete_searches(request.owner)
    return {"success": True, "message": f"Deleted {_count_of_searches(count)}"}


def _count_of_searches(count: int) -> str:
    return f"{count} search{'es' * (count != 1)}"


def _search_response(search: PastSearch) -> dict[str, Any]:
    return {"search_id": search.id, "asked_at": search.searched_at.isoformat(), **search.request}
