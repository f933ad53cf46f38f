"""Handlers for the search history of the signed-in user."""

from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.history import Choice, PastSearch
from lookalike.domain.model import Segment
from lookalike.http.handlers.responses import segment_response
from lookalike.http.history_schemas import FeedbackRequest
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, HistoryRequest


def list_searches(services: Services, request: ApiRequest) -> HandlerResult:
    """List your searches, newest first.

    To get the next page, send the `before` of the response as `before`. It is null on the last page.
    """
    body = request.parse_body(HistoryRequest)
    searches = services.history.list_searches(request.owner, body.limit, body.before)
    before = searches[-1].searched_at.isoformat() if len(searches) == body.limit else None
    data = [_search_response(services, search) for search in searches]
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
    chosen = [_choice_response(segments[one.row_id], one) for one in search.choices if one.row_id in segments]
    data = {**_search_response(services, search), "results": results, "chosen": chosen}
    return {"success": True, "message": message, "data": data}


def add_feedback(services: Services, request: ApiRequest) -> HandlerResult:
    """Say which result of one of your searches you chose.

    It is kept with the search and deleted with it. `lookalike evaluate --clicks` measures how high chosen results were
    ranked. Sending the same choice again changes nothing.
    """
    body = request.parse_body(FeedbackRequest)
    segment, choice = services.history.choose_result(request.owner, body.search_id, body.id)
    data = {"search_id": body.search_id, **_choice_response(segment, choice)}
    return {"success": True, "message": f"Recorded {segment.name} as chosen", "data": data}


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


def _choice_response(segment: Segment, choice: Choice) -> dict[str, Any]:
    return {
        "id": segment.row_id,
        "splitted_image_id": segment.name,
        "chosen_at": choice.chosen_at.isoformat(),
    }


def _search_response(services: Services, search: PastSearch) -> dict[str, Any]:
    return {
        "search_id": search.id,
        "asked_at": search.searched_at.isoformat(),
        "reusable_vectors": services.history.reusable_vectors(search),
        **search.request,
    }
