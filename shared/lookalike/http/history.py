"""What somebody searched for."""

from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.model import PastSearch
from lookalike.http.handlers import segment_answer
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, HistoryRequest


def list_searches(services: Services, asked: ApiRequest) -> HandlerResult:
    """One's own searches, newest first."""
    body = asked.body(HistoryRequest)
    found = services.history.list(asked.owner, body.limit, body.before)
    last = found[-1].searched_at.isoformat() if len(found) == body.limit else None
    message = f"{len(found)} search{'es' * (len(found) != 1)}"
    return {"success": True, "message": message, "data": [search_answer(one) for one in found], "before": last}


def get_search(services: Services, asked: ApiRequest) -> HandlerResult:
    """One of them, with those of its results that are still stored."""
    search, there = services.history.one(asked.owner, asked.parts["id"])
    results = [
        {**segment_answer(there[hit.row_id]), "similarity": round(hit.similarity, 6), "garment": hit.garment_index}
        for hit in search.hits
        if hit.row_id in there
    ]
    message = f"{len(results)} of {len(search.hits)} garments are still stored"
    return {"success": True, "message": message, "data": {**search_answer(search), "results": results}}


def forget_search(services: Services, asked: ApiRequest) -> HandlerResult:
    """Forget one of them."""
    services.history.forget(asked.owner, asked.parts["id"])
    return {"success": True, "message": f"Forgot the search {asked.parts['id']}"}


def forget_searches(services: Services, asked: ApiRequest) -> HandlerResult:
    """Forget all of them."""
    count = services.history.forget(asked.owner)
    return {"success": True, "message": f"Forgot {count} search{'es' * (count != 1)}"}


def search_answer(search: PastSearch) -> dict[str, Any]:
    return {"search_id": search.id, "asked_at": search.searched_at.isoformat(), **search.request}
