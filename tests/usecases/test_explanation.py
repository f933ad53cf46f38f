"""What is told of why a garment matches: pure, on the domain's values."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.color import Lab, color_distance, mean_color
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
"""Of pure red in sRGB, white D65."""


def stored(photo: str = "look", number: int = 0, label: str | None = "dress", colour: Lab | None = None) -> Segment:
    name = f"{photo}_segment_{number}"
    return Segment(number, name, name, None, photo, Box(0, 0, 9, 9), label, 0.5, datetime.now(UTC), colour)


def said(**of: ProductDetails) -> dict[str, ProductDetails]:
    return of


def details(**values: Any) -> ProductDetails:
    return ProductDetails("any", **values)


def only(value: str | float) -> Condition:
    return Condition((value,))


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ("white", (100, 0, 0)),
        ("black", (0, 0, 0)),
        ("red", RED),
        ("blue", (32.3, 79.2, -107.9)),
        ("grey", (53.6, 0, 0)),
    ],
)
def test_colours_are_where_they_belong(colour: str, lab: Lab) -> None:
    assert mean_color(Image.new("RGB", (3, 500), colour)) == pytest.approx(lab, abs=0.1)


def test_transparent_pixels_do_not_count_and_others_by_how_opaque_they_are() -> None:
    picture = Image.new("RGBA", (300, 20), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 150, 20))
    assert mean_color(picture) == pytest.approx(RED, abs=0.02)
    picture.paste((255, 255, 255, 85), (150, 0, 300, 20))
    assert mean_color(picture) == pytest.approx(np.average([RED, (100, 0, 0)], axis=0, weights=[3, 1]), abs=0.5)
    assert mean_color(Image.new("RGBA", (4, 4), (9, 9, 9, 0))) is None


def test_a_whole_photo_has_no_colour() -> None:
    photo = Image.new("RGB", (20, 30), "red")
    assert garment_color(whole_photo_detection(photo), photo) is None
    assert garment_color(make_detection(), photo) == pytest.approx(RED, abs=0.02)


def test_the_cut_out_counts_and_not_what_is_around_it() -> None:
    photo = Image.new("RGB", (40, 40), "blue")
    photo.paste("red", (0, 0, 20, 40))
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :18] = 255
    found = Detection(Box(0, 0, 40, 40), "top", 0.5, mask)
    assert garment_color(found, found.cut_out(photo)) == pytest.approx(RED, abs=0.02)


def test_nothing_is_told_that_is_not_known_of_both() -> None:
    assert QueryGarment().explain(stored(), {}) == Explanation()
    assert QueryGarment("dress", RED).explain(stored(label=None), {}) == Explanation()


def test_labels_and_colours_are_compared() -> None:
    why = QueryGarment("dress", RED).explain(stored(label="dress", colour=(53.24, 80.09, 57.2)), {})
    assert why.same_label is True and why.colour_distance == pytest.approx(10)
    assert QueryGarment("skirt").explain(stored(), {}).same_label is False
    assert color_distance((0, 0, 0), (100, 0, 0)) == 100


def test_details_are_shared_that_both_say_alike() -> None:
    ours = details(brand="Marlow", season="summer", tags=["linen", "dots"], rating=4.5, sale_status="", waist_type=None)
    theirs = details(brand="marlow", season="summer", tags=["wool", "dots"], rating=4.5, sale_status="", size=["M"])
    product = known_product_details([stored("ours")], said(ours=ours), {})
    assert QueryGarment(known_details=product).explain(stored("theirs"), said(theirs=theirs)).shared_details == [
        *("rating", "tags", "season")
    ]
    assert QueryGarment(known_details=product).explain(stored("theirs"), {}).shared_details == []


def test_a_garments_own_details_come_before_its_photos() -> None:
    known = {"look": details(brand="Ost"), "look_segment_0": details(brand="Marlow")}
    product = known_product_details([stored()], known, {})
    assert product == {"brand": only("Marlow")}
    assert QueryGarment(known_details=product).explain(stored(), known).shared_details == ["brand"]
    assert QueryGarment(known_details=product).explain(stored(number=1), known).shared_details == []


def test_of_several_garments_that_is_known_which_all_say_alike() -> None:
    known = {
        "look_segment_0": details(brand="Marlow", season="summer"),
        "look_segment_1": details(brand="Ost", season="summer"),
    }
    both = [stored(), stored(number=1)]
    assert known_product_details(both, known, {}) == {"season": only("summer")}
    assert known_product_details([*both, stored(number=2)], known, {}) == {}


def test_what_the_filter_demands_is_known_where_it_is_one_value() -> None:
    wanted = {
        "brand": only("Marlow"),
        "season": Condition(("summer", "winter")),
        "rating": Condition((), 4, 5),
        "tags": only("linen"),
        "label": only("dress"),
        "score": only(0.5),
    }
    assert set(required_values(wanted)) == {"brand", "tags"}
    product = known_product_details([], {}, wanted)
    theirs = details(brand="Marlow", tags=["linen", "dots"], season="summer")
    assert QueryGarment(known_details=product).explain(stored(), said(look=theirs)).shared_details == ["brand", "tags"]


def test_what_is_said_of_the_photo_counts_more_than_what_is_demanded() -> None:
    product = known_product_details([stored()], said(look=details(brand="Marlow")), {"brand": only("Ost")})
    assert product == {"brand": only("Marlow")}
