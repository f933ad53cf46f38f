"""Preprocessing of images by `preprocessor_config.json`. `tests/full` compares it with transformers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.adapters.folder_models.preprocessing import Preprocessing, center_crop, parse_preprocessing
from lookalike.domain.errors import Misconfigured
from tests.sample_photos import sample_photo

SMALL = {"size": {"height": 24, "width": 16}}


def parse(processor: str = "CLIPImageProcessor", **options: Any) -> Preprocessing:
    return parse_preprocessing({"image_processor_type": processor, **options}, "CLIPImageProcessor")


def test_defaults_are_those_of_the_processor() -> None:
    clip, siglip, dino = (
        parse(name) for name in ("CLIPImageProcessor", "SiglipImageProcessorFast", "ViTFeatureExtractor")
    )
    assert (clip.shortest_edge, clip.crop, clip.resample) == (224, (224, 224), Image.Resampling.BICUBIC)
    assert (siglip.size, siglip.crop, siglip.mean) == ((224, 224), None, (0.5, 0.5, 0.5))
    assert (dino.size, dino.resample) == ((224, 224), Image.Resampling.BILINEAR)
    assert parse_preprocessing({}, "SiglipImageProcessor") == siglip


def test_numbers_are_sides_or_shortest_edges() -> None:
    """Descriptions of early versions have numbers."""
    assert parse(size=30, crop_size=20).shortest_edge == 30 and parse(size=30, crop_size=20).crop == (20, 20)
    assert parse("ViTImageProcessor", size=30).size == (30, 30)


def test_steps_can_be_switched_off() -> None:
    pixels = parse("SiglipImageProcessor", **SMALL, do_rescale=False, do_normalize=False).apply(
        Image.new("RGB", (50, 50), (10, 20, 30))
    )
    assert pixels.shape == (3, 24, 16) and pixels.dtype == np.float32
    assert np.allclose(pixels[:, 0, 0], (10, 20, 30))
    unresized = parse(do_resize=False, crop_size={"height": 4, "width": 6}).apply(Image.new("RGB", (5, 9), "white"))
    assert unresized.shape == (3, 4, 6)


def test_pixels_are_resized_rescaled_and_normalized() -> None:
    photo, mean, std = sample_photo(2), np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.6, 0.7])
    pixels = parse("SiglipImageProcessor", **SMALL, image_mean=list(mean), image_std=list(std), resample=1).apply(photo)
    resized = np.asarray(photo.resize((16, 24), Image.Resampling.LANCZOS)) / 255
    assert np.allclose(pixels, ((resized - mean) / std).transpose(2, 0, 1), atol=1e-6)


def test_dinov3_does_not_round_resized_values() -> None:
    options = {**SMALL, "do_normalize": False}
    rounded, exact = (
        parse(name, **options).apply(sample_photo(2)) for name in ("ViTImageProcessor", "DINOv3ViTImageProcessorFast")
    )
    assert 0 < np.abs(rounded - exact).max() <= 1.01 / 255
    assert np.allclose(rounded * 255, np.round(rounded * 255), atol=1e-4)
    assert not np.allclose(exact * 255, np.round(exact * 255), atol=1e-2)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["RGB", "RGBA", "L"]),
)
def test_images_of_any_shape_have_the_output_size(size: tuple[int, int], edge: int, crop: int, mode: str) -> None:
    preprocessing = parse(size={"shortest_edge": edge}, crop_size={"height": crop, "width": crop + 3})
    pixels = preprocessing.apply(Image.new(mode, size))
    assert pixels.shape == (3, *preprocessing.output_size) and np.isfinite(pixels).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_crop_keeps_the_center(height: int, width: int, crop_height: int, crop_width: int) -> None:
    """At most one pixel more is cut off or added on one side than on the other."""
    rows = np.arange(1, height + 1)[:, None, None] * np.ones((1, width, 3), int)
    cropped = center_crop(rows, (crop_height, crop_width))
    assert cropped.shape == (crop_height, crop_width, 3)
    kept = [int(row) for row in cropped[:, crop_width // 2, 0]]
    inside = [row for row in kept if row]
    assert inside == list(range(inside[0], inside[-1] + 1)) and len(inside) == min(height, crop_height)
    if crop_height <= height:
        assert abs((inside[0] - 1) - (height - inside[-1])) <= 1
    else:
        assert abs(kept.index(inside[0]) - kept[::-1].index(inside[-1])) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_processor_type": "BlipImageProcessor"}, "BlipImageProcessor is not supported; supported: CLIP"),
        ({"do_pad": True}, "the option do_pad is not supported"),
        ({"do_flip_channel_order": True}, "the option do_flip_channel_order is not supported"),
        ({"pad_size": {"height": 9, "width": 9}}, "the option pad_size is not supported"),
        ({"crop_pct": 0.875}, "the option crop_pct is not supported"),
        ({"size": {"longest_edge": 100}}, "size must have height and width"),
        ({"size": {"shortest_edge": 0}}, "a size must be 1 to 4096 pixels, and is 0"),
        ({"size": {"shortest_edge": "224"}}, "a size must be 1 to 4096 pixels, and is '224'"),
        ({"crop_size": [224, 224]}, "crop_size must have height and width"),
        ({"do_center_crop": False}, "a center crop or a fixed size is needed"),
        ({"resample": 9}, "resample must be the number of a filter of Pillow"),
        ({"image_mean": [0.5, 0.5]}, "image_mean must be a number or three numbers"),
        ({"image_mean": "0.5"}, "image_mean must be a number or three numbers"),
        ({"image_std": [1, 0, 1]}, "image_std must not contain 0"),
        ({"rescale_factor": "1/255"}, "rescale_factor must be a number"),
    ],
)
def test_what_is_not_supported_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        parse_preprocessing(options, "CLIPImageProcessor")


def test_null_and_switched_off_options_are_ignored() -> None:
    assert parse(do_pad=False, pad_size=None, processor_class="CLIPProcessor", size=None) == parse()
