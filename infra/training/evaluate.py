"""Measure the delivered models on the validation photos, and write the figures into the model card."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from infra.training.data import CLASSES, FLAT_KINDS, Bytes, Photographs, Sample, load_photographs, make_parser
from infra.training.empty import GENERATORS, find_background
from infra.training.evaluate_search import largest_garment, search_figures
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import GARMENT_KINDS, Box, Detection

MIN_TRUTH_SHARE, MIN_IOU = 0.004, 0.5
"""Smallest garment that counts, as a share of its photo, and minimum IoU of a match."""
EMPTY_COUNT, EMPTY_SIZE, EMPTY_SEED = 200, (320, 224), 99
"""Images without a garment of each sort, and the height and width of generated ones."""
COST_SAMPLES = 50
MARKERS = "<!-- figures -->", "<!-- end of figures -->"
GroundTruth = tuple[Box, str]
"""Box and garment kind."""


@dataclass(slots=True)
class DetectionCounts:
    """Counts over photos, from which recall and precision follow."""

    truths: int = 0
    detections: int = 0
    matched: int = 0
    correct_labels: int = 0

    def add(
        self, truths: Sequence[GroundTruth], detections: Sequence[Detection]
    ) -> list[tuple[GroundTruth, Detection]]:
        """Count a photo and return its matches."""
        pairs = match_detections(truths, detections)
        self.truths += len(truths)
        self.detections += len(detections)
        self.matched += len(pairs)
        self.correct_labels += sum(truth[1] == detection.label for truth, detection in pairs)
        return pairs

    def figures(self) -> dict[str, float]:
        """Return recall, precision, and the share of correct labels among the matches."""
        return {
            "recall": self.matched / max(1, self.truths),
            "precision": self.matched / max(1, self.detections),
            "label": self.correct_labels / max(1, self.matched),
        }


def iou(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(first.x2, second.x2) - max(first.x1, second.x1)
    height = min(first.y2, second.y2) - max(first.y1, second.y1)
    common = max(0.0, width) * max(0.0, height)
    return common / (first.area + second.area - common) if common else 0.0


def match_detections(
    truths: Sequence[GroundTruth], detections: Sequence[Detection]
) -> list[tuple[GroundTruth, Detection]]:
    """Match greedily: each detection, best first, with the unmatched truth of the largest IoU, if that is enough."""
    free, pairs = list(truths), []
    for detection in detections:
        best = max(free, key=lambda truth: iou(truth[0], detection.box), default=None)
        if best is not None and iou(best[0], detection.box) >= MIN_IOU:
            free.remove(best)
            pairs.append((best, detection))
    return pairs


def ground_truth(sample: Sample) -> list[GroundTruth]:
    """Return the box and kind of each street label that covers at least 0.4 % of the photo."""
    assert sample.labels is not None
    truths = []
    for label in np.unique(sample.labels):
        is_garment = sample.labels == label
        kind = int(sample.mask[is_garment][0])
        if 1 <= kind <= len(GARMENT_KINDS) and is_garment.mean() >= MIN_TRUTH_SHARE:
            truths.append((bounding_box(is_garment), CLASSES[kind]))
    return truths


def bounding_box(mask: np.ndarray) -> Box:
    """Return the bounding box of the true pixels of a mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def street_figures(detector: CompactDetector, samples: Sequence[Sample]) -> dict[str, float]:
    """Return recall, precision and label accuracy on street photos, and the recall of each kind."""
    counts, kinds = DetectionCounts(), {kind: DetectionCounts() for kind in GARMENT_KINDS}
    for sample in samples:
        truths, detections = ground_truth(sample), detector.detect(Image.fromarray(sample.image), CancelToken())
        matched = {id(truth) for truth, _ in counts.add(truths, detections)}
        for truth in truths:
            kinds[truth[1]].truths += 1
            kinds[truth[1]].matched += id(truth) in matched
    return counts.figures() | {f"recall of {kind}": of_kind.figures()["recall"] for kind, of_kind in kinds.items()}


def flat_figures(detector: CompactDetector, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the share of photos with exactly one detection, and with exactly one of the right kind."""
    results = [detector.detect(Image.fromarray(sample.image), CancelToken()) for sample in samples]
    single = [len(detections) == 1 for detections in results]
    kinds = [FLAT_KINDS[sample.folder] for sample in samples]
    pairs = zip(results, kinds, strict=True)
    correct = [len(detections) == 1 and detections[0].label == kind for detections, kind in pairs]
    return {"exactly one": float(np.mean(single)), "exactly one, right kind": float(np.mean(correct))}


def empty_figures(detector: CompactDetector, street: Sequence[Sample]) -> dict[str, float]:
    """Return the share of images without a garment that have a detection: generated ones, and street background."""
    random = np.random.default_rng(EMPTY_SEED)
    generated = [GENERATORS[number % len(GENERATORS)](random, EMPTY_SIZE) for number in range(EMPTY_COUNT)]
    windows_or_none = (find_background(random, sample) for sample in [*street] * 4)
    windows = [image for image, _ in islice(filter(None, windows_or_none), EMPTY_COUNT)]
    return {
        "generated images with a detection": detection_rate(detector, generated),
        "street backgrounds with a detection": detection_rate(detector, windows),
    }


def detection_rate(detector: CompactDetector, images: Sequence[Bytes]) -> float:
    """Return the share of images with a detection."""
    return float(np.mean([bool(detector.detect(Image.fromarray(image), CancelToken())) for image in images]))


def detection_figures(weights: Path, photographs: Photographs) -> dict[str, dict[str, float]]:
    """Return all figures of the detector."""
    detector = CompactDetector(weights / "detector.onnx")
    return {
        "street": street_figures(detector, photographs.street_validation),
        "flat-lay": flat_figures(detector, photographs.flat_validation),
        "no garment": empty_figures(detector, photographs.street_validation),
    }


def cost_figures(weights: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median milliseconds to detect and embed on two threads, and the megabytes of both files."""
    detector = CompactDetector(weights / "detector.onnx")
    embedder = CompactEmbedder(weights / "embedder.onnx")
    times = []
    for sample in samples[:COST_SAMPLES]:
        photo, started = Image.fromarray(sample.image), time.perf_counter()
        embedder.embed([largest_garment(detector, photo)], CancelToken())
        times.append(time.perf_counter() - started)
    size = sum(path.stat().st_size for path in weights.glob("*.onnx"))
    return {"milliseconds": float(np.median(times)) * 1000, "megabytes": size / 1e6}


def write_card(card: Path, figures: dict[str, dict[str, float]]) -> None:
    """Replace the text between the card's two markers with a table of the figures."""
    head, rest = card.read_text().split(MARKERS[0])
    rows = [(group, name, value) for group, values in figures.items() for name, value in values.items()]
    lines = [f"| {group} | {name} | {value:.3g} |" for group, name, value in rows]
    table = "\n".join(["| subject | figure | value |", "| --- | --- | --- |", *lines])
    card.write_text(f"{head}{MARKERS[0]}\n{table}\n{MARKERS[1]}{rest.split(MARKERS[1])[1]}")


def main() -> None:
    """Print the figures, and write them into the model card if there is one."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the ONNX files")
    parser.add_argument("--only", choices=("detection", "search", "cost"))
    parser.add_argument("--card", type=Path, help="model card whose figures are replaced")
    options = parser.parse_args()
    photographs = load_photographs(options.data, options.work)
    figures: dict[str, dict[str, float]] = {}
    if options.only in (None, "detection"):
        figures |= detection_figures(options.weights, photographs)
    if options.only in (None, "search"):
        figures |= search_figures(options.weights, photographs, options.work)
    if options.only in (None, "cost"):
        figures["cost"] = cost_figures(options.weights, photographs.flat_validation)
    print(json.dumps(figures, indent=1, default=float))
    if options.card is not None:
        write_card(options.card, figures)


if __name__ == "__main__":
    main()
