"""Tests of GroundingDINO's input images: padding, tiles and sizes. They need no torch."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.adapters.grounding_dino.tiling import network_size, pad_photo, split_into_tiles

SIDES = st.integers(1, 6000)


def red_photo(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), "red")


def test_a_small_photo_is_centered_on_gray() -> None:
    (tile,) = split_into_tiles(red_photo(300, 500))
    assert tile.image.size == (448, 1000) and (tile.left, tile.top) == (-74, -250)
    pixels = np.asarray(tile.image)
    assert (pixels[250:750, 74:374] == (255, 0, 0)).all()
    assert (pixels[0, 0] == 128).all() and (pixels[-1, -1] == 128).all()


def test_only_the_side_that_is_too_small_is_padded() -> None:
    assert pad_photo(red_photo(2000, 300))[0].size == (2000, 1000)
    assert pad_photo(red_photo(300, 2000))[0].size == (448, 2000)


def test_a_large_photo_is_one_unchanged_tile() -> None:
    photo = red_photo(800, 1066)
    (tile,) = split_into_tiles(photo)
    assert tile.image is photo and (tile.left, tile.top) == (0, 0)


def test_a_wide_photo_is_cut_into_tiles_that_overlap_by_a_tenth() -> None:
    tiles = split_into_tiles(red_photo(10_000, 1000))
    assert [(tile.left, tile.top) for tile in tiles] == [(0, 0), (2700, 0), (5400, 0), (7000, 0)]
    assert {tile.image.size for tile in tiles} == {(3000, 1000)}


def test_a_tall_photo_is_cut_horizontally() -> None:
    tiles = split_into_tiles(red_photo(500, 3100))
    assert [(tile.left, tile.top) for tile in tiles] == [(0, 0), (0, 1350), (0, 1600)]
    assert {tile.image.size for tile in tiles} == {(500, 1500)}


@given(SIDES, SIDES)
@settings(deadline=None)  # creating a photo of 36 megapixels takes long on a busy machine
def test_tiles_have_one_size_and_cover_the_photo(width: int, height: int) -> None:
    tiles = split_into_tiles(red_photo(width, height))
    assert len({tile.image.size for tile in tiles}) == 1
    tile_width, tile_height = tiles[0].image.size
    assert max(tile_width, tile_height) <= 3 * min(tile_width, tile_height)
    assert tiles[0].left <= 0 and tiles[0].top <= 0
    for before, after in pairwise(tiles):
        is_right = before.left < after.left <= before.left + tile_width
        is_below = before.top < after.top <= before.top + tile_height
        assert is_right or is_below
    assert tiles[-1].left + tile_width >= width and tiles[-1].top + tile_height >= height


@pytest.mark.parametrize(
    ("photo_size", "size"),
    [((3000, 4000), (800, 1066)), ((4000, 3000), (1066, 800)), ((448, 1000), (597, 1332)), ((800, 800), (800, 800))],
)
def test_network_sizes_equal_those_of_the_reference(photo_size: tuple[int, int], size: tuple[int, int]) -> None:
    assert network_size(*photo_size) == size
