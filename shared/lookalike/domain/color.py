"""Colors in CIE L*a*b* with white point D65, where distances are close to perceived differences."""

import math
import re
from functools import cache

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
CELL_SIZE, CELLS = 4.0, 64
"""`color_names` rounds L*, a* and b* to multiples of the size, at most that many from 0."""
HEX_COLOR = re.compile("#?([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE | re.ASCII)
MAX_SIDE = 64
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


def ciede2000(labs: NDArray[np.float64], reference: Lab) -> NDArray[np.float64]:
    """Return the CIEDE2000 differences (n,) of colors (n, 3) to a reference. 1 is about just noticeable.

    The formula and its steps are those of Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation
    notes, supplementary test data, and mathematical observations", Color Research & Application 30 (2005).
    """
    lightness, a, b = np.asarray(labs, np.float64).reshape(-1, 3).T
    lightness_0, a_0, b_0 = reference
    # The a* axis is stretched for grayish colors.
    stretch = 1 + 0.5 * (1 - _chroma_weight((np.hypot(a, b) + math.hypot(a_0, b_0)) / 2))
    chroma, chroma_0 = np.hypot(stretch * a, b), np.hypot(stretch * a_0, b_0)
    hue, hue_0 = _hue(stretch * a, b), _hue(stretch * a_0, np.full_like(b, b_0))
    has_hue = chroma * chroma_0 > 0

    hue_difference = np.where(has_hue, _wrap(hue - hue_0), 0)
    # Without a hue, that of the other color counts: its own is 0.
    mean_hue = np.where(has_hue, _mean_hue(hue, hue_0), hue + hue_0)
    mean_lightness, mean_chroma = (lightness + lightness_0) / 2, (chroma + chroma_0) / 2
    weight = 1 - 0.17 * _cos(mean_hue - 30) + 0.24 * _cos(2 * mean_hue)
    weight += 0.32 * _cos(3 * mean_hue + 6) - 0.2 * _cos(4 * mean_hue - 63)
    lightness_scale = 1 + 0.015 * (mean_lightness - 50) ** 2 / np.sqrt(20 + (mean_lightness - 50) ** 2)

    by_lightness = (lightness - lightness_0) / lightness_scale
    by_chroma = (chroma - chroma_0) / (1 + 0.045 * mean_chroma)
    chord = 2 * np.sqrt(chroma * chroma_0) * np.sin(np.radians(hue_difference) / 2)
    by_hue = chord / (1 + 0.015 * mean_chroma * weight)
    # Blue colors differ less along one direction between chroma and hue.
    rotation = np.radians(60 * np.exp(-(((mean_hue - 275) / 25) ** 2)))
    interaction = -2 * _chroma_weight(mean_chroma) * np.sin(rotation) * by_chroma * by_hue
    # Rounding can make the sum of equal colors negative.
    total: NDArray[np.float64] = by_lightness**2 + by_chroma**2 + by_hue**2 + interaction
    return np.sqrt(np.maximum(total, 0))


def _chroma_weight(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    # Multiplications are several times as fast as a power.
    cube = chroma * chroma * chroma
    seventh = cube * cube * chroma
    return np.sqrt(seventh / (seventh + 25.0**7))


def _hue(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return hue angles (n,) in degrees, 0 to 360. Gray has the hue 0."""
    return np.asarray(np.degrees(np.arctan2(b, a)) % 360, np.float64)


def _wrap(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles between -360 and 360 in the range -180 to 180."""
    return np.asarray(degrees - 360 * (degrees > 180) + 360 * (degrees < -180), np.float64)


def _mean_hue(hue: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles (n,) in the middle of the shorter way around the circle."""
    total: NDArray[np.float64] = hue + other
    return (total + np.where(np.abs(hue - other) > 180, np.where(total < 360, 360, -360), 0)) / 2


def _cos(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cos(np.radians(degrees))


def parse_hex(text: str) -> Lab:
    """Return the color of a code such as `#8a1c2b` or `#f00`; the `#` is optional. Raises `ValueError`."""
    match = HEX_COLOR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:20]!r} is not a color: write 3 or 6 hexadecimal digits, as in #8a1c2b")
    digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
    lightness, a, b = rgb_to_lab(np.array([[*bytes.fromhex(digits)]], np.uint8))[0].tolist()
    return lightness, a, b


def to_hex(lab: Lab) -> str:
    """Return the code, such as `#8a1c2b`, of the color in sRGB that is nearest channel by channel."""
    lightness, a, b = lab
    y = (lightness + 16) / 116
    roots = np.array([y + a / 500, y, y - b / 200])
    # the inverse of the formula in `rgb_to_lab`
    ratios = np.where(roots > 0.206893, roots**3, (roots - 16 / 116) / 7.787)
    linear = np.linalg.solve(RGB_TO_XYZ, ratios * D65_WHITE)
    channels = np.abs(LINEAR_LIGHT - linear[:, None]).argmin(1)
    return f"#{channels[0]:02x}{channels[1]:02x}{channels[2]:02x}"


BASIC_COLORS = {
    "black": "#161616",
    "gray": "#8a8a8a",
    "white": "#f4f4f4",
    "beige": "#d8c6a6",
    "brown": "#6b4423",
    "red": "#c2202c",
    "orange": "#ea7b1f",
    "yellow": "#f0d032",
    "green": "#3d8a45",
    "olive": "#6a6b2f",
    "turquoise": "#35b0ab",
    "blue": "#2f62b5",
    "navy": "#1f2a4d",
    "purple": "#6f3a8c",
    "pink": "#ee9fb9",
    "burgundy": "#6d1a2e",
}
"""Basic colors by name, as sRGB codes typical of fabric."""
SHADES = {
    "gray": ("#c0c0c0", "#4c4c4e"),
    "white": ("#faf5ea",),
    "beige": ("#bfa27a",),
    "brown": ("#8b5530", "#3c2818"),
    "red": ("#f01818", "#951522"),
    "orange": ("#f5a623", "#f2a07a"),
    "yellow": ("#f6ea9c",),
    "green": ("#20e030", "#9cc79c", "#1d4a2c"),
    "olive": ("#4b5330",),
    "turquoise": ("#1d6b70", "#a5dedb"),
    "blue": ("#87c5ea", "#1414f0", "#5f7fa3"),
    "navy": ("#0c0c7a",),
    "purple": ("#b79ad2", "#8a1a8a"),
    "pink": ("#e5458f", "#f6d3da"),
    "burgundy": ("#4c1220",),
}
"""Further colors with the same names, since one color cannot stand for light and dark ones."""


@cache
def named_labs() -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the names (n) and colors (n, 3) of `BASIC_COLORS` and `SHADES`."""
    pairs = [*BASIC_COLORS.items(), *((name, code) for name, codes in SHADES.items() for code in codes)]
    return tuple(name for name, _ in pairs), np.array([parse_hex(code) for _, code in pairs])


def count_color_names(labs: NDArray[np.float64]) -> dict[str, int]:
    """Return how many of the colors (n, 3) have each name, as `color_names` gives it. Names without colors are missing.

    Fast also for many colors: the name of each cell of L*a*b* is computed once per process.
    """
    names, table = named_labs()[0], _nearest_by_cell()
    cells = _cell_numbers(labs)
    unknown = np.unique(cells[table[cells] < 0])
    table[unknown] = _nearest(_cell_centers(unknown))
    counts = np.bincount(table[cells], minlength=len(names)).tolist()
    totals: dict[str, int] = {}
    for name, count in zip(names, counts, strict=True):
        if count:
            totals[name] = totals.get(name, 0) + count
    return totals


def color_names(labs: NDArray[np.float64]) -> list[str]:
    """Return the names (n) of the basic colors that are nearest to colors (n, 3), as `color_name` does.

    To be fast for many colors, coordinates are rounded to multiples of `CELL_SIZE` first.
    """
    cells, inverse = np.unique(_cell_numbers(labs), return_inverse=True)
    names, nearest = named_labs()[0], _nearest(_cell_centers(cells))
    return [names[index] for index in nearest[inverse].tolist()]


def color_name(lab: Lab) -> str:
    """Return the name of the basic color of which a shade is nearest by CIEDE2000."""
    return named_labs()[0][int(_nearest(np.array([lab]))[0])]


def _cell_numbers(labs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a number for the cell of each color: its rounded coordinates as the digits of one number."""
    cells = np.clip(np.rint(labs / CELL_SIZE), -CELLS, CELLS).astype(np.int64) + CELLS
    return np.asarray(np.ravel_multi_index((cells[:, 0], cells[:, 1], cells[:, 2]), (2 * CELLS + 1,) * 3), np.int64)


def _cell_centers(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    cells = np.column_stack(np.unravel_index(numbers, (2 * CELLS + 1,) * 3))
    return np.asarray((cells - CELLS) * CELL_SIZE, np.float64)


@cache
def _nearest_by_cell() -> NDArray[np.int8]:
    """Return a table (2 MB) by cell number with positions in `named_labs`, -1 where it is not computed yet."""
    return np.full((2 * CELLS + 1) ** 3, -1, np.int8)


def _nearest(labs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the position in `named_labs` of the color nearest to each of the colors (n, 3)."""
    _, references = named_labs()
    distances = np.stack([ciede2000(labs, (lightness, a, b)) for lightness, a, b in references.tolist()])
    return np.asarray(distances.argmin(0), np.int64)


def rgb_to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert sRGB values 0 to 255, shape (n, 3), to L*a*b*, shape (n, 3)."""
    ratios = LINEAR_LIGHT[rgb] @ RGB_TO_XYZ.T / D65_WHITE
    roots = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    x, y, z = roots.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
