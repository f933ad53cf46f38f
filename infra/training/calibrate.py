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
from lookalike.domain.calibration import calibration_error, copy_threshold, fit_calibration, mean_probability
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Calibration

VERSIONS, NEIGHBORS = 3, 10
"""Simulated photos and similar other garments of each garment."""
COPY_VARIANTS = ((90, 1.0), (75, 1.0), (60, 1.0), (85, 0.8), (60, 0.8))
"""JPEG quality and scale of each simulated copy."""
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


def pairs_of_different_photos(rows: Rows) -> Numbers:
    """Return the cosines of all pairs of these rows. Each row must be of another photo."""
    return np.asarray((rows @ rows.T)[np.triu_indices(len(rows), 1)], np.float64)


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
    calibration, same, others = fit_calibration(same[:half], others[:half]), same[half:], others[half:]
    return calibration, {
        "expected calibration error": round(calibration_error(calibration, same, others), 4),
        "mean probability of same garments": round(mean_probability(calibration, same), 3),
        "mean probability of other garments": round(mean_probability(calibration, others), 3),
    }


def calibrate(models: Models, photographs: Photographs, cache: Path) -> tuple[dict[str, object], dict[str, float]]:
    """Return the content of calibration.json, and figures that describe its quality."""
    samples = photographs.flat_validation
    own = models.embed_garments([sample.image for sample in samples])
    gallery = models.embedder.embed(cached_cut_outs(models.detector, photographs.flat, cache), CancelToken())
    versions = [embed_rephotographed(models, samples, SEED + number) for number in range(VERSIONS)]
    calibration, figures = fit_and_evaluate(*pair_similarities(versions, own, gallery))
    threshold = copy_threshold(pairs_of_different_photos(np.concatenate([own, gallery])))
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
