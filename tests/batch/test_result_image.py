"""The result image of `lookalike search`: its content, and unusual photos and names."""

import pytest
from PIL import Image, ImageColor

from lookalike.batch.result_image import (
    COLORS,
    WIDTH,
    GarmentRow,
    Match,
    draw_result_image,
    shorten_middle,
    text_width,
    wrap_name,
)
from lookalike.domain.model import Box

BLUE = (20, 60, 200)
GREEN = (10, 160, 60)
MIDDLE = Box(60, 80, 240, 320)


def photo(width: int = 300, height: int = 400) -> Image.Image:
    return Image.new("RGB", (width, height), BLUE)


def match(name: str = "flat-dress-007_segment_0", similarity: float = 0.93) -> Match:
    return Match(Image.new("RGB", (60, 80), GREEN), name, similarity)


def row(box: Box = MIDDLE, matches: int = 3) -> GarmentRow:
    return GarmentRow(box, "dress", 0.87, [match()] * matches)


def pixels_of(image: Image.Image, color: str | tuple[int, int, int]) -> int:
    expected = ImageColor.getrgb(color) if isinstance(color, str) else color
    counts = image.getcolors(image.width * image.height)
    assert counts is not None
    return sum(count for count, value in counts if value == expected)


def test_image_is_at_most_1600_pixels_wide() -> None:
    image = draw_result_image(photo(), [row(), row(matches=12)])
    assert image.mode == "RGB"
    assert 800 < image.width <= WIDTH
    assert 600 < image.height < 2000


def test_photo_fills_the_left() -> None:
    image = draw_result_image(photo(), [])
    assert pixels_of(image, BLUE) > 0.8 * image.width * image.height


def test_small_photo_is_enlarged() -> None:
    assert pixels_of(draw_result_image(photo(30, 40), []), BLUE) == 90 * 120


def test_box_is_drawn_around_the_garment() -> None:
    image = draw_result_image(photo(), [row(matches=0)])
    corner = 28 + 60 * 2 + 2, 28 + 80 * 2 + 2
    assert image.getpixel(corner) == ImageColor.getrgb(COLORS[0])


def test_each_garment_has_its_own_color() -> None:
    rows = [row(Box(10, 10 + 20 * number, 200, 200 + 15 * number)) for number in range(4)]
    image = draw_result_image(photo(), rows)
    assert all(pixels_of(image, color) > 500 for color in COLORS[:4])
    assert pixels_of(image, COLORS[4]) == 0


def test_colors_repeat_after_the_last() -> None:
    assert draw_result_image(photo(), [row(matches=1)] * 12).height > 12 * 140


def test_every_match_is_shown() -> None:
    one, many = (pixels_of(draw_result_image(photo(), [row(matches=count)]), GREEN) for count in (1, 12))
    assert many == 12 * one > 0


def test_query_card_shows_the_garment() -> None:
    query = photo()
    query.paste("yellow", (60, 80, 240, 320))
    plain, cut = (pixels_of(draw_result_image(query, rows), "yellow") for rows in ([], [row(matches=0)]))
    assert cut > plain * 0.9
    assert pixels_of(draw_result_image(query, [row(matches=0)]).crop((660, 0, 977, 300)), "yellow") > 5000


def test_whole_photo_has_no_box() -> None:
    image = draw_result_image(photo(), [GarmentRow(None, "whole photo", None, [match()])])
    assert pixels_of(image.crop((0, 0, 600, image.height)), COLORS[0]) == 0
    assert pixels_of(image, COLORS[0]) > 500


def test_bar_length_grows_with_similarity() -> None:
    none, half, full = (
        pixels_of(draw_result_image(photo(), [GarmentRow(None, "", None, [match(similarity=value)])]), COLORS[0])
        for value in (-0.5, 0.5, 1.0)
    )
    assert none < half < full


def test_transparent_matches_are_drawn_on_white() -> None:
    clear = Match(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "clear", 0.5)
    image = draw_result_image(photo(), [GarmentRow(None, "", None, [clear])])
    assert pixels_of(image, "white") > 128 * 128
    assert pixels_of(image, "black") == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (37, 5000), (5000, 37)])
def test_extreme_photo_sizes(size: tuple[int, int]) -> None:
    odd = photo(*size)
    rows = [GarmentRow(Box(0, 0, *size), "dress", 0.5, [Match(odd, "odd", 0.4)]), row(Box(0.2, 0.2, 0.4, 0.4), 0)]
    image = draw_result_image(odd, rows)
    assert image.width <= WIDTH
    assert image.height <= 1000
    assert pixels_of(image, COLORS[1]) > 0


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1"])
def test_every_image_mode(mode: str) -> None:
    image = Image.new(mode, (40, 40))
    assert draw_result_image(image, [GarmentRow(None, "dress", 0.5, [Match(image, "any", 0.4)])]).mode == "RGB"


@pytest.mark.parametrize("name", ["", "x" * 5000, "two\nlines\tand\x00more", "\udcff.jpg", "衣服-001", "a b " * 99])
def test_arbitrary_name_fits(name: str) -> None:
    lines = wrap_name(name, 13, 140)
    assert len(lines) <= 2
    assert all(text_width(line, 13) <= 140 for line in lines)
    assert draw_result_image(photo(), [GarmentRow(Box(0, 0, 9, 9), name, 0.1, [match(name)])]).width <= WIDTH


def test_long_name_keeps_both_ends() -> None:
    text = shorten_middle("summer-2026-dress-with-flowers-007", 13, 140)
    assert text.startswith("summer")
    assert text.endswith("007")
    assert "…" in text


def test_name_wraps_at_separators() -> None:
    assert wrap_name("flat-dress-0070_segment_0", 13, 140) == ["flat-dress-0070_", "segment_0"]


def test_text_is_empty_if_no_width_is_left() -> None:
    assert shorten_middle("dress", 13, -5) == ""
