"""The built-in embedder: a small network for category and garment, joined to a description of the colours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.onnx import open_session, run
from lookalike.domain.cancel import CancelToken
from lookalike.domain.color import lab_of
from lookalike.domain.model import Vectors

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SIDE, BATCH = 192, 16
LEARNED, BINS = 64 + 128, 5
"""Numbers that the network gives for category and garment; bins of each axis of colour."""
CATEGORY, GARMENT, PALETTE, SHADE = 1.0, 0.7, 0.3, 0.3
"""Weights of the joined parts: category, single garment, all its colours, its mean colour."""
LIGHTNESS, CHROMA = np.linspace(8, 92, BINS), np.linspace(-36, 36, BINS)
"""Centres of the colour bins in CIE L*a*b*."""


class CompactEmbedder:
    """Unit rows, close for garments that look alike. One instance may be used from several threads."""

    name = "compact-3"
    dim = LEARNED + 2 * BINS**3

    def __init__(self, weights: Path, threads: int = 2) -> None:
        self._session = open_session(weights, threads)

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Unit rows (n, dim) of RGB photos or RGBA cut-outs, in their order."""
        starts = range(0, len(images), BATCH)
        rows = [self._embed(images[start : start + BATCH], cancel) for start in starts]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *rows])

    def _embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        cancel.check()
        pixels = np.stack([framed(image) for image in images])
        category, garment = run(self._session, {"pixels": pixels}, cancel)
        palette, shade = (np.stack(part) for part in zip(*(colours(one) for one in pixels), strict=True))
        parts = (CATEGORY * category, GARMENT * garment, PALETTE * palette, SHADE * shade)
        return unit(np.concatenate(parts, 1))


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows (n, dim) brought to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def framed(image: Image.Image) -> Bytes:
    """RGB and alpha (SIDE, SIDE, 4), the longest side filled, the rest transparent white."""
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    factor = SIDE / max(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    canvas = np.full((SIDE, SIDE, 4), (255, 255, 255, 0), np.uint8)
    canvas[top : top + height, left : left + width] = shrunk(image, width, height)
    canvas[canvas[..., 3] == 0] = (255, 255, 255, 0)
    return canvas


def shrunk(image: Image.Image, width: int, height: int) -> Bytes:
    """Pixels (height, width, 4) of the picture at that size."""
    size, how = (width, height), Image.Resampling.BILINEAR
    colour = np.asarray(image.convert("RGB").resize(size, how, reducing_gap=3.0), np.uint8)
    if image.mode == "RGB":
        return np.dstack([colour, np.full((height, width), 255, np.uint8)])
    alpha = image.getchannel("A").resize(size, how, reducing_gap=3.0)
    return np.dstack([colour, np.asarray(alpha, np.uint8)])


def colours(pixels: Bytes) -> tuple[Floats, Floats]:
    """How the garment's pixels (SIDE, SIDE, 4) spread over the bins, and their mean: two unit rows."""
    small = pixels[::3, ::3].reshape(-1, 4)
    weights = cover(pixels)[::3, ::3].reshape(-1)
    inside = weights > 0.3
    if not inside.any():
        return np.zeros(BINS**3, np.float32), np.zeros(BINS**3, np.float32)
    lab = lab_of(small[inside, :3])
    mean = np.average(lab, axis=0, weights=weights[inside])
    return spread(lab, weights[inside], 0.6), spread(mean[None], np.ones(1), 0.9)


def cover(pixels: Bytes) -> NDArray[np.float64]:
    """How much of each pixel is garment (SIDE, SIDE): the alpha, or a hill amid an uncut picture."""
    alpha = pixels[..., 3] / 255.0
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows) or alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].min() < 0.5:
        return alpha
    middle = (np.arange(SIDE) - SIDE / 2 + 0.5) / (SIDE * 0.3)
    return np.asarray(alpha * np.exp(-0.5 * (middle[:, None] ** 2 + middle[None] ** 2)))


def spread(lab: NDArray[np.float64], weights: NDArray[np.float64], width: float) -> Floats:
    """Square roots of soft counts of colours (n, 3), unit: two multiply to Bhattacharyya's coefficient."""
    axes = zip(lab.T, (LIGHTNESS, CHROMA, CHROMA), strict=True)
    light, red, yellow = (soft_bins(values, centres, width) for values, centres in axes)
    counts = np.einsum("nl,na,nb->lab", light * weights[:, None], red, yellow, optimize=True)
    return np.asarray(np.sqrt(counts / counts.sum()).reshape(-1), np.float32)


def soft_bins(values: NDArray[np.float64], centres: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Gaussian shares (n, bins) of each value in the bins, `width` in distances between centres."""
    near = np.clip(values, centres[0], centres[-1])[:, None] - centres
    shares = np.exp(-0.5 * (near / (width * (centres[1] - centres[0]))) ** 2)
    return np.asarray(shares / shares.sum(1, keepdims=True))
