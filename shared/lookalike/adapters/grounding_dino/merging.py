"""Merges overlapping boxes of one garment (non-maximum suppression), also across the tiles of a long photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.domain.model import Box

SAME_BOX_IOU, SAME_LABEL_IOU, MIN_CONTAINED = 0.7, 0.5, 0.85
"""When two boxes are one garment: minimum IoU with different labels; minimum IoU with equal labels; and, with equal
labels, the minimum share of the smaller box inside the larger."""
MIN_SEAM_IOU = 0.7
"""Minimum one-dimensional IoU, along the seam of two tiles, of two parts of one garment."""


@dataclass(frozen=True, slots=True)
class TileDetection:
    """A detection in one tile, with its box in pixels of the photo."""

    box: Box
    label: str
    score: float
    tile: int = 0


def merge_detections(detections: Sequence[TileDetection]) -> list[TileDetection]:
    """Return one detection for each garment, best score first.

    Of boxes in one tile, the best is kept. Parts of a garment in two tiles are joined to one box with the better score.
    """
    kept: list[TileDetection] = []
    for detection in sorted(detections, key=lambda candidate: -candidate.score):
        for number, better in enumerate(kept):
            if is_split_by_seam(detection, better):
                kept[number] = replace(better, box=enclosing_box(detection.box, better.box))
                break
            if is_duplicate(detection, better):
                break
        else:
            kept.append(detection)
    return kept


def is_duplicate(first: TileDetection, second: TileDetection) -> bool:
    """Whether two boxes show the same garment, wherever they lie."""
    common = intersection_area(first.box, second.box)
    iou = common / (first.box.area + second.box.area - common)
    contained = common / min(first.box.area, second.box.area)
    has_same_label = first.label == second.label
    return iou >= SAME_BOX_IOU or (has_same_label and (iou >= SAME_LABEL_IOU or contained >= MIN_CONTAINED))


def is_split_by_seam(first: TileDetection, second: TileDetection) -> bool:
    """Whether two boxes are parts of one garment that lies in two overlapping tiles."""
    if first.tile == second.tile or first.label != second.label or not intersection_area(first.box, second.box):
        return False
    # the photo may be cut in either direction: the boxes agree along the seam, whichever it is
    x_iou = interval_iou(first.box.x1, first.box.x2, second.box.x1, second.box.x2)
    y_iou = interval_iou(first.box.y1, first.box.y2, second.box.y1, second.box.y2)
    return max(x_iou, y_iou) >= MIN_SEAM_IOU


def interval_iou(start: float, end: float, other_start: float, other_end: float) -> float:
    """Return the intersection of two intervals over their hull."""
    common = min(end, other_end) - max(start, other_start)
    return max(0.0, common) / (max(end, other_end) - min(start, other_start))


def intersection_area(first: Box, second: Box) -> float:
    """Return the area that two boxes share."""
    left, top = max(first.x1, second.x1), max(first.y1, second.y1)
    return Box(left, top, min(first.x2, second.x2), min(first.y2, second.y2)).area


def enclosing_box(first: Box, second: Box) -> Box:
    """Return the smallest box that contains both."""
    left, top = min(first.x1, second.x1), min(first.y1, second.y1)
    return Box(left, top, max(first.x2, second.x2), max(first.y2, second.y2))
