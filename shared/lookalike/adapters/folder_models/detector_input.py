"""Preprocessing of detectors as `preprocessor_config.json` describes it.

Follows the image processors of transformers 4.57 for the DETR families: resize with Pillow, rescale, normalize, pad.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from lookalike.domain.errors import Misconfigured

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MAX_SIDE = 4096
"""Largest side of a network's input, in pixels."""
PATCH = 16
"""The YOLOS processor rounds the sides of the input down to multiples of this."""
DEFAULT_MAX_SIZE = 1333
"""Longest edge if `size` is a single number: the default of the DETR processors."""
EDGE_PROCESSORS = ("detr", "yolos", "conditionaldetr", "deformabledetr", "rfdetr", "lwdetr")
"""Processors that by default resize to a shortest edge of 800 pixels and normalize."""
FIXED_PROCESSORS = ("rtdetr",)
"""Processors that by default resize to 640 × 640 pixels and do not normalize."""
OTHER_PROCESSORS = {
    "rt_detr_v2": "rtdetr",
    "d_fine": "rtdetr",
    "dab_detr": "conditionaldetr",
    "table_transformer": "detr",
}
"""By `model_type`: models that use the processor of another family."""

Side = Literal["height", "width", "shortest_edge", "longest_edge", "max_height", "max_width"]


class ProcessorConfig(BaseModel):
    """The keys of `preprocessor_config.json` that matter here, with defaults that all processors share."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    do_resize: bool = True
    size: dict[Side, PositiveInt]
    resample: NonNegativeInt = Field(Image.Resampling.BILINEAR, le=5)
    do_rescale: bool = True
    rescale_factor: float = Field(1 / 255, gt=0)
    do_normalize: bool
    image_mean: tuple[float, float, float] = IMAGENET_MEAN
    image_std: tuple[float, float, float] = IMAGENET_STD
    do_pad: bool = True
    pad_size: dict[Literal["height", "width"], PositiveInt] | None = None

    @model_validator(mode="after")
    def _check(self) -> "ProcessorConfig":
        if not self.do_resize:
            raise ValueError("do_resize must be true, since photos have any size")
        if self._resize_keys() is None:
            raise ValueError(
                "size must have height and width, shortest_edge and longest_edge, or max_height and max_width"
            )
        if max(self.size.values()) > MAX_SIDE:
            raise ValueError(f"size exceeds {MAX_SIDE} pixels")
        if self.pad_size and len(self.pad_size) < 2:
            raise ValueError("pad_size must have height and width")
        if min(self.image_std) <= 0:
            raise ValueError("image_std must be positive")
        if self.padded_size and any(limit > side for limit, side in zip(self._limits(), self.padded_size, strict=True)):
            raise ValueError("pad_size is smaller than the largest resized photo")
        return self

    @property
    def padded_size(self) -> tuple[int, int] | None:
        """Height and width to which the resized photo is padded with zeros on the right and the bottom, or `None`."""
        return (self.pad_size["height"], self.pad_size["width"]) if self.do_pad and self.pad_size else None

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width of every input, or `None` if they depend on the photo."""
        if self._resize_keys() == ("height", "width"):
            return self.padded_size or (self.size["height"], self.size["width"])
        return self.padded_size

    def resized_size(self, height: int, width: int, patch: int) -> tuple[int, int]:
        """Return the height and width to which a photo of that size is resized. `patch` as in `fit_edges`."""
        match self._resize_keys():
            case ("shortest_edge", _):
                return fit_edges(height, width, self.size["shortest_edge"], self.size["longest_edge"], patch)
            case ("max_height", _):
                scale = min(self.size["max_height"] / height, self.size["max_width"] / width)
                return max(1, int(height * scale)), max(1, int(width * scale))
        return self.size["height"], self.size["width"]

    def _resize_keys(self) -> tuple[Side, Side] | None:
        # in the order in which the processors look for them
        pairs: tuple[tuple[Side, Side], ...] = (
            ("shortest_edge", "longest_edge"),
            ("max_height", "max_width"),
            ("height", "width"),
        )
        return next((pair for pair in pairs if set(pair) <= set(self.size)), None)

    def _limits(self) -> tuple[int, int]:
        if longest := self.size.get("longest_edge"):
            return longest, longest
        return (
            self.resized_size(1, 1, 1) if "height" in self.size else (self.size["max_height"], self.size["max_width"])
        )


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInput:
    """Input of a detector for one photo.

    `pixels` (1, 3, h, w), float32. The photo fills its upper left `height` × `width`; the rest is padding.
    """

    pixels: NDArray[np.float32]
    height: int
    width: int

    def pixel_mask(self, shape: tuple[int, int] | None) -> NDArray[np.bool_]:
        """Return a mask (1, h, w) that is true where the photo is, of another height and width if `shape` is given."""
        height, width = shape or self.pixels.shape[2:]
        # the center of a cell decides, as in nearest-neighbor sampling
        rows = (np.arange(height) + 0.5) * self.pixels.shape[2] / height < self.height
        columns = (np.arange(width) + 0.5) * self.pixels.shape[3] / width < self.width
        return np.asarray(rows[:, None] & columns)[None]


class DetectorInput:
    """Converts photos to a detector's input. Safe to use from several threads."""

    def __init__(self, config: ProcessorConfig, patch: int = 1) -> None:
        self.config, self._patch = config, patch

    def convert(self, image: Image.Image) -> NetworkInput:
        """Resize, rescale, normalize and pad an RGB photo."""
        config = self.config
        height, width = config.resized_size(image.height, image.width, self._patch)
        if config.padded_size:
            # rounding can exceed the longest edge by a pixel
            height, width = min(height, config.padded_size[0]), min(width, config.padded_size[1])
        resized = image.convert("RGB").resize((width, height), Image.Resampling(config.resample))
        pixels = np.asarray(resized, np.float32)
        if config.do_rescale:
            pixels = (pixels.astype(np.float64) * config.rescale_factor).astype(np.float32)
        if config.do_normalize:
            mean, std = np.array(config.image_mean, np.float32), np.array(config.image_std, np.float32)
            pixels = np.asarray((pixels - mean) / std, np.float32)
        bottom, right = config.padded_size or (height, width)
        padded = np.zeros((1, 3, bottom, right), np.float32)
        padded[0, :, :height, :width] = pixels.transpose(2, 0, 1)
        return NetworkInput(padded, height, width)


def read_detector_input(content: Mapping[str, Any], model_type: str, location: str) -> DetectorInput:
    """Return the preprocessing that `preprocessor_config.json` describes.

    `model_type` is the one of `config.json`; it names the processor if the content does not. Raises `Misconfigured` if
    the processor is not supported or a value is invalid.
    """
    file = f"{location}/preprocessor_config.json"
    processor = _processor_name(content, model_type)
    if processor not in EDGE_PROCESSORS + FIXED_PROCESSORS:
        raise Misconfigured(f"{file} describes the image processor {processor!r}, which is not one of a detector")
    is_fixed = processor in FIXED_PROCESSORS
    size = {"height": 640, "width": 640} if is_fixed else {"shortest_edge": 800, "longest_edge": DEFAULT_MAX_SIZE}
    defaults = {"size": size, "do_normalize": not is_fixed, "do_pad": not is_fixed}
    given = {key: value for key, value in content.items() if value is not None}
    if "pad_and_return_pixel_mask" in given:
        given["do_pad"] = given["pad_and_return_pixel_mask"]
    if "size" in given:
        given["size"] = _size_as_mapping(given["size"], given.get("max_size", DEFAULT_MAX_SIZE))
    try:
        config = ProcessorConfig.model_validate({**defaults, **given})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}: " for part in problem["loc"])
        raise Misconfigured(f"{file}: {where}{problem['msg'].removeprefix('Value error, ')}") from None
    return DetectorInput(config, PATCH if processor == "yolos" else 1)


def fit_edges(height: int, width: int, shortest: int, longest: int, patch: int = 1) -> tuple[int, int]:
    """Return the height and width after resizing to a shortest edge, unless the longest edge would exceed its maximum.

    Rounds as `get_size_with_aspect_ratio` of transformers does, then down to multiples of `patch`. Sides have at least
    `patch` pixels; there, the library fails for very long photos.
    """
    small, large = sorted((height, width))
    exact = float(shortest)
    if large / small * shortest > longest:
        exact = longest * small / large
    # the shorter side is rounded, the longer one truncated
    short_side, long_side = round(exact), int(exact * large / small)
    # a photo that has the size already stays as it is, except for upright photos in the YOLOS processor
    if short_side == small and (patch == 1 or height <= width):
        long_side = large
    short_side, long_side = (max(patch, side // patch * patch) for side in (short_side, long_side))
    return (short_side, long_side) if height <= width else (long_side, short_side)


def _processor_name(content: Mapping[str, Any], model_type: str) -> str:
    model_type = model_type.replace("-", "_")
    default = OTHER_PROCESSORS.get(model_type, model_type.replace("_", ""))
    name = str(content.get("image_processor_type") or content.get("feature_extractor_type") or default).lower()
    return name.removesuffix("fast").removesuffix("imageprocessor").removesuffix("featureextractor")


def _size_as_mapping(size: object, max_size: object) -> object:
    """Convert a size as older versions of transformers wrote it: the shortest edge, or height and width."""
    if isinstance(size, int):
        return {"shortest_edge": size, "longest_edge": max_size}
    if isinstance(size, list | tuple) and len(size) == 2:
        return {"height": size[0], "width": size[1]}
    return size
