"""What a similarity means: the chance that two pictures show the same garment, fitted to pairs of the validation part.

Pairs of one garment are a photo and itself photographed again (`evaluate_search.again`); of two garments, that photo
again and the ten most similar others of the whole collection, which are the ones that a search would show. Both kinds
weigh the same. Half of the photos fit the curve, and the other half tell how good it is.

And from which cosine two pictures are taken for copies of one photo: what two in a million pairs of different photos of
the collection reach. What is a copy's cosine is told beside it: of a photo as it is, compressed anew, or resized as well.
"""

import io
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.training.data import SEED, Bytes, Photographs, Sample, arguments, load
from infra.training.evaluate_search import Rows, again, cut_outs, kept_cut_outs
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Calibration, log_distance_score

TAKES, OTHERS, STEPS, BINS = 3, 10, 50, 10
"""Times that each photo is photographed again; others that it is compared with; of Newton's method; of the reliability."""
COMPRESSED = ((90, 1.0), (75, 1.0), (60, 1.0), (85, 0.8), (60, 0.8))
"""JPEG qualities, and the share of the sides that is left."""
CHANCE = 2e-6
"""The share of pairs of different photos that may be taken for copies."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    detector: CompactDetector
    embedder: CompactEmbedder

    def rows(self, photos: list[Bytes]) -> Rows:
        """Of what is cut out of each."""
        return self.embedder.embed(cut_outs(self.detector, photos), CancelToken())


def pairs(takes: list[Rows], own: Rows, gallery: Rows) -> tuple[Numbers, Numbers]:
    """Similarities to itself (photos, takes), and to the most similar others (photos, takes, others)."""
    same = np.stack([(rows * own).sum(1) for rows in takes], 1)
    everyone = np.concatenate([own, gallery])
    nearest = []
    for rows in takes:
        likeness = rows @ everyone.T
        likeness[np.arange(len(own)), np.arange(len(own))] = -1
        nearest.append(-np.sort(-likeness, axis=1)[:, :OTHERS])
    return same.astype(np.float64), np.stack(nearest, 1).astype(np.float64)


def fit(same: Numbers, others: Numbers) -> Calibration:
    """By Newton's method, both kinds of pairs weighing the same."""
    scores = np.array([log_distance_score(score) for score in [*same.ravel(), *others.ravel()]])
    truth = np.concatenate([np.ones(same.size), np.zeros(others.size)])
    weights = np.concatenate([np.full(same.size, 0.5 / same.size), np.full(others.size, 0.5 / others.size)])
    inputs, curve = np.stack([scores, np.ones_like(scores)], 1), np.zeros(2)
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-inputs @ curve))
        slope = inputs.T @ (weights * (said - truth)) + 1e-9 * curve
        bend = (inputs * (weights * said * (1 - said))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        curve = curve - np.linalg.solve(bend, slope)
    return Calibration(*(round(float(number), 4) for number in curve))


def unreliability(curve: Calibration, same: Numbers, others: Numbers) -> float:
    """How far what is said is from what is so, mean over ten bins of what is said (expected calibration error)."""
    said = np.array([curve.match(score) for score in [*same.ravel(), *others.ravel()]])
    truth = np.concatenate([np.ones(same.size), np.zeros(others.size)])
    weights = np.concatenate([np.full(same.size, 0.5 / same.size), np.full(others.size, 0.5 / others.size)])
    error, places = 0.0, np.minimum((said * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        here = places == number
        if weight := weights[here].sum():
            error += abs(np.average(said[here] - truth[here], weights=weights[here])) * weight
    return float(error)


def retaken(models: Models, samples: list[Sample], seed: int) -> Rows:
    random = np.random.default_rng(seed)
    return models.rows([again(random, one.image) for one in samples])


def compressed(photo: Bytes, quality: int, share: float) -> Bytes:
    picture, file = Image.fromarray(photo), io.BytesIO()
    size = round(picture.width * share), round(picture.height * share)
    picture.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def copies_from(rows: Rows) -> float:
    """The cosine, to two decimals, that the share `CHANCE` of pairs of these reach, each of another photo."""
    likeness = rows @ rows.T
    return round(float(np.quantile(likeness[np.triu_indices(len(rows), 1)], 1 - CHANCE)), 2)


def copies(models: Models, samples: list[Sample], own: Rows) -> Numbers:
    """The cosines of pairs of copies."""
    rows = [own, *(models.rows([compressed(one.image, *how) for one in samples]) for how in COMPRESSED)]
    return np.concatenate([(one * other).sum(1) for one, other in combinations(rows, 2)]).astype(np.float64)


def meaning(same: Numbers, others: Numbers) -> tuple[Calibration, dict[str, float]]:
    """The curve that one half of the photos gives, and how good it is for the other."""
    half = len(same) // 2
    curve, same, others = fit(same[:half], others[:half]), same[half:], others[half:]
    return curve, {
        "unreliability": round(unreliability(curve, same, others), 4),
        "said of the same": round(float(np.mean([curve.match(one) for one in same.ravel()])), 3),
        "said of others": round(float(np.mean([curve.match(one) for one in others.ravel()])), 3),
    }


def calibrated(models: Models, photographs: Photographs, cache: Path) -> tuple[dict[str, object], dict[str, float]]:
    """What is written, and the figures that tell how good it is."""
    samples = photographs.flat_validation
    own = models.rows([one.image for one in samples])
    gallery = models.embedder.embed(kept_cut_outs(models.detector, photographs.flat, cache), CancelToken())
    takes = [retaken(models, samples, SEED + number) for number in range(TAKES)]
    curve, figures = meaning(*pairs(takes, own, gallery))
    bound = copies_from(np.concatenate([own, gallery]))
    figures["copies found"] = round(float((copies(models, samples, own) >= bound).mean()), 3)
    content = {"embedder": models.embedder.name, "slope": curve.slope, "offset": curve.offset, "copies": bound}
    return content, figures


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="the folder of the ONNX files")
    asked = parser.parse_args()
    models = Models(CompactDetector(asked.weights / "detector.onnx"), CompactEmbedder(asked.weights / "embedder.onnx"))
    content, figures = calibrated(models, load(asked.data, asked.work), asked.work / "cutouts.pickle")
    Path(asked.weights / "calibration.json").write_text(json.dumps(content) + "\n")
    print(json.dumps(content | figures))


if __name__ == "__main__":
    main()
