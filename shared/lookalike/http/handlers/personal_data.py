"""Handlers for the personal data of the signed-in user."""

from lookalike.bootstrap import Services
from lookalike.http.handlers.erasure import receipt_response
from lookalike.http.personal_data_schemas import EraseAccountRequest, ExportRequest
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.http.streaming import stream_json


def export_personal_data(services: Services, request: ApiRequest) -> HandlerResult:
    """Export everything that is kept of you.

    Contains your account, uploads, search history, requests and edits of products. With `links`, photos and garments have
    links to their images, which expire.
    """
    links = request.parse_body(ExportRequest).links
    export = services.personal_data.export(request.caller, request.token, links)
    data = {
        "exported_at": export.exported_at.isoformat(),
        "account": export.account,
        "sessions": export.sessions,
        "photos": export.photos,
        "searches": export.searches,
        "jobs": export.jobs,
        "edits": export.edits,
    }
    return stream_json({"request_id": request.request_id, "success": True, "data": data})


def erase_account(services: Services, request: ApiRequest) -> HandlerResult:
    """Erase everything that is kept of you, and your account.

    Needs your password. Running requests are canceled. Repeat the request while `counts.remaining` is not 0; the account
    is deleted last. All your tokens stop working, access tokens on other instances of the server within five seconds.
    """
    password = request.parse_body(EraseAccountRequest).password
    result = services.personal_data.erase(request.caller, password, request.token)
    receipt = result.receipt
    rest = f"; {receipt.remaining} remain: repeat the request" if receipt.remaining else ""
    message = f"Deleted {receipt.garments} garments{rest}. {result.message}"
    return receipt_response(receipt, message, is_account_deleted=result.is_account_deleted)
