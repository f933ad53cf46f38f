"""Colors: conversion to L*a*b*, mean color and distance."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.color import (
    BASIC_COLORS,
    SHADES,
    Lab,
    ciede2000,
    color_distance,
    color_name,
    color_names,
    count_color_names,
    mean_color,
    parse_hex,
)

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


SHARMA_PAIRS = """
50 2.6772 -79.7751   50 0 -82.7485   2.0425
50 3.1571 -77.2803   50 0 -82.7485   2.8615
50 2.8361 -74.0200   50 0 -82.7485   3.4412
50 -1.3802 -84.2814   50 0 -82.7485   1.0000
50 -1.1848 -84.8006   50 0 -82.7485   1.0000
50 -0.9009 -85.5211   50 0 -82.7485   1.0000
50 0 0   50 -1 2   2.3669
50 -1 2   50 0 0   2.3669
50 2.49 -0.001   50 -2.49 0.0009   7.1792
50 2.49 -0.001   50 -2.49 0.0010   7.1792
50 2.49 -0.001   50 -2.49 0.0011   7.2195
50 2.49 -0.001   50 -2.49 0.0012   7.2195
50 -0.001 2.49   50 0.0009 -2.49   4.8045
50 -0.001 2.49   50 0.0010 -2.49   4.8045
50 -0.001 2.49   50 0.0011 -2.49   4.7461
50 2.5 0   50 0 -2.5   4.3065
50 2.5 0   73 25 -18   27.1492
50 2.5 0   61 -5 29   22.8977
50 2.5 0   56 -27 -3   31.9030
50 2.5 0   58 24 15   19.4535
50 2.5 0   50 3.1736 0.5854   1.0000
50 2.5 0   50 3.2972 0   1.0000
50 2.5 0   50 1.8634 0.5757   1.0000
50 2.5 0   50 3.2592 0.3350   1.0000
60.2574 -34.0099 36.2677   60.4626 -34.1751 39.4387   1.2644
63.0109 -31.0961 -5.8663   62.8187 -29.7946 -4.0864   1.2630
61.2901 3.7196 -5.3901   61.4292 2.2480 -4.9620   1.8731
35.0831 -44.1164 3.7933   35.0232 -40.0716 1.5901   1.8645
22.7233 20.0904 -46.6940   23.0331 14.9730 -42.5619   2.0373
36.4612 47.8580 18.3852   36.2715 50.5065 21.2231   1.4146
90.8027 -2.0831 1.4410   91.1528 -1.6435 0.0447   1.4441
90.9257 -0.5406 -0.9208   88.6381 -0.8985 -0.7239   1.5381
6.7747 -0.2908 -2.4247   5.8714 -0.0985 -2.2286   0.6377
2.0776 0.0795 -1.1350   0.9033 -0.0636 -0.5514   0.9082
"""
"""Table 1 of Sharma, Wu and Dalal (2005): L*, a*, b* of two colors, and their difference."""
LABS = st.tuples(st.floats(0, 100), st.floats(-128, 128), st.floats(-128, 128))


def test_ciede2000_of_the_published_pairs() -> None:
    table = np.array([line.split() for line in SHARMA_PAIRS.strip().splitlines()], np.float64)
    assert table.shape == (34, 7)
    for row in table:
        first, second, expected = row[:3], row[3:6], row[6]
        assert ciede2000(first[None], tuple(second)) == pytest.approx([expected], abs=1e-4)
        assert ciede2000(second[None], tuple(first)) == pytest.approx([expected], abs=1e-4)


def test_ciede2000_of_many_colors_and_of_none() -> None:
    assert ciede2000(np.array([RED, RED, (0.0, 0.0, 0.0)]), (0.0, 0.0, 0.0))[[0, 2]] == pytest.approx(
        [50.41, 0], abs=0.01
    )
    assert ciede2000(np.empty((0, 3)), RED).shape == (0,)


@given(one=LABS, other=LABS)
def test_ciede2000_is_a_symmetric_distance(one: Lab, other: Lab) -> None:
    (distance,), (reverse,) = ciede2000(np.array([one]), other), ciede2000(np.array([other]), one)
    assert distance == pytest.approx(reverse, abs=1e-6)
    assert distance >= 0 and math.isfinite(distance)
    assert ciede2000(np.array([one]), one) == pytest.approx([0], abs=1e-5)


@pytest.mark.parametrize(("code", "lab"), [("#ff0000", RED), ("f00", RED), ("#FfF", (100, 0, 0)), ("#000", (0, 0, 0))])
def test_hex_codes_are_colors(code: str, lab: Lab) -> None:
    assert parse_hex(code) == pytest.approx(lab, abs=0.1)


@pytest.mark.parametrize(
    "code", ["", "#", "#ff", "#ffff", "#fffffff", "##fff", " #fff", "#ggg", "#fff\n", "red", "٣٣٣"]
)
def test_other_text_is_no_hex_code(code: str) -> None:
    with pytest.raises(ValueError, match="is not a color: write 3 or 6 hexadecimal digits"):
        parse_hex(code)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("#000", "black"),
        ("#2b2b2e", "black"),
        ("#fff", "white"),
        ("#f5efe6", "white"),
        ("#777", "gray"),
        ("#c0c0c0", "gray"),
        ("#f00", "red"),
        ("#8b1220", "red"),
        ("#5a1022", "burgundy"),
        ("#ffc0cb", "pink"),
        ("#ff69b4", "pink"),
        ("#ffa500", "orange"),
        ("#ff0", "yellow"),
        ("#008000", "green"),
        ("#0f0", "green"),
        ("#808000", "olive"),
        ("#556b2f", "olive"),
        ("#40e0d0", "turquoise"),
        ("#1e6fd0", "blue"),
        ("#87ceeb", "blue"),
        ("#00f", "blue"),
        ("#000080", "navy"),
        ("#14203c", "navy"),
        ("#800080", "purple"),
        ("#8b4513", "brown"),
        ("#4a2c17", "brown"),
        ("#d2b48c", "beige"),
        ("#c3a37a", "beige"),
    ],
)
def test_nearest_basic_color(code: str, name: str) -> None:
    assert color_name(parse_hex(code)) == name


def test_names_of_many_colors() -> None:
    assert color_names(np.array([parse_hex(code) for code in BASIC_COLORS.values()])) == [*BASIC_COLORS]
    assert SHADES.keys() <= BASIC_COLORS.keys()
    assert color_names(np.empty((0, 3))) == []


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-128, 128), st.floats(-128, 128)), max_size=30))
def test_counts_of_color_names_are_those_of_the_names(colors: list[tuple[float, float, float]]) -> None:
    labs = np.array(colors, np.float64).reshape(-1, 3)
    for _ in range(2):  # the second time from the table
        assert count_color_names(labs) == Counter(color_names(labs))
