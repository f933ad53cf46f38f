"""How well the embedder finds categories, the same garment again, and like colours."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.training.augment import Random, recompress
from infra.training.data import SEED, Bytes, Photographs, Sample
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder, framed
from lookalike.domain.cancel import CancelToken
from lookalike.domain.color import lab_of

Rows = NDArray[np.float32]
Pictures = list[Image.Image]
NEAREST = 5


def garment(detector: CompactDetector, photo: Image.Image) -> Image.Image:
    """The largest garment found, cut out; the whole photo where there is none."""
    found = detector.detect(photo, CancelToken())
    return max(found, key=lambda one: one.box.area).cut_out(photo) if found else photo


def cut_outs(detector: CompactDetector, photos: Sequence[Bytes]) -> Pictures:
    return [garment(detector, Image.fromarray(photo)) for photo in photos]


def kept_cut_outs(detector: CompactDetector, samples: list[Sample], cache: Path) -> Pictures:
    """The samples' cut-outs, made once and kept in the cache."""
    if not cache.exists():
        cache.write_bytes(pickle.dumps(cut_outs(detector, [sample.image for sample in samples])))
    return list(pickle.loads(cache.read_bytes()))


def again(random: Random, photo: Bytes) -> Bytes:
    """Photographed again: cropped to 70-90 % of the area, turned up to 15 degrees, relit, recompressed."""
    height, width = photo.shape[:2]
    side = random.uniform(0.7, 0.9) ** 0.5
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-15, 15), 1)
    turned = cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    high, wide = int(height * side), int(width * side)
    top, left = random.integers(0, height - high + 1), random.integers(0, width - wide + 1)
    light = random.uniform(0.75, 1.25) * random.uniform(0.94, 1.06, 3)
    lit = np.clip(turned[top : top + high, left : left + wide] * light + random.uniform(-10, 10), 0, 255)
    return recompress(random, np.ascontiguousarray(lit.astype(np.uint8)))


def category_figures(queries: Rows, gallery: Rows, names: list[str], known: list[str]) -> dict[str, float]:
    """The share of right categories among the five nearest, and of the nearest."""
    order = np.argsort(-queries @ gallery.T, axis=1)[:, :NEAREST]
    right = np.array(known)[order] == np.array(names)[:, None]
    return {"P@5": float(right.mean()), "P@1": float(right[:, 0].mean())}


def again_figure(queries: Rows, gallery: Rows) -> float:
    """The share of queries whose nearest in the gallery is the one of the same number."""
    return float((np.argmax(queries @ gallery.T, axis=1) == np.arange(len(queries))).mean())


def mean_lab(cut_out: Image.Image) -> NDArray[np.float64]:
    """Mean L*a*b* of the garment's pixels, (3,)."""
    pixels = framed(cut_out).reshape(-1, 4)
    return np.asarray(lab_of(pixels[pixels[:, 3] > 127, :3]).mean(0))


def colour_ratio(rows: Rows, labs: NDArray[np.float64], names: list[str]) -> float:
    """Lab distance to the five nearest of a category over that of random pairs, mean of the categories."""
    ratios = []
    for name in sorted(set(names)):
        here = np.flatnonzero(np.array(names) == name)
        likeness = rows[here] @ rows[here].T - 9 * np.eye(len(here))
        order = np.argsort(-likeness, axis=1)[:, :NEAREST]
        apart = np.linalg.norm(labs[here][:, None] - labs[here][None], axis=2)
        near = np.take_along_axis(apart, order, 1).mean()
        ratios.append(near / (apart.sum() / (len(here) * (len(here) - 1))))
    return float(np.mean(ratios))


def search_figures(weights: Path, photographs: Photographs, work: Path) -> dict[str, dict[str, float]]:
    """All figures of search."""
    detector = CompactDetector(weights / "detector.onnx")
    embedder = CompactEmbedder(weights / "embedder.onnx")
    known = kept_cut_outs(detector, photographs.flat, work / "cutouts.pickle")
    asked = cut_outs(detector, [sample.image for sample in photographs.flat_validation])
    random = np.random.default_rng(SEED)
    anew = cut_outs(detector, [again(random, sample.image) for sample in photographs.flat_validation])
    gallery, queries, repeats = (embedder.embed(part, CancelToken()) for part in (known, asked, anew))
    names = [[sample.folder for sample in part] for part in (photographs.flat_validation, photographs.flat)]
    labs = np.stack([mean_lab(one) for one in known])
    return {
        "search": category_figures(queries, gallery, *names),
        "same garment again": {"found first": again_figure(repeats, np.concatenate([queries, gallery]))},
        "colour": {"near over random": colour_ratio(gallery, labs, names[1])},
    } | baselines(photographs, names)


def baselines(photographs: Photographs, names: list[list[str]]) -> dict[str, dict[str, float]]:
    """Search by HOG and by a colour histogram of the whole photo."""
    parts = photographs.flat_validation, photographs.flat
    figures = {}
    for title, describe in (("HOG", hog), ("colour histogram", histogram)):
        queries, gallery = (unit_rows([describe(sample.image) for sample in part]) for part in parts)
        figures[title] = category_figures(queries, gallery, *names)
    return figures


def unit_rows(rows: list[NDArray[np.float32]]) -> Rows:
    stacked = np.stack(rows)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), np.float32)


def hog(photo: Bytes) -> NDArray[np.float32]:
    """Histograms of oriented gradients: 8 x 8 cells of 16 pixels, 9 directions."""
    grey = cv2.cvtColor(cv2.resize(photo, (128, 128)), cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength, turn = np.hypot(across, down), np.arctan2(down, across) % np.pi
    bins = np.minimum((turn / np.pi * 9).astype(int), 8)
    planes = strength[..., None] * (bins[..., None] == np.arange(9))
    cells = planes.reshape(8, 16, 8, 16, 9).sum((1, 3))
    return np.asarray(cells / (np.linalg.norm(cells, axis=2, keepdims=True) + 1e-3), np.float32).ravel()


def histogram(photo: Bytes) -> NDArray[np.float32]:
    """Square roots of RGB counts in 8 x 8 x 8 bins."""
    counts = cv2.calcHist([photo], [0, 1, 2], None, [8, 8, 8], [0, 256, 0, 256, 0, 256])
    return np.sqrt(np.asarray(counts, np.float32).ravel())
