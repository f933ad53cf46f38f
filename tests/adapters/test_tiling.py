"""What GroundingDINO gets to see of a photo, and how its boxes become garments. No torch in any of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.adapters.grounding_dino.merging import Find, merge
from lookalike.adapters.grounding_dino.tiling import network_size, pad, tiles
from lookalike.domain.model import Box

SIDES = st.integers(1, 6000)


def photo(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), "red")


def test_a_small_photo_is_centred_on_grey() -> None:
    (tile,) = tiles(photo(300, 500))
    assert tile.picture.size == (448, 1000) and (tile.left, tile.top) == (-74, -250)
    pixels = np.asarray(tile.picture)
    assert (pixels[250:750, 74:374] == (255, 0, 0)).all()
    assert (pixels[0, 0] == 128).all() and (pixels[-1, -1] == 128).all()


def test_one_side_may_be_too_small() -> None:
    assert pad(photo(2000, 300))[0].size == (2000, 1000)
    assert pad(photo(300, 2000))[0].size == (448, 2000)


def test_a_large_photo_is_seen_as_it_is() -> None:
    picture = photo(800, 1066)
    (tile,) = tiles(picture)
    assert tile.picture is picture and (tile.left, tile.top) == (0, 0)


def test_a_long_photo_is_seen_in_tiles_that_overlap_by_a_tenth() -> None:
    found = tiles(photo(10_000, 1000))
    assert [(tile.left, tile.top) for tile in found] == [(0, 0), (2700, 0), (5400, 0), (7000, 0)]
    assert {tile.picture.size for tile in found} == {(3000, 1000)}


def test_a_tall_photo_is_cut_across() -> None:
    found = tiles(photo(500, 3100))
    assert [(tile.left, tile.top) for tile in found] == [(0, 0), (0, 1350), (0, 1600)]
    assert {tile.picture.size for tile in found} == {(500, 1500)}


@given(SIDES, SIDES)
def test_tiles_have_one_size_and_cover_the_photo(width: int, height: int) -> None:
    found = tiles(photo(width, height))
    assert len({tile.picture.size for tile in found}) == 1
    tile_width, tile_height = found[0].picture.size
    assert max(tile_width, tile_height) <= 3 * min(tile_width, tile_height)
    assert found[0].left <= 0 and found[0].top <= 0
    for before, after in pairwise(found):
        assert (
            before.left < after.left <= before.left + tile_width or before.top < after.top <= before.top + tile_height
        )
    assert found[-1].left + tile_width >= width and found[-1].top + tile_height >= height


@pytest.mark.parametrize(
    ("photo_size", "size"),
    [((3000, 4000), (800, 1066)), ((4000, 3000), (1066, 800)), ((448, 1000), (597, 1332)), ((800, 800), (800, 800))],
)
def test_sizes_for_the_network_are_those_of_grounding_dino(photo_size: tuple[int, int], size: tuple[int, int]) -> None:
    assert network_size(*photo_size) == size


def find(
    x: float, y: float, width: float, height: float, label: str = "dress", score: float = 0.5, tile: int = 0
) -> Find:
    return Find(Box(x, y, x + width, y + height), label, score, tile)


def test_boxes_of_one_garment_become_the_best_of_them() -> None:
    best = find(0, 0, 100, 200, score=0.9)
    assert merge([find(5, 5, 100, 200), best, find(0, 0, 100, 195, "skirt", 0.6)]) == [best]


def test_what_is_called_otherwise_stays_unless_it_is_nearly_the_same_box() -> None:
    one, other = find(0, 0, 100, 200, score=0.9), find(0, 50, 100, 150, "skirt")
    assert merge([one, find(0, 50, 100, 150)]) == [one]
    assert merge([one, find(0, 90, 100, 110, "skirt")]) == [one, find(0, 90, 100, 110, "skirt")]
    assert merge([one, other]) == [one]


def test_one_shoe_is_part_of_the_pair() -> None:
    pair = find(0, 0, 200, 80, "shoes", 0.6)
    assert merge([pair, find(10, 5, 80, 70, "shoes", 0.5), find(10, 5, 80, 70, "bag", 0.4)]) == [
        pair,
        find(10, 5, 80, 70, "bag", 0.4),
    ]


def test_garments_side_by_side_stay_two() -> None:
    two = [find(0, 0, 100, 200, score=0.9), find(90, 0, 100, 200, score=0.8)]
    assert merge(two) == two


def test_a_garment_on_a_seam_is_one() -> None:
    left, right = find(2800, 100, 200, 500, score=0.7), find(2700, 110, 500, 490, score=0.6, tile=1)
    far = find(2950, 700, 200, 200, tile=1)
    (one, other) = merge([left, right, far])
    assert one == Find(Box(2700, 100, 3200, 600), "dress", 0.7, 0) and other == far


BOXES = st.builds(
    find,
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(1, 500),
    st.floats(1, 500),
    st.sampled_from(["dress", "skirt"]),
    st.floats(0.1, 1),
    st.integers(0, 2),
)


@given(st.lists(BOXES, max_size=20))
def test_merging_keeps_the_best_of_all_and_is_done_once(finds: list[Find]) -> None:
    merged = merge(finds)
    assert len(merged) <= len(finds) and bool(merged) == bool(finds)
    assert [one.score for one in merged] == sorted((one.score for one in merged), reverse=True)
    assert max((one.score for one in merged), default=0) == max((one.score for one in finds), default=0)
    assert {one.score for one in merged} <= {one.score for one in finds}
