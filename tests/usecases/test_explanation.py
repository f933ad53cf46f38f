"""Explanations: comparison of labels, colors and product details."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.color import Lab
from lookalike.domain.filter import Condition
from lookalike.domain.model import Box, Detection, ProductDetails, Segment
from lookalike.usecases.explanation import (
    Explanation,
    QueryGarment,
    garment_color,
    known_product_details,
    required_values,
)
from lookalike.usecases.models import whole_photo_detection
from tests.fakes.models import make_detection

RED: Lab = (53.24, 80.09, 67.2)
"""Pure red of sRGB, with white point D65."""


def make_segment(
    photo: str = "look", number: int = 0, label: str | None = "dress", color: Lab | None = None
) -> Segment:
    name = f"{photo}_segment_{number}"
    return Segment(number, name, name, None, photo, Box(0, 0, 9, 9), label, 0.5, datetime.now(UTC), color)


def make_details(**values: Any) -> ProductDetails:
    return ProductDetails("any", **values)


def equals(value: str | float) -> Condition:
    return Condition((value,))


def test_whole_photo_has_no_color() -> None:
    photo = Image.new("RGB", (20, 30), "red")
    assert garment_color(whole_photo_detection(photo), photo) is None
    assert garment_color(make_detection(), photo) == pytest.approx(RED, abs=0.02)


def test_garment_color_ignores_the_background() -> None:
    photo = Image.new("RGB", (40, 40), "blue")
    photo.paste("red", (0, 0, 20, 40))
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :18] = 255
    detection = Detection(Box(0, 0, 40, 40), "top", 0.5, mask)
    assert garment_color(detection, detection.cut_out(photo)) == pytest.approx(RED, abs=0.02)


def test_explanation_is_empty_for_unknown_values() -> None:
    assert QueryGarment().explain(make_segment(), {}) == Explanation()
    assert QueryGarment("dress", RED).explain(make_segment(label=None), {}) == Explanation()


def test_explanation_compares_labels_and_colors() -> None:
    match = make_segment(label="dress", color=(53.24, 80.09, 57.2))
    explanation = QueryGarment("dress", RED).explain(match, {})
    assert explanation.same_label is True and explanation.colour_distance == pytest.approx(10)
    assert QueryGarment("skirt").explain(make_segment(), {}).same_label is False


def test_shared_details_are_equal_and_not_empty() -> None:
    query = make_details(
        brand="Marlow", season="summer", tags=["linen", "dots"], rating=4.5, sale_status="", waist_type=None
    )
    match = make_details(brand="marlow", season="summer", tags=["wool", "dots"], rating=4.5, sale_status="", size=["M"])
    garment = QueryGarment(known_details=known_product_details([make_segment("query")], {"query": query}, {}))
    explanation = garment.explain(make_segment("match"), {"match": match})
    assert explanation.shared_details == ["rating", "tags", "season"]
    assert garment.explain(make_segment("match"), {}).shared_details == []


def test_details_of_a_segment_take_precedence_over_those_of_its_photo() -> None:
    details = {"look": make_details(brand="Ost"), "look_segment_0": make_details(brand="Marlow")}
    known = known_product_details([make_segment()], details, {})
    assert known == {"brand": equals("Marlow")}
    garment = QueryGarment(known_details=known)
    assert garment.explain(make_segment(), details).shared_details == ["brand"]
    assert garment.explain(make_segment(number=1), details).shared_details == []


def test_details_are_known_if_all_segments_of_the_query_photo_agree() -> None:
    details = {
        "look_segment_0": make_details(brand="Marlow", season="summer"),
        "look_segment_1": make_details(brand="Ost", season="summer"),
    }
    segments = [make_segment(), make_segment(number=1)]
    assert known_product_details(segments, details, {}) == {"season": equals("summer")}
    assert known_product_details([*segments, make_segment(number=2)], details, {}) == {}


def test_details_are_known_if_the_filter_requires_one_value() -> None:
    wanted = {
        "brand": equals("Marlow"),
        "season": Condition(("summer", "winter")),
        "rating": Condition((), 4, 5),
        "tags": equals("linen"),
        "label": equals("dress"),
        "score": equals(0.5),
    }
    assert set(required_values(wanted)) == {"brand", "tags"}
    garment = QueryGarment(known_details=known_product_details([], {}, wanted))
    match = make_details(brand="Marlow", tags=["linen", "dots"], season="summer")
    assert garment.explain(make_segment(), {"look": match}).shared_details == ["brand", "tags"]


def test_details_of_the_query_photo_take_precedence_over_the_filter() -> None:
    details = {"look": make_details(brand="Marlow")}
    assert known_product_details([make_segment()], details, {"brand": equals("Ost")}) == {"brand": equals("Marlow")}
