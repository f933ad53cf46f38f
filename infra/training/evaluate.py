"""Measure the delivered models on the held-back photographs, by the rules that the model card names."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from infra.training.data import CLASSES, FLAT_KINDS, Bytes, Photographs, Sample, arguments, load
from infra.training.empty import PICTURES, background
from infra.training.evaluate_search import garment, search_figures
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import KINDS, Box, Detection

TRUTH_SHARE, OVERLAP = 0.004, 0.5
EMPTY_COUNT, EMPTY_SIZE, EMPTY_SEED = 200, (320, 224), 99
MARKS = "<!-- figures -->", "<!-- end of figures -->"
Truth = tuple[Box, str]


@dataclass(slots=True)
class Tally:
    """What detection found: counts over photos."""

    truths: int = 0
    detections: int = 0
    matched: int = 0
    right: int = 0

    def add(self, truths: Sequence[Truth], found: Sequence[Detection]) -> list[tuple[Truth, Detection]]:
        """Count a photo; the pairs that match."""
        pairs = matches(truths, found)
        self.truths += len(truths)
        self.detections += len(found)
        self.matched += len(pairs)
        self.right += sum(truth[1] == detection.label for truth, detection in pairs)
        return pairs

    def figures(self) -> dict[str, float]:
        """Recall, precision, and the share of right labels among the matched."""
        return {
            "recall": self.matched / max(1, self.truths),
            "precision": self.matched / max(1, self.detections),
            "label": self.right / max(1, self.matched),
        }


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    both = max(0.0, width) * max(0.0, height)
    return both / (one.area + other.area - both) if both else 0.0


def matches(truths: Sequence[Truth], found: Sequence[Detection]) -> list[tuple[Truth, Detection]]:
    """Each detection, best first, with the free truth that it overlaps most, if by half."""
    free, pairs = list(truths), []
    for detection in found:
        best = max(free, key=lambda truth: overlap(truth[0], detection.box), default=None)
        if best is not None and overlap(best[0], detection.box) >= OVERLAP:
            free.remove(best)
            pairs.append((best, detection))
    return pairs


def truths_of(sample: Sample) -> list[Truth]:
    """The box of each street label's pixels that cover at least 0.4 % of the photo, with its kind."""
    assert sample.labels is not None
    found = []
    for label in np.unique(sample.labels):
        here = sample.labels == label
        kind = int(sample.mask[here][0])
        if 1 <= kind <= len(KINDS) and here.mean() >= TRUTH_SHARE:
            found.append((box_of(here), CLASSES[kind]))
    return found


def box_of(here: np.ndarray) -> Box:
    """The bounding box of the true pixels (H, W)."""
    rows, columns = np.flatnonzero(here.any(1)), np.flatnonzero(here.any(0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def street_figures(detector: CompactDetector, samples: Sequence[Sample]) -> dict[str, float]:
    tally, kinds = Tally(), {kind: Tally() for kind in KINDS}
    for sample in samples:
        truths, found = truths_of(sample), detector.detect(Image.fromarray(sample.image), CancelToken())
        found_truths = {id(truth) for truth, _ in tally.add(truths, found)}
        for truth in truths:
            kinds[truth[1]].truths += 1
            kinds[truth[1]].matched += id(truth) in found_truths
    return tally.figures() | {f"recall of {kind}": part.figures()["recall"] for kind, part in kinds.items()}


def flat_figures(detector: CompactDetector, samples: Sequence[Sample]) -> dict[str, float]:
    """Shares of photos with exactly one garment found, and with that of the right kind besides."""
    found = [detector.detect(Image.fromarray(sample.image), CancelToken()) for sample in samples]
    single = [len(one) == 1 for one in found]
    kinds = [FLAT_KINDS[sample.folder] for sample in samples]
    right = [len(one) == 1 and one[0].label == kind for one, kind in zip(found, kinds, strict=True)]
    return {"exactly one": float(np.mean(single)), "exactly one, right kind": float(np.mean(right))}


def empty_figures(detector: CompactDetector, street: Sequence[Sample]) -> dict[str, float]:
    """The shares of made-up pictures, and of windows of street photos, without a garment in which one is found."""
    random = np.random.default_rng(EMPTY_SEED)
    made_up = [PICTURES[number % len(PICTURES)](random, EMPTY_SIZE) for number in range(EMPTY_COUNT)]
    parts = (background(random, sample) for sample in [*street] * 4)
    windows = [image for image, _ in islice(filter(None, parts), EMPTY_COUNT)]
    return {
        "made up: something found": found_in(detector, made_up),
        "street: something found": found_in(detector, windows),
    }


def found_in(detector: CompactDetector, pictures: Sequence[Bytes]) -> float:
    """The share of pictures in which a garment is found."""
    return float(np.mean([bool(detector.detect(Image.fromarray(one), CancelToken())) for one in pictures]))


def detection_figures(weights: Path, photographs: Photographs) -> dict[str, dict[str, float]]:
    detector = CompactDetector(weights / "detector.onnx")
    return {
        "street": street_figures(detector, photographs.street_validation),
        "flat-lay": flat_figures(detector, photographs.flat_validation),
        "nothing in it": empty_figures(detector, photographs.street_validation),
    }


def cost_figures(weights: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """Median milliseconds of detecting and embedding on two threads, and megabytes of both files."""
    detector = CompactDetector(weights / "detector.onnx")
    embedder = CompactEmbedder(weights / "embedder.onnx")
    times = []
    for sample in samples[:50]:
        photo, begin = Image.fromarray(sample.image), time.perf_counter()
        embedder.embed([garment(detector, photo)], CancelToken())
        times.append(time.perf_counter() - begin)
    size = sum(path.stat().st_size for path in weights.glob("*.onnx"))
    return {"milliseconds": float(np.median(times)) * 1000, "megabytes": size / 1e6}


def write_card(card: Path, figures: dict[str, dict[str, float]]) -> None:
    """Put the figures between the card's two marks, in place of what is there."""
    head, rest = card.read_text().split(MARKS[0])
    rows = [(part, name, value) for part, of in figures.items() for name, value in of.items()]
    lines = [f"| {part} | {name} | {value:.3g} |" for part, name, value in rows]
    table = "\n".join(["| what | figure | value |", "| --- | --- | --- |", *lines])
    card.write_text(f"{head}{MARKS[0]}\n{table}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="the folder of the ONNX files")
    parser.add_argument("--only", choices=("detection", "search", "cost"))
    parser.add_argument("--card", type=Path, help="the model card to write the figures into")
    chosen = parser.parse_args()
    photographs = load(chosen.data, chosen.work)
    figures: dict[str, dict[str, float]] = {}
    if chosen.only in (None, "detection"):
        figures |= detection_figures(chosen.weights, photographs)
    if chosen.only in (None, "search"):
        figures |= search_figures(chosen.weights, photographs, chosen.work)
    if chosen.only in (None, "cost"):
        figures["cost"] = cost_figures(chosen.weights, photographs.flat_validation)
    print(json.dumps(figures, indent=1, default=float))
    if chosen.card is not None:
        write_card(chosen.card, figures)


if __name__ == "__main__":
    main()
