"""Built-in embedder: a small network's category and garment features, joined with two color histograms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.onnx import Network, RunCounter, resize_to_array
from lookalike.domain.cancel import CancelToken
from lookalike.domain.color import rgb_to_lab
from lookalike.domain.model import Vectors

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]

SIDE, BATCH = 160, 16
"""Pixels per side of the network's input, and images per run."""
LEARNED_DIM, BINS = 64 + 128, 5
"""Numbers of the network's category and garment features, and bins of each color axis."""
CATEGORY_WEIGHT, GARMENT_WEIGHT, HISTOGRAM_WEIGHT, MEAN_COLOR_WEIGHT = 1.0, 0.65, 0.5, 0.5
"""Factors of the four unit vectors before they are joined, tuned on the validation photos (see weights/CARD.md)."""
HISTOGRAM_WIDTH, MEAN_COLOR_WIDTH = 0.6, 0.9
"""Widths of the Gaussian bins, in distances between bin centers."""
LIGHTNESS_CENTERS, CHROMA_CENTERS = np.linspace(8, 92, BINS), np.linspace(-36, 36, BINS)
"""Bin centers in CIE L*a*b*. Values beyond the outer centers count in the outer bins."""
MIN_COVERAGE = 0.3
"""Minimum coverage of pixels that count for the colors."""
EMPTY_PIXEL = np.array([255, 255, 255, 0], np.uint8)
"""White and transparent."""


class CompactEmbedder:
    """Embeds garments as unit vectors, whose dot product is their similarity. Safe to use from several threads."""

    name = "compact-6"
    dim = LEARNED_DIM + 2 * BINS**3

    def __init__(self, weights: Path, threads: int = 2, runs: RunCounter | None = None) -> None:
        self._network = Network(weights, threads, runs or RunCounter())

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Return unit vectors (n, dim) of RGB photos or RGBA cut-outs, in their order."""
        starts = range(0, len(images), BATCH)
        batches = [self._embed_batch(images[start : start + BATCH], cancel) for start in starts]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *batches])

    def _embed_batch(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        cancel.check()
        pixels = np.stack([fit_on_canvas(image) for image in images])
        category, garment = self._network.run({"pixels": pixels}, cancel)
        histograms, mean_colors = (np.stack(part) for part in zip(*map(color_features, pixels), strict=True))
        parts = (
            CATEGORY_WEIGHT * category,
            GARMENT_WEIGHT * garment,
            HISTOGRAM_WEIGHT * histograms,
            MEAN_COLOR_WEIGHT * mean_colors,
        )
        return normalize_rows(np.concatenate(parts, 1))


def normalize_rows(rows: NDArray[np.floating]) -> Floats:
    """Scale rows (n, dim) to length 1. Rows of zeros stay zero."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def fit_on_canvas(image: Image.Image) -> Bytes:
    """Center the image on a transparent white square and scale it to fill the longer side: RGBA (SIDE, SIDE, 4)."""
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    factor = SIDE / max(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    canvas = np.full((SIDE, SIDE, 4), EMPTY_PIXEL, np.uint8)
    canvas[top : top + height, left : left + width] = _resize_with_alpha(image, width, height)
    # The network sees color below alpha 0, so it must not depend on what was cut away. Each pixel is written as one
    # number, which takes a tenth of the time of writing four.
    canvas.view(np.uint32)[canvas[..., 3] == 0] = EMPTY_PIXEL.view(np.uint32)
    return canvas


def _resize_with_alpha(image: Image.Image, width: int, height: int) -> Bytes:
    """Return RGBA pixels (height, width, 4)."""
    # resized apart from the alpha: Pillow's RGBA resize premultiplies, which the network was not trained on
    color = resize_to_array(image.convert("RGB"), width, height)
    if image.mode == "RGB":
        return np.dstack([color, np.full((height, width), 255, np.uint8)])
    return np.dstack([color, resize_to_array(image.getchannel("A"), width, height)])


def color_features(pixels: Bytes) -> tuple[Floats, Floats]:
    """Describe the colors of RGBA pixels (SIDE, SIDE, 4): unit histograms (BINS³,) of all colors and of the mean color.

    Both are zero if the image is empty.
    """
    # every fourth pixel of every fourth row is enough for a histogram and sixteen times faster
    sampled = pixels[::4, ::4].reshape(-1, 4)
    weights = sampled_coverage(pixels[..., 3]).reshape(-1)
    inside = weights > MIN_COVERAGE
    if not inside.any():
        return np.zeros(BINS**3, np.float32), np.zeros(BINS**3, np.float32)
    lab = rgb_to_lab(sampled[inside, :3])
    mean = np.average(lab, axis=0, weights=weights[inside])
    histogram = soft_histogram(lab, weights[inside], HISTOGRAM_WIDTH)
    return histogram, soft_histogram(mean[None], np.ones(1), MEAN_COLOR_WIDTH)


def sampled_coverage(alpha: Bytes) -> Doubles:
    """Return how much of every fourth pixel of every fourth row belongs to the garment, 0 to 1.

    This is the alpha (SIDE, SIDE) of a cut-out. A photo without transparency gets a Gaussian around its center instead.
    """
    coverage = alpha[::4, ::4] / 255.0
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows) or alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].min() < 128:
        return coverage
    offset = ((np.arange(SIDE) - SIDE / 2 + 0.5) / (SIDE * 0.3))[::4]
    return np.asarray(coverage * np.exp(-0.5 * (offset[:, None] ** 2 + offset[None] ** 2)))


def soft_histogram(lab: Doubles, weights: Doubles, width: float) -> Floats:
    """Return the square roots of a normalized soft histogram (BINS³,) of L*a*b* colors (n, 3) with weights (n,).

    The dot product of two results is the Bhattacharyya coefficient of the histograms.
    """
    axes = zip(lab.T, (LIGHTNESS_CENTERS, CHROMA_CENTERS, CHROMA_CENTERS), strict=True)
    lightness, a, b = (soft_bins(values, centers, width) for values, centers in axes)
    chroma = (a[:, :, None] * b[:, None]).reshape(len(lab), -1)
    counts = (lightness * weights[:, None]).T @ chroma
    return np.asarray(np.sqrt(counts / counts.sum()).reshape(-1), np.float32)


def soft_bins(values: Doubles, centers: Doubles, width: float) -> Doubles:
    """Distribute each value (n,) over equidistant bins by a Gaussian: shares (n, bins) that sum to 1.

    `width` is the standard deviation, in distances between centers.
    """
    offsets = np.clip(values, centers[0], centers[-1])[:, None] - centers
    shares = np.exp(-0.5 * (offsets / (width * (centers[1] - centers[0]))) ** 2)
    return np.asarray(shares / shares.sum(1, keepdims=True))
