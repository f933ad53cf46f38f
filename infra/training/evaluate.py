"""Measure the delivered models on the validation photos, and write the figures into the model card."""

import json
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from infra.training.augment import Random
from infra.training.data import Bytes, Photographs, Sample, load_photographs, make_parser
from infra.training.empty import GENERATORS, find_background
from infra.training.evaluate_search import search_figures
from infra.training.labels import FLAT_KINDS, SEED
from infra.training.matching import DetectionCounts, GroundTruth, annotated_garments, mask_iou
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import GARMENT_KINDS

EMPTY_COUNT, EMPTY_SIZE, EMPTY_SEED = 200, (320, 224), 99
"""Images without a garment of each sort, and the height and width of generated ones."""
COST_GARMENTS, WARM_UP_RUNS = 4, 3
"""Garments in the photos whose cost is measured, and runs before the measurement."""
MARKERS = "<!-- figures -->", "<!-- end of figures -->"


def ground_truth(sample: Sample) -> list[GroundTruth]:
    """Return the annotated garments of a street photo."""
    assert sample.labels is not None
    classes = np.zeros(256, np.uint8)
    classes[sample.labels] = sample.mask
    return annotated_garments(sample.labels, classes)


def street_figures(detector: CompactDetector, samples: Sequence[Sample]) -> dict[str, float]:
    """Return recall, precision and label accuracy on street photos, the IoU of the masks, and each kind's recall."""
    counts, kinds = DetectionCounts(), {kind: DetectionCounts() for kind in GARMENT_KINDS}
    overlaps = []
    for sample in samples:
        truths, detections = ground_truth(sample), detector.detect(Image.fromarray(sample.image), CancelToken())
        pairs = counts.add(truths, detections)
        overlaps += [
            mask_iou(truth, np.asarray(detection.full_mask(sample.image.shape[1::-1]))) for truth, detection in pairs
        ]
        matched = {id(truth) for truth, _ in pairs}
        for truth in truths:
            kinds[truth.kind].truths += 1
            kinds[truth.kind].matched += id(truth) in matched
    recalls = {f"recall of {kind}": of_kind.figures()["recall"] for kind, of_kind in kinds.items()}
    return counts.figures() | {"mean mask IoU of matches": float(np.mean(overlaps))} | recalls


def blur(photo: Bytes, random: Random) -> Bytes:
    """Blur by a Gaussian of 2 pixels."""
    return np.asarray(cv2.GaussianBlur(photo, (0, 0), 2), np.uint8)


def add_noise(photo: Bytes, random: Random) -> Bytes:
    """Add noise with a standard deviation of 20."""
    return np.clip(photo + random.normal(0, 20, photo.shape), 0, 255).astype(np.uint8)


def darken(photo: Bytes, random: Random) -> Bytes:
    """Darken to 35 %."""
    return (photo * 0.35).astype(np.uint8)


def tint(photo: Bytes, random: Random) -> Bytes:
    """Tint: more red, less blue."""
    return np.clip(photo * np.array([1.25, 1.0, 0.7]), 0, 255).astype(np.uint8)


def compress(photo: Bytes, random: Random) -> Bytes:
    """Compress as JPEG of quality 30."""
    packed = cv2.imencode(".jpg", photo, [int(cv2.IMWRITE_JPEG_QUALITY), 30])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def halve(photo: Bytes, random: Random) -> Bytes:
    """Shrink to half the size and enlarge again, so that the boxes remain comparable."""
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(half, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


CORRUPTIONS: dict[str, Callable[[Bytes, Random], Bytes]] = {
    "blurred": blur,
    "noisy": add_noise,
    "dark": darken,
    "tinted": tint,
    "JPEG 30": compress,
    "half-size": halve,
}


def corrupted_figures(detector: CompactDetector, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the recall on street photos with each corruption, and the mean of them."""
    recalls = {}
    for name, corrupt in CORRUPTIONS.items():
        random, counts = np.random.default_rng(SEED), DetectionCounts()
        for sample in samples:
            photo = Image.fromarray(corrupt(sample.image, random))
            counts.add(ground_truth(sample), detector.detect(photo, CancelToken()))
        recalls[f"recall, {name}"] = counts.figures()["recall"]
    return recalls | {"recall, mean": float(np.mean(list(recalls.values())))}


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
        "corrupted": corrupted_figures(detector, photographs.street_validation),
        "flat-lay": flat_figures(detector, photographs.flat_validation),
        "no garment": empty_figures(detector, photographs.street_validation),
    }


def cost_figures(weights: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the cost of detecting and embedding a street photo with four garments, and the size of both files.

    Medians over the photos, on two threads. The CPU time is that of both threads together.
    """
    detector = CompactDetector(weights / "detector.onnx")
    embedder = CompactEmbedder(weights / "embedder.onnx")
    rows = []
    for sample in samples:
        photo = Image.fromarray(sample.image)
        if len(detector.detect(photo, CancelToken())) == COST_GARMENTS:
            rows.append(measure_cost(detector, embedder, photo))
    detection, embedding, cpu = np.median(rows[WARM_UP_RUNS:], axis=0) * 1000
    return {
        "milliseconds, detection": detection,
        "milliseconds, embedding": embedding,
        "milliseconds, both": detection + embedding,
        "milliseconds of CPU time": cpu,
        "megabytes": sum(path.stat().st_size for path in weights.glob("*.onnx")) / 1e6,
    }


def measure_cost(
    detector: CompactDetector, embedder: CompactEmbedder, photo: Image.Image
) -> tuple[float, float, float]:
    """Return the seconds of detecting, of embedding all garments, and the seconds of CPU time of both."""
    times, cpu = [time.perf_counter()], time.process_time()
    detections = detector.detect(photo, CancelToken())
    times.append(time.perf_counter())
    embedder.embed([detection.cut_out(photo) for detection in detections], CancelToken())
    times.append(time.perf_counter())
    return times[1] - times[0], times[2] - times[1], time.process_time() - cpu


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
        figures |= search_figures(options.weights, photographs, options.data, options.work)
    if options.only in (None, "cost"):
        figures["cost"] = cost_figures(options.weights, photographs.street_validation)
    print(json.dumps(figures, indent=1, default=float))
    if options.card is not None:
        write_card(options.card, figures)


if __name__ == "__main__":
    main()
