"""Preprocessing of images as `preprocessor_config.json` describes it, equal to transformers' image processors.

Resizes with Pillow, as the processors do that the published models were evaluated with. Their "fast" variants use
torchvision, which differs from Pillow by at most one of 255 levels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.folder_models.files import PREPROCESSOR_FILE
from lookalike.domain.compositing import composite_on_white
from lookalike.domain.errors import Misconfigured

Floats = NDArray[np.float32]
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
SHORTEST_224, SQUARE_224 = {"shortest_edge": 224}, {"height": 224, "width": 224}
BILINEAR, BICUBIC = int(Image.Resampling.BILINEAR), int(Image.Resampling.BICUBIC)
MAX_SIDE = 4096
"""Largest side in pixels that a description may ask for."""

CLIP_DEFAULTS: dict[str, Any] = {
    "size": SHORTEST_224,
    "resample": BICUBIC,
    "do_center_crop": True,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
SQUARE_DEFAULTS: dict[str, Any] = {"size": SQUARE_224, "image_mean": HALF, "image_std": HALF}
PROCESSORS: dict[str, dict[str, Any]] = {
    "CLIPImageProcessor": CLIP_DEFAULTS,
    "BitImageProcessor": CLIP_DEFAULTS,
    "SiglipImageProcessor": SQUARE_DEFAULTS | {"resample": BICUBIC},
    "ViTImageProcessor": SQUARE_DEFAULTS | {"resample": BILINEAR},
    "DINOv3ViTImageProcessor": {
        "size": SQUARE_224,
        "resample": BILINEAR,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    },
}
"""Defaults of transformers 4.57 by the name of the image processor. Missing entries are the same for all of them."""
COMMON_DEFAULTS: dict[str, Any] = {
    "do_resize": True,
    "do_center_crop": False,
    "crop_size": SQUARE_224,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
}
APPLIED_STEPS = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}
FLOAT_RESIZE = {"DINOv3ViTImageProcessor"}
"""Processors that rescale before they resize, so that resized values are not rounded to integers."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Maps an image to the pixels that the network reads. Sizes are (height, width)."""

    shortest_edge: int
    """Pixels of the shorter side after resizing; 0: resize to `size` instead."""
    size: tuple[int, int] | None
    """Size after resizing; `None`: the aspect ratio is kept, or images are not resized."""
    resample: Image.Resampling
    resizes_floats: bool
    crop: tuple[int, int] | None
    rescale_factor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the result, which is the same for all images."""
        size = self.crop or self.size
        assert size is not None
        return size

    def apply(self, image: Image.Image) -> Floats:
        """Return normalized pixels (3, height, width). Transparent parts of a cut-out become white."""
        resized = self._resize(composite_on_white(image))
        cropped = center_crop(resized, self.crop) if self.crop else resized
        scaled = (cropped.astype(np.float64) * self.rescale_factor).astype(np.float32)
        normalized = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normalized.transpose(2, 0, 1))

    def _resize(self, image: Image.Image) -> NDArray[Any]:
        """Return the resized pixels (height, width, 3): uint8, or float32 if values are not rounded."""
        height, width = self._resized_size(image.width, image.height)
        if not self.resizes_floats:
            return np.asarray(image.resize((width, height), self.resample))
        channels = [channel.convert("F").resize((width, height), self.resample) for channel in image.split()]
        return np.stack([np.asarray(channel) for channel in channels], -1)

    def _resized_size(self, width: int, height: int) -> tuple[int, int]:
        if not self.shortest_edge:
            return self.size or (height, width)
        # truncated, as get_resize_output_image_size in transformers
        longest = int(self.shortest_edge * max(width, height) / min(width, height))
        return (longest, self.shortest_edge) if width <= height else (self.shortest_edge, longest)


def center_crop(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Crop the center of pixels (height, width, 3). A smaller image is padded with zeros first."""
    missing = [max(0, wanted - actual) for wanted, actual in zip(size, pixels.shape[:2], strict=True)]
    if any(missing):
        pixels = np.pad(pixels, [*(((count + 1) // 2, count // 2) for count in missing), (0, 0)])
    top, left = ((actual - wanted) // 2 for wanted, actual in zip(size, pixels.shape[:2], strict=True))
    return pixels[top : top + size[0], left : left + size[1]]


def parse_preprocessing(config: Mapping[str, Any], default_processor: str) -> Preprocessing:
    """Read the content of `preprocessor_config.json`.

    `default_processor` is the processor of the model's family, for a description that does not name one.
    Raises `Misconfigured` for a processor or an option that is not supported.
    """
    processor = _processor_name(config, default_processor)
    values = (
        COMMON_DEFAULTS | PROCESSORS[processor] | {key: value for key, value in config.items() if value is not None}
    )
    if unsupported := sorted(key for key in config if _is_unsupported(key, config[key])):
        raise _error(f"the option {unsupported[0]} is not supported")
    keeps_ratio = "shortest_edge" in PROCESSORS[processor]["size"]
    shortest, size = _parse_size(values["size"], keeps_ratio) if values["do_resize"] else (0, None)
    crop = _parse_crop(values["crop_size"]) if values["do_center_crop"] else None
    if crop is None and size is None:
        raise _error("images of different shapes would have different sizes: a center crop or a fixed size is needed")
    is_normalized = values["do_normalize"]
    return Preprocessing(
        shortest_edge=shortest,
        size=size,
        resample=_parse_resample(values["resample"]),
        resizes_floats=processor in FLOAT_RESIZE,
        crop=crop,
        rescale_factor=_number("rescale_factor", values["rescale_factor"]) if values["do_rescale"] else 1.0,
        mean=_parse_channels("image_mean", values["image_mean"]) if is_normalized else (0.0,) * 3,
        std=_parse_channels("image_std", values["image_std"]) if is_normalized else (1.0,) * 3,
    )


def _processor_name(config: Mapping[str, Any], default: str) -> str:
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or default)
    known = name.removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    if known not in PROCESSORS:
        raise _error(f"the image processor {name} is not supported; supported: {', '.join(PROCESSORS)}")
    return known


def _is_unsupported(key: str, value: Any) -> bool:
    """Return whether a key describes a step that is not applied here. Keys that describe nothing are ignored."""
    is_step = key.startswith(("do_", "pad_")) or key in {"rescale_offset", "crop_pct", "max_num_patches"}
    return is_step and bool(value) and key not in APPLIED_STEPS


def _parse_size(value: Any, keeps_ratio: bool) -> tuple[int, tuple[int, int] | None]:
    """Return the shortest edge and the size; one of them is set. A number means what the processor says."""
    if isinstance(value, int):
        return (_side(value), None) if keeps_ratio else (0, (_side(value), _side(value)))
    if isinstance(value, Mapping) and set(value) == {"shortest_edge"}:
        return _side(value["shortest_edge"]), None
    return 0, _parse_crop(value, "size")


def _parse_crop(value: Any, key: str = "crop_size") -> tuple[int, int]:
    if isinstance(value, Mapping) and set(value) == {"height", "width"}:
        return _side(value["height"]), _side(value["width"])
    if isinstance(value, int):
        return _side(value), _side(value)
    raise _error(f"{key} must have height and width, or be a number, and is {value!r}")


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
        raise _error(f"a size must be 1 to {MAX_SIDE} pixels, and is {value!r}")
    return value


def _parse_resample(value: Any) -> Image.Resampling:
    try:
        return Image.Resampling(value)
    except ValueError:
        raise _error(f"resample must be the number of a filter of Pillow, 0 to 5, and is {value!r}") from None


def _parse_channels(key: str, value: Any) -> tuple[float, ...]:
    values = [value] * 3 if isinstance(value, int | float) else value
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise _error(f"{key} must be a number or three numbers, and is {value!r}")
    numbers = tuple(_number(key, number) for number in values)
    if key == "image_std" and not all(numbers):
        raise _error("image_std must not contain 0")
    return numbers


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise _error(f"{key} must be a number, and is {value!r}")
    return float(value)


def _error(problem: str) -> Misconfigured:
    return Misconfigured(f"{PREPROCESSOR_FILE}: {problem}")
