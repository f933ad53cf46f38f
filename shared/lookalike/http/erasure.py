"""What goes for good, and the receipt of it."""

from lookalike.bootstrap import Services
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import EraseRequest, HandlerResult
from lookalike.http.response_schemas import ReceiptCounts
from lookalike.usecases.erase import Receipt


def delete_segment(services: Services, asked: ApiRequest) -> HandlerResult:
    """Erase a garment, and its photo with the last one."""
    receipt = services.erase.segment(asked.parts["id"])
    (name,) = receipt.segments
    return receipt_answer(receipt, f"Deleted {name}", splitted_image_id=name)


def delete_photo(services: Services, asked: ApiRequest) -> HandlerResult:
    """Erase a photo with all its garments."""
    receipt = services.erase.photo(asked.parts["id"])
    return receipt_answer(receipt, f"Deleted {receipt.garments} garments of {asked.parts['id']}")


def erase(services: Services, asked: ApiRequest) -> HandlerResult:
    """Erase what fulfils a filter, or what a user left."""
    body = asked.body(EraseRequest)
    if body.owner is not None:
        receipt = services.erase.owner(body.owner, body.dry_run)
    else:
        receipt = services.erase.where(body.conditions(), body.dry_run)
    word = "Would delete" if body.dry_run else "Deleted"
    count = receipt.remaining if body.dry_run else receipt.garments
    rest = f"; {receipt.remaining} remain: ask again" if receipt.remaining and not body.dry_run else ""
    return receipt_answer(receipt, f"{word} {count} garments{rest}")


def receipt_answer(receipt: Receipt, message: str, **more: str) -> HandlerResult:
    counts = {name: getattr(receipt, name) for name in ReceiptCounts.model_fields}
    data = {"receipt_id": receipt.id, "at": receipt.at.isoformat(), "segments": receipt.segments, "counts": counts}
    return {"success": True, "message": message, "data": {**more, **data}}
