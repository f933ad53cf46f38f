"""What a similarity means: the chance that two pictures show the same garment, fitted to pairs of the validation part.

Pairs of one garment are a photo and itself photographed again (`evaluate_search.again`); of two garments, that photo
again and the ten most similar others of the whole collection, which are the ones that a search would show. Both kinds
weigh the same. Half of the photos fit the curve, and the other half tell how good it is.

And from which cosine two pictures are taken for copies of one photo: what two in a million pairs of different photos of
the collection reach. What is a copy's cosine is told beside it: of a photo as it is, compressed anew, or resized as well.
"""

import io
import json
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.training.data import SEED, Bytes, Sample, arguments, load
from infra.training.evaluate_search import Rows, again, cut_outs, kept_cut_outs
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Calibration, nearness

TAKES, OTHERS, STEPS, BINS = 3, 10, 50, 10
"""Times that each photo is photographed again; others that it is compared with; of Newton's method; of the reliability."""
COMPRESSED = ((90, 1.0), (75, 1.0), (60, 1.0), (85, 0.8), (60, 0.8))
"""JPEG qualities, and the share of the sides that is left."""
CHANCE = 2e-6
"""The share of pairs of different photos that may be taken for copies."""
Numbers = NDArray[np.float64]


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
    scores = np.array([nearness(score) for score in [*same.ravel(), *others.ravel()]])
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


def retaken(detector: CompactDetector, embedder: CompactEmbedder, samples: list[Sample], seed: int) -> Rows:
    random = np.random.default_rng(seed)
    return embedder.embed(cut_outs(detector, [again(random, one.image) for one in samples]), CancelToken())


def compressed(photo: Bytes, quality: int, share: float) -> Bytes:
    picture, file = Image.fromarray(photo), io.BytesIO()
    size = round(picture.width * share), round(picture.height * share)
    picture.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def copies_from(rows: Rows) -> float:
    """The cosine, to two decimals, that the share `CHANCE` of pairs of these reach, each of another photo."""
    likeness = rows @ rows.T
    return round(float(np.quantile(likeness[np.triu_indices(len(rows), 1)], 1 - CHANCE)), 2)


def copies(detector: CompactDetector, embedder: CompactEmbedder, samples: list[Sample], own: Rows) -> Numbers:
    """The cosines of pairs of copies."""
    made = [[compressed(one.image, *how) for one in samples] for how in COMPRESSED]
    rows = [own, *(embedder.embed(cut_outs(detector, photos), CancelToken()) for photos in made)]
    return np.concatenate([(one * other).sum(1) for one, other in combinations(rows, 2)]).astype(np.float64)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="the folder of the ONNX files")
    asked = parser.parse_args()
    photographs = load(asked.data, asked.work)
    detector = CompactDetector(asked.weights / "detector.onnx")
    embedder = CompactEmbedder(asked.weights / "embedder.onnx")
    samples = photographs.flat_validation
    own = embedder.embed(cut_outs(detector, [one.image for one in samples]), CancelToken())
    known = kept_cut_outs(detector, photographs.flat, asked.work / "cutouts.pickle")
    gallery = embedder.embed(known, CancelToken())
    takes = [retaken(detector, embedder, samples, SEED + number) for number in range(TAKES)]
    same, others = pairs(takes, own, gallery)
    half = len(samples) // 2
    curve = fit(same[:half], others[:half])
    figures = {
        "unreliability": round(unreliability(curve, same[half:], others[half:]), 4),
        "said of the same": round(float(np.mean([curve.match(one) for one in same[half:].ravel()])), 3),
        "said of others": round(float(np.mean([curve.match(one) for one in others[half:].ravel()])), 3),
    }
    bound = copies_from(np.concatenate([own, gallery]))
    figures["copies found"] = round(float((copies(detector, embedder, samples, own) >= bound).mean()), 3)
    content = {"embedder": embedder.name, "slope": curve.slope, "offset": curve.offset, "copies": bound}
    Path(asked.weights / "calibration.json").write_text(json.dumps(content) + "\n")
    print(json.dumps(content | figures))


if __name__ == "__main__":
    main()
