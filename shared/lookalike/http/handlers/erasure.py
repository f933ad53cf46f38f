"""Handlers that erase garments permanently and return a receipt."""

from lookalike.bootstrap import Services
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import EraseRequest, HandlerResult
from lookalike.http.response_schemas import ReceiptCounts
from lookalike.usecases.erase import Receipt


def delete_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Erase a garment.

    The photo is erased with its last garment.
    """
    receipt = services.erase.erase_segment(request.path_parameters["id"])
    (name,) = receipt.segments
    return receipt_response(receipt, f"Deleted {name}", splitted_image_id=name)


def delete_photo(services: Services, request: ApiRequest) -> HandlerResult:
    """Erase a photo with all its garments."""
    name = request.path_parameters["id"]
    receipt = services.erase.erase_photo(name)
    return receipt_response(receipt, f"Deleted {receipt.garments} garments of {name}")


def erase(services: Services, request: ApiRequest) -> HandlerResult:
    """Erase garments by filter or by user.

    Erases the garments that match `filter`, or all uploads, searches and finished requests of the user `owner`. Repeat
    the request while `counts.remaining` is not 0. With `dry_run`, nothing is erased.
    """
    body = request.parse_body(EraseRequest)
    if body.owner is not None:
        receipt = services.erase.erase_owner(body.owner, body.dry_run)
    else:
        receipt = services.erase.erase_matching(body.conditions(), body.dry_run)
    if body.dry_run:
        return receipt_response(receipt, f"Would delete {receipt.remaining} garments")
    rest = f"; {receipt.remaining} remain: repeat the request" if receipt.remaining else ""
    return receipt_response(receipt, f"Deleted {receipt.garments} garments{rest}")


def receipt_response(receipt: Receipt, message: str, **fields: str | bool | int) -> HandlerResult:
    """Return the response with a receipt, and further fields of its data."""
    counts = {name: getattr(receipt, name) for name in ReceiptCounts.model_fields}
    data = {"receipt_id": receipt.id, "at": receipt.at.isoformat(), "segments": receipt.segments, "counts": counts}
    return {"success": True, "message": message, "data": {**fields, **data}}
