"""How detections are judged: annotated garments, matches by IoU, recall and precision. Needs numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.training.labels import CLASSES
from lookalike.domain.model import GARMENT_KINDS, Box, Detection

MIN_TRUTH_SHARE, MIN_IOU = 0.004, 0.5
"""Smallest garment that counts, as a share of its photo, and minimum IoU of a match."""


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """An annotated garment: its box, its kind, and its pixels (H, W)."""

    box: Box
    kind: str
    mask: NDArray[np.bool_]


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
        self.correct_labels += sum(truth.kind == detection.label for truth, detection in pairs)
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
        best = max(free, key=lambda truth: iou(truth.box, detection.box), default=None)
        if best is not None and iou(best.box, detection.box) >= MIN_IOU:
            free.remove(best)
            pairs.append((best, detection))
    return pairs


def annotated_garments(labels: NDArray[np.uint8], classes: NDArray[np.uint8]) -> list[GroundTruth]:
    """Return the garment of each street label (H, W) that covers at least 0.4 % of the photo.

    `classes` (256,) has the class of each label.
    """
    truths = []
    for label in np.unique(labels):
        is_garment, kind = labels == label, int(classes[label])
        if 1 <= kind <= len(GARMENT_KINDS) and is_garment.mean() >= MIN_TRUTH_SHARE:
            truths.append(GroundTruth(bounding_box(is_garment), CLASSES[kind], is_garment))
    return truths


def bounding_box(mask: np.ndarray) -> Box:
    """Return the bounding box of the true pixels of a mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def mask_iou(truth: GroundTruth, opacity: NDArray[np.uint8]) -> float:
    """Return the intersection over union of the annotated pixels and those with an opacity (H, W) above 127."""
    found = opacity > 127
    return float((found & truth.mask).sum() / (found | truth.mask).sum())
