"""Colours in CIE L*a*b* of white D65, where they are about as far apart as they look."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Lab = tuple[float, float, float]
"""L* from 0 (black) to 100 (white), a* from green to red, b* from blue to yellow."""
RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
D65_WHITE = np.array([0.9505, 1.0, 1.089])
MAX_SIDE = 128
"""Of larger pictures, so many rows and columns count."""


def mean_color(image: Image.Image) -> Lab | None:
    """Of an RGB picture, or of an RGBA one as far as it is opaque; to two decimals. None where nothing is."""
    # nearest takes pixels as they are; others would mix in what lies under the transparent ones
    size = (min(image.width, MAX_SIDE), min(image.height, MAX_SIDE))
    small = image.resize(size, Image.Resampling.NEAREST).convert("RGBA")
    pixels = np.asarray(small).reshape(-1, 4)
    pixels = pixels[pixels[:, 3] > 0]
    if not len(pixels):
        return None
    lightness, red, yellow = np.average(rgb_to_lab(pixels[:, :3]), axis=0, weights=pixels[:, 3]).round(2).tolist()
    return lightness, red, yellow


def color_distance(one: Lab, other: Lab) -> float:
    """CIE76: 2 is just seen, 100 is black beside white."""
    return math.dist(one, other)


def rgb_to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """sRGB (n, 3) in L*a*b* (n, 3)."""
    values = rgb / 255.0
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    ratios = linear @ RGB_TO_XYZ.T / D65_WHITE
    roots = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    x, y, z = roots.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
