"""Tests of the built-in detector and embedder with their real weights, on drawn images."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import lookalike
from lookalike.adapters.compact_detector import (
    INPUT_AREA,
    CompactDetector,
    NetworkOutput,
    Region,
    find_regions,
    garment_edges,
    label_components,
    network_size,
    region_mask,
    region_to_detection,
)
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled
from lookalike.domain.guided_filter import GuidedFilter
from lookalike.domain.model import GARMENT_KINDS, Box, Detection

WEIGHTS = Path(lookalike.__file__).parent / "weights"
SHIRT_OUTLINE: tuple[tuple[int, int], ...] = (
    (60, 40),
    (100, 30),
    (140, 30),
    (180, 40),
    (230, 110),
    (195, 130),
    (180, 100),
    (180, 270),
    (60, 270),
    (60, 100),
    (45, 130),
    (10, 110),
)
EXTREME_SIZES = [(1, 1), (1, 20000), (20000, 1), (3, 700), (33, 31)]


@pytest.fixture(scope="module")
def detector() -> CompactDetector:
    return CompactDetector(WEIGHTS / "detector.onnx", threads=1)


@pytest.fixture(scope="module")
def embedder() -> CompactEmbedder:
    return CompactEmbedder(WEIGHTS / "embedder.onnx", threads=1)


def draw_shirt(color: str, background: str = "#d8cfc0") -> Image.Image:
    image = Image.new("RGB", (240, 320), background)
    ImageDraw.Draw(image).polygon(SHIRT_OUTLINE, fill=color)
    return image


def draw_cut_out(color: str) -> Image.Image:
    alpha = Image.new("L", (240, 320), 0)
    ImageDraw.Draw(alpha).polygon(SHIRT_OUTLINE, fill=255)
    image = draw_shirt(color, "white")
    image.putalpha(alpha)
    return image


def as_tuple(detection: Detection) -> tuple[Box, str | None, float | None]:
    return detection.box, detection.label, detection.score


def test_a_drawn_shirt_is_detected_at_its_place(detector: CompactDetector) -> None:
    detections = detector.detect(draw_shirt("#a02030"), CancelToken())
    assert detections
    box = max(detections, key=lambda detection: detection.box.area).box
    assert np.allclose(box.as_list(), [10, 30, 230, 270], atol=30)


def test_detections_are_sorted_labeled_masked_and_inside_the_photo(detector: CompactDetector) -> None:
    detections = detector.detect(draw_shirt("#2040a0"), CancelToken(), threshold=0.0)
    scores = [detection.score or 0 for detection in detections]
    assert scores == sorted(scores, reverse=True)
    for detection in detections:
        assert detection.label in GARMENT_KINDS and detection.score is not None and 0 <= detection.score <= 1
        assert 0 <= detection.box.x1 < detection.box.x2 <= 240 and 0 <= detection.box.y1 < detection.box.y2 <= 320
        assert detection.mask is not None and detection.mask.dtype == np.uint8 and detection.mask.any()


def test_detections_below_the_threshold_are_dropped(detector: CompactDetector) -> None:
    assert detector.detect(draw_shirt("#2040a0"), CancelToken(), threshold=1.01) == []


def test_detection_is_deterministic(detector: CompactDetector) -> None:
    first, second = (detector.detect(draw_shirt("#208040"), CancelToken(), threshold=0.0) for _ in range(2))
    assert [as_tuple(detection) for detection in first] == [as_tuple(detection) for detection in second]


def draw_empty(content: str) -> Image.Image:
    """Return an image without a garment: noise, a gradient or one color."""
    random, size = np.random.default_rng(5), (300, 400)
    if content == "noise":
        return Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8))
    if content == "gradient":
        return Image.fromarray(np.tile(np.linspace(0, 255, size[0]).astype(np.uint8)[:, None, None], (1, size[1], 3)))
    return Image.new("RGB", size, content)


@pytest.mark.parametrize("content", ["white", "black", "gray", "red", "blue", "beige", "noise", "gradient"])
def test_images_without_a_garment_have_no_detections(detector: CompactDetector, content: str) -> None:
    assert detector.detect(draw_empty(content), CancelToken()) == []


@pytest.mark.parametrize("size", EXTREME_SIZES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_photos_of_extreme_sizes_are_processed(
    detector: CompactDetector, embedder: CompactEmbedder, size: tuple[int, int], mode: str
) -> None:
    photo = Image.new(mode, size, 90).convert("RGB")
    for detection in detector.detect(photo, CancelToken(), threshold=0.0):
        box = detection.box
        assert 0 <= box.x1 < box.x2 <= size[0] and 0 <= box.y1 < box.y2 <= size[1]
    assert np.isclose(np.linalg.norm(embedder.embed([photo], CancelToken())), 1, atol=1e-5)


def test_vectors_have_length_one_and_the_order_of_the_images(embedder: CompactEmbedder) -> None:
    images = [draw_shirt("#a02030"), draw_cut_out("#a02030"), draw_shirt("#203090")] * 7
    vectors = embedder.embed(images, CancelToken())
    assert vectors.shape == (21, embedder.dim) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[:3], vectors[18:], atol=1e-3)
    assert np.allclose(vectors[1], embedder.embed([images[1]], CancelToken())[0], atol=1e-3)


def test_no_images_give_no_vectors(embedder: CompactEmbedder) -> None:
    assert embedder.embed([], CancelToken()).shape == (0, embedder.dim)


def test_a_transparent_cut_out_has_a_finite_vector(embedder: CompactEmbedder) -> None:
    transparent = Image.new("RGBA", (50, 80), (255, 255, 255, 0))
    assert np.isfinite(embedder.embed([transparent], CancelToken())).all()


def test_similar_colors_are_closer_than_different_ones(embedder: CompactEmbedder) -> None:
    cut_outs = [draw_cut_out(color) for color in ("#b02030", "#a01828", "#2040c0")]
    red, dark_red, blue = embedder.embed(cut_outs, CancelToken())
    assert red @ dark_red > red @ blue


def test_a_cancelled_token_prevents_detection_and_embedding(
    detector: CompactDetector, embedder: CompactEmbedder
) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        detector.detect(draw_shirt("#a02030"), token)
    with pytest.raises(Cancelled):
        embedder.embed([draw_shirt("#a02030")], token)


def test_cancellation_stops_a_running_embedding(embedder: CompactEmbedder) -> None:
    token = CancelToken()
    timer = threading.Timer(0.15, token.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        for _ in range(1000):
            embedder.embed([draw_shirt("#a02030")] * 16, token)
    timer.join()


def test_network_size_keeps_the_area_for_any_aspect_ratio() -> None:
    for width, height in [(512, 341), (341, 512), (4000, 10), (1, 1)]:
        across, down = network_size(width, height)
        assert across % 32 == down % 32 == 0 and 0.6 < across * down / INPUT_AREA < 1.5


def test_components_join_at_corners_and_separate_classes() -> None:
    classes = np.array([[1, 0, 2, 2], [0, 1, 0, 2], [3, 0, 1, 0], [3, 1, 0, 1]])
    labels = label_components(classes)
    assert (labels == -1).sum() == (classes == 0).sum()
    assert len(set(labels[classes == 1])) == 1
    assert len(set(labels[classes > 0])) == 3


def make_region(rows: slice, columns: slice) -> Region:
    """Return a region on a map of 20 rows and 16 columns, with probability 1 in its cells."""
    cells = np.zeros((20, 16), bool)
    cells[rows, columns] = True
    probability = np.where(cells, 1, 0).astype(np.float32)
    return Region(cells, 1, probability, probability)


def plain_filter() -> GuidedFilter:
    """Return the filter of a photo of one color, which has no edges, for a map of 20 rows and 16 columns."""
    return GuidedFilter(np.full((80, 64, 3), 90, np.uint8), 4)


def edge_map_of(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return an edge map (4, 10, 8) on which every cell predicts these edges, given in cells of the class map."""
    y, x = np.mgrid[0:10, 0:8] * 8.0 + 4
    return np.stack([x - left * 4, y - top * 4, right * 4 - x, bottom * 4 - y]).astype(np.float32)


def test_edges_follow_the_predicted_edges_rather_than_an_outlier_cell() -> None:
    region = make_region(slice(4, 12), slice(3, 9))
    region.cells[19, 15] = True
    assert garment_edges(region.cells, edge_map_of(3, 4, 9, 12)) == pytest.approx((3, 4, 9, 12))


def test_a_flat_garment_has_the_box_of_its_cells() -> None:
    region, edge_map = make_region(slice(4, 12), slice(3, 9)), edge_map_of(5, 6, 7, 8)
    boxes = {}
    for worn in (0.0, 1.0):
        class_map, photo_scores = np.zeros((15, 20, 16), np.float32), np.append(np.zeros(10), worn).astype(np.float32)
        output = NetworkOutput(class_map, photo_scores, edge_map)
        boxes[worn] = region_to_detection(region, 1.0, (160, 200), output, plain_filter()).box
    assert boxes[0.0] == Box(30, 40, 90, 120)
    assert boxes[1.0] == Box(50, 60, 70, 80)


def test_edges_are_inside_the_map_and_never_empty() -> None:
    region = make_region(slice(0, 1), slice(15, 16))
    for edge_map in (np.zeros((4, 10, 8), np.float32), np.full((4, 10, 8), 500, np.float32)):
        left, top, right, bottom = garment_edges(region.cells, edge_map)
        assert 0 <= left < right <= 16 and 0 <= top < bottom <= 20


def test_a_mask_has_the_size_of_the_box_in_pixels_of_the_input() -> None:
    region = make_region(slice(4, 12), slice(3, 9))
    mask = region_mask(region, (3, 4, 9, 12), plain_filter())
    assert mask.shape == (32, 24) and mask[8:-8, 8:-8].min() == 255
    wider = region_mask(region, (0, 4, 9, 12), plain_filter())
    assert wider[:, :8].max() == 0 and wider[8:-8, 20:-8].min() == 255


def test_the_edge_of_a_mask_is_moved_to_the_edge_in_the_photo() -> None:
    photo = np.full((80, 64, 3), 240, np.uint8)
    # the garment is two pixels narrower at each side than its cells
    photo[16:48, 14:34] = (120, 20, 40)
    mask = region_mask(make_region(slice(4, 12), slice(3, 9)), (2, 3, 10, 13), GuidedFilter(photo, 4))
    is_garment = mask[16:-16].mean(0) > 127
    # the mask begins at column 8 of the input
    assert np.flatnonzero(is_garment).tolist() == list(range(6, 26))


def two_touching_kinds(second_probability: float) -> tuple[np.ndarray, np.ndarray]:
    """Return class map and photo scores of a flat top on trousers that touch, the latter with that probability."""
    class_map = np.full((15, 20, 16), 1e-3, np.float32)
    class_map[0] = 1
    class_map[:, 2:18, 3:13] = 1e-3
    class_map[1, 2:10, 3:13] = 0.9
    class_map[1, 10:18, 3:13] = 1 - second_probability
    class_map[4, 10:18, 3:13] = second_probability
    photo_scores = np.zeros(11, np.float32)
    photo_scores[[0, 3]] = 0.95
    return class_map, photo_scores


def test_flat_garments_that_touch_are_separated_by_kind() -> None:
    regions = find_regions(*two_touching_kinds(0.9))
    assert [(GARMENT_KINDS[region.kind - 1], int(region.cells.sum())) for region in regions] == [
        ("top", 80),
        ("trousers", 80),
    ]


def test_a_flat_garment_with_an_uncertain_second_kind_stays_one() -> None:
    assert [int(region.cells.sum()) for region in find_regions(*two_touching_kinds(0.6))] == [160]
