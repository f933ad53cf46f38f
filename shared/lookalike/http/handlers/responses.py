"""Functions that build the response JSON of garments and matches."""

import base64
from dataclasses import asdict
from typing import Any

from lookalike.domain.model import Detection, Segment
from lookalike.domain.product import Money, Offer
from lookalike.usecases.explanation import Explanation
from lookalike.usecases.search import Match, MatchGroup


def garment_response(garment: Detection) -> dict[str, Any]:
    """Return box, label and score of a detected garment."""
    return {"bounding_box": garment.box.as_list(), "label": garment.label, "score": rounded_score(garment.score)}


def segment_response(segment: Segment) -> dict[str, Any]:
    """Return a stored garment, with the field names of the original system."""
    return {
        "id": segment.row_id,
        "splitted_image_id": segment.name,
        "splitted_image_path": segment.path,
        "original_image_id": segment.photo,
        "bounding_box": segment.box.as_list() if segment.box else None,
        "label": segment.label,
        "score": rounded_score(segment.score),
    }


def match_response(match: Match) -> dict[str, Any]:
    """Return a match, without fields that are unknown or were not requested."""
    response = segment_response(match.segment)
    if match.similarity is not None:
        # float32 has about seven significant digits, of which the last depends on the order of summation
        response["similarity"] = round(match.similarity, 6)
    if match.match_probability is not None:
        response["match"] = round(match.match_probability, 4)
    response["why"] = explanation_response(match.explanation)
    if match.group is not None:
        response["group"] = asdict(match.group)
    if match.details is not None:
        response["details"] = asdict(match.details)
    if match.offer is not None:
        response["offer"] = offer_response(match.offer)
    return response | dict(match.image_fields)


def offer_response(offer: Offer) -> dict[str, Any]:
    """Return what a product costs."""
    prices = {"price": price_response(offer.price), "sale_price": price_response(offer.sale_price)}
    return {"product_id": offer.product_id, **prices, "availability": offer.availability}


def price_response(price: Money | None) -> dict[str, str] | None:
    """Return an amount of money as exact text."""
    return {"amount": f"{price.amount:f}", "currency": price.currency} if price else None


def explanation_response(explanation: Explanation) -> dict[str, Any]:
    """Return the comparison of match and query, without unknown fields."""
    known = {name: value for name, value in asdict(explanation).items() if value is not None}
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in known.items()}


def group_response(group: MatchGroup) -> dict[str, Any]:
    """Return a garment of the query photo and its matches."""
    assert group.garment is not None
    return {**garment_response(group.garment), "results": [match_response(match) for match in group.matches]}


def encode_base64(data: bytes) -> str:
    """Return the data as base64 text."""
    return base64.b64encode(data).decode()


def rounded_score(score: float | None) -> float | None:
    """Return a score with four digits."""
    return None if score is None else round(score, 4)
