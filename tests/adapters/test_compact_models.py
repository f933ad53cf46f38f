"""The built-in models with their real weights, on drawn pictures."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import lookalike
from lookalike.adapters.compact_detector import (
    AREA,
    CompactDetector,
    Look,
    Region,
    detection,
    edges_of,
    label_components,
    mask,
    network_size,
)
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled
from lookalike.domain.model import KINDS, Box, Detection

WEIGHTS = Path(lookalike.__file__).parent / "weights"
SHIRT: tuple[tuple[int, int], ...] = (
    (60, 40),
    (100, 30),
    (140, 30),
    (180, 40),
    (230, 110),
    (195, 130),
    (180, 100),
    (180, 270),
    (60, 270),
)
SHIRT += ((60, 100), (45, 130), (10, 110))
SIZES = [(1, 1), (1, 20000), (20000, 1), (3, 700), (33, 31)]


@pytest.fixture(scope="module")
def detector() -> CompactDetector:
    return CompactDetector(WEIGHTS / "detector.onnx", threads=1)


@pytest.fixture(scope="module")
def embedder() -> CompactEmbedder:
    return CompactEmbedder(WEIGHTS / "embedder.onnx", threads=1)


def shirt(colour: str, ground: str = "#d8cfc0") -> Image.Image:
    picture = Image.new("RGB", (240, 320), ground)
    ImageDraw.Draw(picture).polygon(SHIRT, fill=colour)
    return picture


def cut_out(colour: str) -> Image.Image:
    alpha = Image.new("L", (240, 320), 0)
    ImageDraw.Draw(alpha).polygon(SHIRT, fill=255)
    picture = shirt(colour, "white")
    picture.putalpha(alpha)
    return picture


def vars_of(one: Detection) -> tuple[Box, str | None, float | None]:
    return one.box, one.label, one.score


def test_a_drawn_garment_is_found_where_it_is(detector: CompactDetector) -> None:
    found = detector.detect(shirt("#a02030"), CancelToken())
    assert found
    box = max(found, key=lambda one: one.box.area).box
    assert np.allclose(box.as_list(), [10, 30, 230, 270], atol=30)


def test_detections_are_ordered_labelled_masked_and_inside_the_photo(detector: CompactDetector) -> None:
    found = detector.detect(shirt("#2040a0"), CancelToken(), threshold=0.0)
    scores = [one.score or 0 for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert one.label in KINDS and one.score is not None and 0 <= one.score <= 1
        assert 0 <= one.box.x1 < one.box.x2 <= 240 and 0 <= one.box.y1 < one.box.y2 <= 320
        assert one.mask is not None and one.mask.dtype == np.uint8 and one.mask.any()


def test_the_threshold_drops_what_scores_lower(detector: CompactDetector) -> None:
    assert detector.detect(shirt("#2040a0"), CancelToken(), threshold=1.01) == []


def test_the_same_photo_gives_the_same_detections(detector: CompactDetector) -> None:
    once, again = (detector.detect(shirt("#208040"), CancelToken(), threshold=0.0) for _ in range(2))
    assert [vars_of(one) for one in once] == [vars_of(one) for one in again]


def nothing(what: str) -> Image.Image:
    """A picture without a garment."""
    random, size = np.random.default_rng(5), (300, 400)
    if what == "noise":
        return Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8))
    if what == "gradient":
        return Image.fromarray(np.tile(np.linspace(0, 255, size[0]).astype(np.uint8)[:, None, None], (1, size[1], 3)))
    return Image.new("RGB", size, what)


@pytest.mark.parametrize("what", ["white", "black", "grey", "red", "blue", "beige", "noise", "gradient"])
def test_where_there_is_nothing_nothing_is_found(detector: CompactDetector, what: str) -> None:
    assert detector.detect(nothing(what), CancelToken()) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_strange_photos_do_no_harm(
    detector: CompactDetector, embedder: CompactEmbedder, size: tuple[int, int], mode: str
) -> None:
    photo = Image.new(mode, size, 90).convert("RGB")
    for one in detector.detect(photo, CancelToken(), threshold=0.0):
        assert 0 <= one.box.x1 < one.box.x2 <= size[0] and 0 <= one.box.y1 < one.box.y2 <= size[1]
    assert np.isclose(np.linalg.norm(embedder.embed([photo], CancelToken())), 1, atol=1e-5)


def test_rows_have_length_one_in_the_images_order(embedder: CompactEmbedder) -> None:
    pictures = [shirt("#a02030"), cut_out("#a02030"), shirt("#203090")] * 7
    rows = embedder.embed(pictures, CancelToken())
    assert rows.shape == (21, embedder.dim) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.allclose(rows[:3], rows[18:], atol=1e-3)
    assert np.allclose(rows[1], embedder.embed([pictures[1]], CancelToken())[0], atol=1e-3)


def test_no_images_make_no_rows(embedder: CompactEmbedder) -> None:
    assert embedder.embed([], CancelToken()).shape == (0, embedder.dim)


def test_an_empty_cut_out_has_a_row(embedder: CompactEmbedder) -> None:
    empty = Image.new("RGBA", (50, 80), (255, 255, 255, 0))
    assert np.isfinite(embedder.embed([empty], CancelToken())).all()


def test_like_colours_are_nearer_than_unlike_ones(embedder: CompactEmbedder) -> None:
    pictures = [cut_out(colour) for colour in ("#b02030", "#a01828", "#2040c0")]
    red, dark_red, blue = embedder.embed(pictures, CancelToken())
    assert red @ dark_red > red @ blue


def test_a_cancelled_token_stops_all_work(detector: CompactDetector, embedder: CompactEmbedder) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        detector.detect(shirt("#a02030"), token)
    with pytest.raises(Cancelled):
        embedder.embed([shirt("#a02030")], token)


def test_cancelling_stops_running_work(embedder: CompactEmbedder) -> None:
    token = CancelToken()
    timer = threading.Timer(0.15, token.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        for _ in range(1000):
            embedder.embed([shirt("#a02030")] * 16, token)
    timer.join()


def test_the_network_sees_about_the_same_area_of_any_photo() -> None:
    for width, height in [(512, 341), (341, 512), (4000, 10), (1, 1)]:
        across, down = network_size(width, height)
        assert across % 32 == down % 32 == 0 and 0.6 < across * down / AREA < 1.5


def test_components_touch_at_corners_and_keep_classes_apart() -> None:
    classes = np.array([[1, 0, 2, 2], [0, 1, 0, 2], [3, 0, 1, 0], [3, 1, 0, 1]])
    numbers = label_components(classes)
    assert (numbers == -1).sum() == (classes == 0).sum()
    assert len(set(numbers[classes == 1])) == 1
    assert len(set(numbers[classes > 0])) == 3


def region(rows: slice, columns: slice) -> Region:
    """Cells of a map of 20 by 16."""
    cells = np.zeros((20, 16), bool)
    cells[rows, columns] = True
    return Region(cells, 1, np.where(cells, 1, 0).astype(np.float32))


def told(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """What every coarse cell says whose garment has these edges, in cells of the map: (4, 10, 8)."""
    y, x = np.mgrid[0:10, 0:8] * 8.0 + 4
    return np.stack([x - left * 4, y - top * 4, right * 4 - x, bottom * 4 - y]).astype(np.float32)


def test_a_garment_ends_where_its_cells_say_rather_than_at_the_furthest_of_them() -> None:
    one = region(slice(4, 12), slice(3, 9))
    one.cells[19, 15] = True
    left, top, right, bottom = edges_of(one, told(3, 4, 9, 12))
    assert (left, top) == pytest.approx((3, 4))
    assert 9 <= right < 12 and 12 <= bottom < 15


def test_a_garment_that_nobody_wears_ends_where_its_cells_do() -> None:
    one, edges = region(slice(4, 12), slice(3, 9)), told(5, 6, 7, 8)
    boxes = {}
    for worn in (0.0, 1.0):
        look = Look(np.zeros((15, 20, 16), np.float32), np.append(np.zeros(10), worn).astype(np.float32), edges)
        boxes[worn] = detection(one, (160, 200), look).box
    assert boxes[0.0] == Box(30, 40, 90, 120)
    assert boxes[1.0].x1 > 40 and boxes[1.0].y2 < 100


def test_a_box_is_never_empty_nor_outside_of_the_photo() -> None:
    one = region(slice(0, 1), slice(15, 16))
    for edges in (np.zeros((4, 10, 8), np.float32), np.full((4, 10, 8), 500, np.float32)):
        left, top, right, bottom = edges_of(one, edges)
        assert 0 <= left < right <= 16 and 0 <= top < bottom <= 20


def test_a_mask_covers_exactly_the_box() -> None:
    one = region(slice(4, 12), slice(3, 9))
    assert mask(one, (3, 4, 9, 12)).shape == (8, 6) and mask(one, (3, 4, 9, 12)).min() > 0
    beyond = mask(one, (0, 4, 9, 12))
    assert beyond[:, :2].max() == 0 and beyond[:, 4:].min() > 0
