"""Preprocessing of detectors: sizes, values, padding and masks. `tests/full` compares it with transformers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.adapters.folder_models.detector_input import DetectorInput, fit_edges, read_detector_input
from lookalike.domain.errors import Misconfigured

DETR = {"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 100, "longest_edge": 160}}
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def read(content: dict[str, Any], model_type: str = "detr") -> DetectorInput:
    return read_detector_input(content, model_type, "folder")


def shape(content: dict[str, Any], width: int, height: int, model_type: str = "detr") -> tuple[int, ...]:
    pixels = read(content, model_type).convert(Image.new("RGB", (width, height))).pixels
    assert pixels.dtype == np.float32 and pixels.flags.c_contiguous
    return pixels.shape


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (200, 200, (100, 100)),
        (50, 60, (120, 100)),
        (151, 300, (160, 81)),
        (300, 151, (81, 160)),
        (100, 130, (130, 100)),
        # one pixel at least; the library fails
        (1, 4000, (160, 1)),
    ],
)
def test_edges_keep_the_aspect_ratio(width: int, height: int, expected: tuple[int, int]) -> None:
    assert shape(DETR, width, height) == (1, 3, *expected)


def test_yolos_rounds_down_to_patches() -> None:
    yolos = {**DETR, "image_processor_type": "YolosFeatureExtractor"}
    assert shape(yolos, 50, 60) == (1, 3, 112, 96)
    assert shape(yolos, 1, 4000) == (1, 3, 160, 16)


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([1, 16]))
def test_edges_are_within_their_limits(height: int, width: int, patch: int) -> None:
    sides = fit_edges(height, width, 800, 1333, patch)
    assert patch <= min(sides) <= 800
    # a photo that has the shortest edge already is not resized, although it exceeds the longest by rounding
    assert max(sides) <= 1333 or max(sides) == max(height, width) // patch * patch
    assert all(side % patch == 0 for side in sides)


@pytest.mark.parametrize(
    ("content", "model_type", "expected"),
    [
        ({}, "detr", (800, 1066)),
        ({}, "yolos", (800, 1056)),
        ({}, "rt_detr", (640, 640)),
        ({}, "d_fine", (640, 640)),
        ({}, "dab-detr", (800, 1066)),
        ({"size": 400, "max_size": 500}, "detr", (375, 500)),
        ({"size": 400}, "detr", (400, 533)),
        ({"size": [300, 200]}, "detr", (300, 200)),
        ({"size": {"max_height": 300, "max_width": 500}}, "detr", (300, 400)),
        ({"image_processor_type": "RTDetrImageProcessorFast"}, "rt_detr", (640, 640)),
        ({"feature_extractor_type": "DetrFeatureExtractor", "size": None}, "detr", (800, 1066)),
        ({"pad_size": {"height": 1400, "width": 1350}}, "detr", (1400, 1350)),
        ({"pad_size": {"height": 1400, "width": 1350}, "pad_and_return_pixel_mask": False}, "detr", (800, 1066)),
    ],
)
def test_sizes_and_their_defaults(content: dict[str, Any], model_type: str, expected: tuple[int, int]) -> None:
    assert shape(content, 400, 300, model_type) == (1, 3, *expected)


def test_values_are_rescaled_and_normalized() -> None:
    image = Image.new("RGB", (20, 30), (255, 51, 0))
    normalized = read(DETR).convert(image).pixels[0, :, 5, 5]
    assert normalized == pytest.approx((np.array([1, 0.2, 0]) - MEAN) / STD, abs=1e-6)
    rescaled = read({}, "rt_detr").convert(image).pixels[0, :, 5, 5]
    assert rescaled == pytest.approx([1, 0.2, 0])
    raw = read({"do_rescale": False}, "rt_detr").convert(image).pixels[0, :, 5, 5]
    assert raw == pytest.approx([255, 51, 0])


def test_padding_is_zero_and_outside_the_mask() -> None:
    padded = read({**DETR, "pad_size": {"height": 160, "width": 200}})
    converted = padded.convert(Image.new("RGB", (50, 60), "white"))
    assert converted.pixels.shape == (1, 3, 160, 200) and (converted.height, converted.width) == (120, 100)
    assert converted.pixels[0, :, :120, :100].min() > 1
    assert not converted.pixels[0, :, 120:].any() and not converted.pixels[0, :, :, 100:].any()
    mask = converted.pixel_mask(None)
    assert mask.shape == (1, 160, 200) and mask[0, :120, :100].all() and mask.sum() == 120 * 100
    assert converted.pixel_mask((16, 20)).sum() == 12 * 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image_processor_type": "CLIPImageProcessor"}, "'clip', which is not one of a detector"),
        ({"do_resize": False}, "do_resize must be true"),
        ({"size": {"height": 9000, "width": 640}}, "size exceeds 4096 pixels"),
        ({"size": {"shortest_edge": 10}}, "size must have height and width"),
        ({"size": {"height": 0, "width": 64}}, "size"),
        ({"image_std": [0, 1, 1]}, "image_std must be positive"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"resample": 7}, "resample"),
        ({"pad_size": {"height": 100, "width": 5000}}, "pad_size is smaller than the largest resized photo"),
        ({"pad_size": {"height": 100}}, "pad_size must have height and width"),
    ],
)
def test_descriptions_that_cannot_be_followed_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=f"folder/preprocessor_config.json.*{message}"):
        read(content)
