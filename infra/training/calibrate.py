"""Calibrate similarities: fit the probability that two images show the same garment, and the threshold of copies.

Pairs of the same garment are a validation photo and a simulated second photo of it (`simulate_rephotograph`). Pairs of
different garments are that second photo and the ten most similar other garments of the whole collection, as a search
would return them. Both kinds have equal weight. One half of the photos fits the curve, the other half evaluates it.

Two images count as copies from the cosine that two in a million pairs of different photos reach. The share of simulated
copies above it is printed: photos compressed again, and some of them resized.
"""

import io
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.training.data import Bytes, Photographs, Sample, load_photographs, make_parser
from infra.training.evaluate_search import Rows, cached_cut_outs, cut_out_garments, simulate_rephotograph
from infra.training.labels import SEED
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Calibration, log_distance_score

VERSIONS, NEIGHBORS, STEPS, BINS = 3, 10, 50, 10
"""Simulated photos and similar other garments of each garment; iterations of Newton's method; bins of the error."""
COPY_VARIANTS = ((90, 1.0), (75, 1.0), (60, 1.0), (85, 0.8), (60, 0.8))
"""JPEG quality and scale of each simulated copy."""
MAX_FALSE_COPY_RATE = 2e-6
"""Share of pairs of different photos that may be taken for copies."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """The delivered detector and embedder."""

    detector: CompactDetector
    embedder: CompactEmbedder

    def embed_garments(self, photos: list[Bytes]) -> Rows:
        """Cut out the largest garment of each photo and embed it: (photos, dim)."""
        return self.embedder.embed(cut_out_garments(self.detector, photos), CancelToken())


def pair_similarities(versions: list[Rows], own: Rows, gallery: Rows) -> tuple[Numbers, Numbers]:
    """Return similarities of each version to its original (photos, versions), and to the nearest other garments.

    The second has the shape (photos, versions, neighbors).
    """
    same = np.stack([(rows * own).sum(1) for rows in versions], 1)
    all_rows = np.concatenate([own, gallery])
    nearest = []
    for rows in versions:
        similarities = rows @ all_rows.T
        # the original must not be among its own neighbors
        similarities[np.arange(len(own)), np.arange(len(own))] = -1
        nearest.append(-np.sort(-similarities, axis=1)[:, :NEIGHBORS])
    return same.astype(np.float64), np.stack(nearest, 1).astype(np.float64)


def fit(same: Numbers, others: Numbers) -> Calibration:
    """Fit a logistic regression by Newton's method (Platt scaling). Both kinds of pairs have equal weight."""
    scores = np.array([log_distance_score(score) for score in [*same.ravel(), *others.ravel()]])
    is_same = np.concatenate([np.ones(same.size), np.zeros(others.size)])
    weights = np.concatenate([np.full(same.size, 0.5 / same.size), np.full(others.size, 0.5 / others.size)])
    inputs, coefficients = np.stack([scores, np.ones_like(scores)], 1), np.zeros(2)
    for _ in range(STEPS):
        predicted = 1 / (1 + np.exp(-inputs @ coefficients))
        # the tiny ridge keeps the Hessian invertible if the pairs are perfectly separable
        gradient = inputs.T @ (weights * (predicted - is_same)) + 1e-9 * coefficients
        hessian = (inputs * (weights * predicted * (1 - predicted))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        coefficients = coefficients - np.linalg.solve(hessian, gradient)
    return Calibration(*(round(float(number), 4) for number in coefficients))


def calibration_error(calibration: Calibration, same: Numbers, others: Numbers) -> float:
    """Return the expected calibration error (Guo et al., 2017): predicted minus actual share, mean over ten bins."""
    predicted = np.array([calibration.match_probability(score) for score in [*same.ravel(), *others.ravel()]])
    is_same = np.concatenate([np.ones(same.size), np.zeros(others.size)])
    weights = np.concatenate([np.full(same.size, 0.5 / same.size), np.full(others.size, 0.5 / others.size)])
    error, bins = 0.0, np.minimum((predicted * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        in_bin = bins == number
        if weight := weights[in_bin].sum():
            error += abs(np.average(predicted[in_bin] - is_same[in_bin], weights=weights[in_bin])) * weight
    return float(error)


def embed_rephotographed(models: Models, samples: list[Sample], seed: int) -> Rows:
    """Embed a simulated second photo of each sample: (samples, dim)."""
    random = np.random.default_rng(seed)
    return models.embed_garments([simulate_rephotograph(random, sample.image) for sample in samples])


def make_copy(photo: Bytes, quality: int, scale: float) -> Bytes:
    """Resize a photo and compress it as JPEG."""
    image, file = Image.fromarray(photo), io.BytesIO()
    size = round(image.width * scale), round(image.height * scale)
    image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def copy_threshold(rows: Rows) -> float:
    """Return the cosine, with two decimals, that only `MAX_FALSE_COPY_RATE` of the pairs of these rows reach.

    Each row must be of another photo.
    """
    similarities = rows @ rows.T
    return round(float(np.quantile(similarities[np.triu_indices(len(rows), 1)], 1 - MAX_FALSE_COPY_RATE)), 2)


def copy_similarities(models: Models, samples: list[Sample], own: Rows) -> Numbers:
    """Return the cosines of all pairs of copies of the same photo, the photo itself included."""
    rows = [
        own,
        *(
            models.embed_garments([make_copy(sample.image, *variant) for sample in samples])
            for variant in COPY_VARIANTS
        ),
    ]
    return np.concatenate([(first * second).sum(1) for first, second in combinations(rows, 2)]).astype(np.float64)


def fit_and_evaluate(same: Numbers, others: Numbers) -> tuple[Calibration, dict[str, float]]:
    """Fit the calibration to one half of the photos and evaluate it on the other half."""
    half = len(same) // 2
    calibration, same, others = fit(same[:half], others[:half]), same[half:], others[half:]
    return calibration, {
        "expected calibration error": round(calibration_error(calibration, same, others), 4),
        "mean probability of same garments": round(
            float(np.mean([calibration.match_probability(score) for score in same.ravel()])), 3
        ),
        "mean probability of other garments": round(
            float(np.mean([calibration.match_probability(score) for score in others.ravel()])), 3
        ),
    }


def calibrate(models: Models, photographs: Photographs, cache: Path) -> tuple[dict[str, object], dict[str, float]]:
    """Return the content of calibration.json, and figures that describe its quality."""
    samples = photographs.flat_validation
    own = models.embed_garments([sample.image for sample in samples])
    gallery = models.embedder.embed(cached_cut_outs(models.detector, photographs.flat, cache), CancelToken())
    versions = [embed_rephotographed(models, samples, SEED + number) for number in range(VERSIONS)]
    calibration, figures = fit_and_evaluate(*pair_similarities(versions, own, gallery))
    threshold = copy_threshold(np.concatenate([own, gallery]))
    figures["share of copies recognized"] = round(
        float((copy_similarities(models, samples, own) >= threshold).mean()), 3
    )
    content = {
        "embedder": models.embedder.name,
        "slope": calibration.slope,
        "offset": calibration.offset,
        "copies": threshold,
    }
    return content, figures


def main() -> None:
    """Write calibration.json to the folder of the weights, and print the figures."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the ONNX files")
    options = parser.parse_args()
    models = Models(
        CompactDetector(options.weights / "detector.onnx"), CompactEmbedder(options.weights / "embedder.onnx")
    )
    content, figures = calibrate(models, load_photographs(options.data, options.work), options.work / "cutouts.pickle")
    Path(options.weights / "calibration.json").write_text(json.dumps(content) + "\n")
    print(json.dumps(content | figures))


if __name__ == "__main__":
    main()
