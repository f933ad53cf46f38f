"""Colors in CIE L*a*b* with white point D65, where distances are close to perceived differences."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Lab = tuple[float, float, float]
"""L* from 0 (black) to 100 (white), a* from green to red, b* from blue to yellow."""
# Matrix, white point and constants of `rgb_to_lab`: sRGB (IEC 61966-2-1) and CIE 15, rounded to four digits.
RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
D65_WHITE = np.array([0.9505, 1.0, 1.089])
SRGB = np.arange(256) / 255
LINEAR_LIGHT = np.where(SRGB > 0.04045, ((SRGB + 0.055) / 1.055) ** 2.4, SRGB / 12.92)
"""Linear intensity, 0 to 1, of each sRGB value."""
MAX_SIDE = 128
"""Larger images are sampled down to this many pixels a side, which changes the mean color very little."""


def mean_color(image: Image.Image) -> Lab | None:
    """Return the mean color of an RGB or RGBA image, rounded to two decimals.

    Pixels are weighted by their alpha. Returns `None` if all pixels are transparent.
    """
    # NEAREST keeps pixels as they are. Other filters would mix in the color of transparent neighbors.
    size = (min(image.width, MAX_SIDE), min(image.height, MAX_SIDE))
    small = image.resize(size, Image.Resampling.NEAREST).convert("RGBA")
    pixels = np.asarray(small).reshape(-1, 4)
    pixels = pixels[pixels[:, 3] > 0]
    if not len(pixels):
        return None
    lightness, a, b = np.average(rgb_to_lab(pixels[:, :3]), axis=0, weights=pixels[:, 3]).round(2).tolist()
    return lightness, a, b


def color_distance(one: Lab, other: Lab) -> float:
    """Return the CIE76 difference. About 2 is just noticeable; black and white differ by 100."""
    return math.dist(one, other)


def rgb_to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert sRGB values 0 to 255, shape (n, 3), to L*a*b*, shape (n, 3)."""
    ratios = LINEAR_LIGHT[rgb] @ RGB_TO_XYZ.T / D65_WHITE
    roots = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    x, y, z = roots.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
