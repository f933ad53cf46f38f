"""Colors: conversion to L*a*b*, mean color and distance."""

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.color import Lab, color_distance, mean_color

RED: Lab = (53.24, 80.09, 67.2)
"""Pure red of sRGB, with white point D65."""


@pytest.mark.parametrize(
    ("color", "lab"),
    [
        ("white", (100, 0, 0)),
        ("black", (0, 0, 0)),
        ("red", RED),
        ("blue", (32.3, 79.2, -107.9)),
        ("gray", (53.6, 0, 0)),
    ],
)
def test_mean_color_of_a_single_color(color: str, lab: Lab) -> None:
    assert mean_color(Image.new("RGB", (3, 500), color)) == pytest.approx(lab, abs=0.1)


def test_mean_color_is_weighted_by_opacity() -> None:
    image = Image.new("RGBA", (300, 20), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 150, 20))
    assert mean_color(image) == pytest.approx(RED, abs=0.02)
    image.paste((255, 255, 255, 85), (150, 0, 300, 20))
    assert mean_color(image) == pytest.approx(np.average([RED, (100, 0, 0)], axis=0, weights=[3, 1]), abs=0.5)
    assert mean_color(Image.new("RGBA", (4, 4), (9, 9, 9, 0))) is None


def test_color_distance_of_black_and_white_is_100() -> None:
    assert color_distance((0, 0, 0), (100, 0, 0)) == 100
