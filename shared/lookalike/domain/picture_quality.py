"""Which of two pictures of the same garment is better: the larger one, or of similar sizes the sharper one."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

SIMILAR_AREA = 1.1
"""Ratio of areas up to which sharpness decides."""


@dataclass(frozen=True, slots=True)
class PictureQuality:
    """Size and sharpness of a picture."""

    area: int
    """Width times height in pixels."""
    sharpness: float
    """Variance of the Laplacian of the brightness (Pech-Pacheco et al., 2000)."""

    def is_better_than(self, other: "PictureQuality") -> bool:
        """Return whether this picture should be kept instead of the other one."""
        larger, smaller = max(self.area, other.area), min(self.area, other.area)
        if larger > SIMILAR_AREA * smaller:
            return self.area > other.area
        return self.sharpness > other.sharpness


def measure_quality(image: Image.Image) -> PictureQuality:
    """Measure a picture of any mode."""
    gray = np.asarray(image.convert("RGB").convert("L"), np.float32)
    sharpness = 0.0
    if min(gray.shape) >= 3:
        neighbors = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
        sharpness = float((neighbors - 4 * gray[1:-1, 1:-1]).var())
    return PictureQuality(image.width * image.height, sharpness)
