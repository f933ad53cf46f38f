"""Guided filter: moves the edges of a coarse map to the edges of the photo.

He, Sun and Tang, "Guided Image Filtering", 2013, in the variant of He and Sun, "Fast Guided Filter", 2015: the map is a
linear function of the photo's colors around each cell; the functions are fitted to the cells, and applied to the pixels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Map = NDArray[np.float32]
SMOOTHNESS = 1e-3
"""Variance, of colors between 0 and 1, that counts as noise rather than as an edge."""
FIRST, SECOND = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
"""Channels of each element of the upper triangle of a 3 x 3 covariance matrix, row by row."""
IS_VARIANCE = np.array([1, 0, 0, 1, 0, 1], np.float32)
"""1 for the elements on the diagonal."""


class GuidedFilter:
    """Refines maps of one photo. A cell of a map covers `cell` x `cell` pixels of the photo."""

    def __init__(self, photo: NDArray[np.uint8], cell: int) -> None:
        self._cell, self._photo = cell, photo
        self._colors: Map = np.asarray(Image.fromarray(photo).reduce(cell), np.float32) / np.float32(255)

    def refine(self, values: Map, rows: slice, columns: slice) -> Map:
        """Return that window of a map (h, w), given in cells, at the resolution of the photo."""
        colors, values = self._colors[rows, columns], values[rows, columns]
        mean_color, mean = mean_of_neighbors(colors), mean_of_neighbors(values[..., None])
        products = mean_of_neighbors(colors[..., FIRST] * colors[..., SECOND])
        covariance = products - mean_color[..., FIRST] * mean_color[..., SECOND] + SMOOTHNESS * IS_VARIANCE
        covariance_with_values = mean_of_neighbors(colors * values[..., None]) - mean_color * mean
        slopes = solve_symmetric(covariance, covariance_with_values)
        offsets = mean[..., 0] - (slopes * mean_color).sum(-1)
        *slope_maps, offset_map = enlarge(mean_of_neighbors(np.dstack([slopes, offsets])), self._cell)
        pixels = self._photo[self._in_pixels(rows), self._in_pixels(columns)].astype(np.float32) / np.float32(255)
        red, green, blue = (slope * pixels[..., channel] for channel, slope in enumerate(slope_maps))
        return np.asarray(offset_map + red + green + blue)

    def _in_pixels(self, cells: slice) -> slice:
        return slice(cells.start * self._cell, cells.stop * self._cell)


def solve_symmetric(matrices: Map, values: Map) -> Map:
    """Solve A x = b for symmetric 3 x 3 matrices, by Cramer's rule. Several times as fast as `numpy.linalg.solve`.

    `matrices` (h, w, 6) has the upper triangles row by row; `values` and the result are (h, w, 3).
    """
    a, b, c, d, e, f = np.moveaxis(matrices, -1, 0)
    x, y, z = np.moveaxis(values, -1, 0)
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    solution = np.stack([aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z], -1)
    return np.asarray(solution / (a * aa + b * ab + c * ac)[..., None], np.float32)


def mean_of_neighbors(values: Map) -> Map:
    """Return the mean of each cell and its eight neighbors, for every channel of a map (h, w, channels)."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    vertical = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((vertical[:, :-2] + vertical[:, 1:-1] + vertical[:, 2:]) / 9, np.float32)


def enlarge(values: Map, factor: int) -> Sequence[Map]:
    """Return the channels of a map (h, w, channels), each enlarged to (factor h, factor w) by linear interpolation."""
    size = values.shape[1] * factor, values.shape[0] * factor
    channels = (Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(values, 2, 0))
    return [np.asarray(channel.resize(size, Image.Resampling.BILINEAR), np.float32) for channel in channels]
