"""Measure the embedder: nearest neighbors of the same category, of the same garment, and of similar colors.

The neighbors of the same category are measured as `lookalike evaluate WORK/search/queries --gallery WORK/search/gallery`
does.
"""

import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.training.augment import Random, recompress
from infra.training.data import Bytes, Photographs, Sample
from infra.training.labels import FLAT_KINDS, SEED
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder, fit_on_canvas
from lookalike.batch.judged_photos import read_judged_photos
from lookalike.domain.cancel import CancelToken
from lookalike.domain.color import rgb_to_lab
from lookalike.domain.ranking_metrics import precision_at, recall_at
from lookalike.usecases.evaluation import METRICS, Evaluation, System
from lookalike.usecases.models import Models

Rows = NDArray[np.float32]
Images = list[Image.Image]
NEAREST = 5
"""Neighbors that count in the figures."""
QUERIES, GALLERY = "search/queries", "search/gallery"
"""Folders in the work folder with a folder of photos for each category: the validation part and the training part."""


def largest_garment(detector: CompactDetector, photo: Image.Image) -> Image.Image:
    """Cut out the largest detected garment, or return the whole photo if there is none."""
    detections = detector.detect(photo, CancelToken())
    return max(detections, key=lambda detection: detection.box.area).cut_out(photo) if detections else photo


def cut_out_garments(detector: CompactDetector, photos: Sequence[Bytes]) -> Images:
    """Cut out the largest garment of each photo."""
    return [largest_garment(detector, Image.fromarray(photo)) for photo in photos]


def cached_cut_outs(detector: CompactDetector, samples: list[Sample], cache: Path) -> Images:
    """Return the cut-outs of the samples' largest garments, from the cache file if it exists."""
    if not cache.exists():
        cache.write_bytes(pickle.dumps(cut_out_garments(detector, [sample.image for sample in samples])))
    return list(pickle.loads(cache.read_bytes()))


def simulate_rephotograph(random: Random, photo: Bytes) -> Bytes:
    """Simulate a second photo of the same garment.

    Rotated by up to 15 degrees, cropped to 70 to 90 % of the area, with other light, and compressed again.
    """
    height, width = photo.shape[:2]
    scale = random.uniform(0.7, 0.9) ** 0.5
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-15, 15), 1)
    rotated = cv2.warpAffine(photo, rotation, (width, height), borderMode=cv2.BORDER_REFLECT)
    crop_height, crop_width = int(height * scale), int(width * scale)
    top, left = random.integers(0, height - crop_height + 1), random.integers(0, width - crop_width + 1)
    light = random.uniform(0.75, 1.25) * random.uniform(0.94, 1.06, 3)
    lit = np.clip(rotated[top : top + crop_height, left : left + crop_width] * light + random.uniform(-10, 10), 0, 255)
    return recompress(random, np.ascontiguousarray(lit.astype(np.uint8)))


def ranked_matches(queries: Rows, gallery: Rows, is_match: NDArray[np.bool_], places: int) -> NDArray[np.float64]:
    """Return which of the nearest rows of the gallery match, (queries, places), nearest first.

    `is_match` (queries, gallery) says it for all rows. Of equal rows, the first in the gallery comes first.
    """
    order = np.argsort(-queries @ gallery.T, axis=1, kind="stable")[:, :places]
    return np.take_along_axis(is_match, order, axis=1).astype(np.float64)


def category_figures(
    queries: Rows, gallery: Rows, query_names: list[str], gallery_names: list[str]
) -> dict[str, float]:
    """Return the share of neighbors of the right category among the five nearest, and of the nearest."""
    is_match = np.array(query_names)[:, None] == np.array(gallery_names)
    ranked = ranked_matches(queries, gallery, is_match, NEAREST)
    return {"P@5": float(precision_at(ranked, NEAREST).mean()), "P@1": float(precision_at(ranked, 1).mean())}


def worn_garment_figures(
    detector: CompactDetector, embedder: CompactEmbedder, photos: Sequence[Bytes], gallery: Rows, folders: list[str]
) -> dict[str, float]:
    """Return the share of flat-lay garments of the right kind among the five nearest to detected worn garments.

    `folders` are the categories of the gallery's rows. Worn garments of other kinds are left out.
    """
    images = [Image.fromarray(photo) for photo in photos]
    found = [(image, detection) for image in images for detection in detector.detect(image, CancelToken())]
    kinds = np.array([FLAT_KINDS[folder] for folder in folders])
    found = [(image, detection) for image, detection in found if detection.label in kinds]
    rows = embedder.embed([detection.cut_out(image) for image, detection in found], CancelToken())
    is_match = np.array([detection.label for _, detection in found])[:, None] == kinds
    ranked = ranked_matches(rows, gallery, is_match, NEAREST)
    return {"neighbors of the same kind": float(precision_at(ranked, NEAREST).mean())}


def first_match_rate(queries: Rows, gallery: Rows) -> float:
    """Return the share of queries whose nearest neighbor in the gallery has the same number."""
    ranked = ranked_matches(queries, gallery, np.eye(len(queries), len(gallery), dtype=np.bool_), 1)
    return float(recall_at(ranked, 1).mean())


def mean_lab(cut_out: Image.Image) -> NDArray[np.float64]:
    """Return the mean L*a*b* color (3,) of the garment's pixels."""
    pixels = fit_on_canvas(cut_out).reshape(-1, 4)
    return np.asarray(rgb_to_lab(pixels[pixels[:, 3] > 127, :3]).mean(0))


def color_ratio(rows: Rows, labs: NDArray[np.float64], names: list[str]) -> float:
    """Return the color distance to the five nearest of a category over that of random pairs, mean of the categories."""
    ratios = []
    for name in sorted(set(names)):
        members = np.flatnonzero(np.array(names) == name)
        # minus 9 on the diagonal: a garment is not its own neighbor
        similarities = rows[members] @ rows[members].T - 9 * np.eye(len(members))
        order = np.argsort(-similarities, axis=1)[:, :NEAREST]
        distances = np.linalg.norm(labs[members][:, None] - labs[members][None], axis=2)
        nearest = np.take_along_axis(distances, order, 1).mean()
        ratios.append(nearest / (distances.sum() / (len(members) * (len(members) - 1))))
    return float(np.mean(ratios))


def link_photos(photographs: Photographs, data: Path, work: Path) -> None:
    """Link the flat-lay photos into `QUERIES` and `GALLERY`."""
    paths = {path.stem: path for path in data.glob("flatlay/*/*/*")}
    for folder, samples in ((QUERIES, photographs.flat_validation), (GALLERY, photographs.flat)):
        shutil.rmtree(work / folder, ignore_errors=True)
        for sample in samples:
            link = work / folder / sample.folder / paths[sample.name].name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(paths[sample.name].resolve())


def evaluate_categories(detector: CompactDetector, embedder: CompactEmbedder, work: Path) -> dict[str, float]:
    """Return the share of photos of the right category among the five nearest, and of the nearest."""
    judged = read_judged_photos(work / QUERIES, work / GALLERY)
    system = System("MODELS=compact", Models(detector, embedder, 1))
    estimates = Evaluation([system]).run(judged).systems[0].estimates
    means = {metric: estimate.mean for metric, estimate in zip(METRICS, estimates, strict=True)}
    return {"P@5": means["P@5"], "P@1": means["R@1"]}


def search_figures(weights: Path, photographs: Photographs, data: Path, work: Path) -> dict[str, dict[str, float]]:
    """Return all figures of the embedder, and of the baselines."""
    link_photos(photographs, data, work)
    detector = CompactDetector(weights / "detector.onnx")
    embedder = CompactEmbedder(weights / "embedder.onnx")
    gallery_images = cached_cut_outs(detector, photographs.flat, work / "cutouts.pickle")
    query_images = cut_out_garments(detector, [sample.image for sample in photographs.flat_validation])
    random = np.random.default_rng(SEED)
    repeated_images = cut_out_garments(
        detector, [simulate_rephotograph(random, sample.image) for sample in photographs.flat_validation]
    )
    gallery, queries, repeats = (
        embedder.embed(part, CancelToken()) for part in (gallery_images, query_images, repeated_images)
    )
    names = [[sample.folder for sample in part] for part in (photographs.flat_validation, photographs.flat)]
    labs = np.stack([mean_lab(image) for image in gallery_images])
    return {
        "search": evaluate_categories(detector, embedder, work),
        "worn garments": worn_garment_figures(
            detector, embedder, [sample.image for sample in photographs.street_validation], gallery, names[1]
        ),
        "same garment, second photo": {"ranked first": first_match_rate(repeats, np.concatenate([queries, gallery]))},
        "color": {"distance ratio": color_ratio(gallery, labs, names[1])},
    } | baselines(photographs, names)


def baselines(photographs: Photographs, names: list[list[str]]) -> dict[str, dict[str, float]]:
    """Return the figures of two baselines on whole photos: HOG, and a color histogram."""
    parts = photographs.flat_validation, photographs.flat
    figures = {}
    for title, describe in (("HOG", hog), ("color histogram", histogram)):
        queries, gallery = (unit_rows([describe(sample.image) for sample in part]) for part in parts)
        figures[title] = category_figures(queries, gallery, *names)
    return figures


def unit_rows(rows: list[NDArray[np.float32]]) -> Rows:
    """Stack rows and scale them to length 1."""
    stacked = np.stack(rows)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), np.float32)


def hog(photo: Bytes) -> NDArray[np.float32]:
    """Return histograms of oriented gradients (Dalal and Triggs, 2005): 8 x 8 cells of 16 pixels, 9 directions."""
    gray = cv2.cvtColor(cv2.resize(photo, (128, 128)), cv2.COLOR_RGB2GRAY).astype(np.float32)
    dx, dy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    magnitude, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % np.pi
    bins = np.minimum((angle / np.pi * 9).astype(int), 8)
    planes = magnitude[..., None] * (bins[..., None] == np.arange(9))
    cells = planes.reshape(8, 16, 8, 16, 9).sum((1, 3))
    return np.asarray(cells / (np.linalg.norm(cells, axis=2, keepdims=True) + 1e-3), np.float32).ravel()


def histogram(photo: Bytes) -> NDArray[np.float32]:
    """Return the square roots of an RGB histogram of 8 x 8 x 8 bins."""
    counts = cv2.calcHist([photo], [0, 1, 2], None, [8, 8, 8], [0, 256, 0, 256, 0, 256])
    return np.sqrt(np.asarray(counts, np.float32).ravel())
