"""Post-processing of detectors: from class logits, normalized boxes and mask logits to detections in a photo.

Scores and boxes follow `post_process_object_detection` of the image processors of transformers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.folder_models.families import Family
from lookalike.domain.model import Box, Detection

Floats = NDArray[np.float32]

SAME_GARMENT_IOU = 0.5
"""IoU from which two boxes of one kind are the same garment: labels such as "shirt" and "top" share a kind."""
EDGE_CONTRAST = 4.0
"""Steepness of a mask's edge: the opacity rises from 0 to 1 over a quarter of the range of the probability."""
MAX_MASK_SIDE = 1024
"""Pixels of a mask's longer side. Cutting out a garment enlarges its mask."""


@dataclass(frozen=True, slots=True, eq=False)
class RawOutput:
    """The graph's output for one photo.

    `logits` (q, classes), `boxes` (q, 4): center and size as fractions of the photo, and `mask_logits` (q, h, w) of
    which the part (`valid_height`, `valid_width`), as fractions, shows the photo; the rest is padding.
    """

    logits: Floats
    boxes: Floats
    mask_logits: Floats | None = None
    valid_height: float = 1.0
    valid_width: float = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scored pair of query and class."""

    query: int
    class_number: int
    score: float


def find_garments(
    output: RawOutput, family: Family, kinds: Mapping[int, str], size: tuple[int, int], threshold: float
) -> list[Detection]:
    """Return the garments with a score above the threshold, best first.

    `kinds`: garment kind by class number; other classes are dropped. `size`: width and height of the photo.
    """
    found: list[tuple[Candidate, Detection]] = []
    for candidate in score_candidates(output.logits, family):
        if candidate.score > threshold and (kind := kinds.get(candidate.class_number)):
            box = box_in_photo(output.boxes[candidate.query], size)
            # a box outside of the photo, or thinner than a pixel, is not a garment that can be cut out
            if box.area >= 1 and not any(is_duplicate(box, kind, better) for _, better in found):
                found.append((candidate, Detection(box, kind, candidate.score)))
    return [with_mask(detection, candidate.query, output, size) for candidate, detection in found]


def score_candidates(logits: Floats, family: Family) -> list[Candidate]:
    """Return the candidates of all queries, best score first, given their class logits (q, classes)."""
    if family.has_no_object:
        scores = softmax(logits)[:, :-1]
        classes, queries = scores.argmax(1), np.arange(len(scores))
        best = scores[queries, classes]
    else:
        scores = sigmoid(logits)
        count = min(family.top_k or len(scores), scores.size)
        flat = np.argsort(-scores, axis=None, kind="stable")[:count]
        queries, classes = np.divmod(flat, scores.shape[1])
        best = scores[queries, classes]
    order = np.argsort(-best, kind="stable")
    columns = queries[order].tolist(), classes[order].tolist(), best[order].tolist()
    return [Candidate(*row) for row in zip(*columns, strict=True)]


def box_in_photo(box: Floats, size: tuple[int, int]) -> Box:
    """Convert a box (4,), center and size as fractions, to corners in pixels, clipped to the photo."""
    x, y, box_width, box_height = box.astype(np.float64).tolist()
    left, right = (clip_edge((x + sign * box_width / 2) * size[0], size[0]) for sign in (-1, 1))
    top, bottom = (clip_edge((y + sign * box_height / 2) * size[1], size[1]) for sign in (-1, 1))
    # an empty box if nothing lies inside the photo
    return Box(left, top, max(left, right), max(top, bottom))


def clip_edge(position: float, length: int) -> float:
    """Clip an edge to the photo, rounded to 0.001 pixels.

    The rounding error of float32 would extend whole pixels by one when the box is cut out.
    """
    return min(max(round(position, 3), 0.0), float(length))


def is_duplicate(box: Box, kind: str, better: Detection) -> bool:
    """Whether a box shows the same garment as a better detection: the same kind and a large intersection."""
    other = better.box
    common = Box(max(box.x1, other.x1), max(box.y1, other.y1), min(box.x2, other.x2), min(box.y2, other.y2)).area
    return kind == better.label and common >= SAME_GARMENT_IOU * (box.area + other.area - common)


def with_mask(detection: Detection, query: int, output: RawOutput, size: tuple[int, int]) -> Detection:
    """Return the detection with its mask, or unchanged if the graph has no masks or the mask is empty in the box."""
    if output.mask_logits is None:
        return detection
    mask = cut_mask(output.mask_logits[query], output, detection.box.pixel_bounds(*size), size)
    # an empty mask would make the cut-out transparent; the box is the better estimate then
    return Detection(detection.box, detection.label, detection.score, mask) if mask.max() >= 128 else detection


def cut_mask(logits: Floats, output: RawOutput, bounds: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the opacity (rows, columns), 0 to 255, inside whole pixels of the photo, given a mask's logits (h, w).

    The logits are enlarged before the sigmoid, as in DETR and RF-DETR: `post_process_instance` counts
    pixels of at least 128 as the object.
    """
    x_scale = logits.shape[1] * output.valid_width / size[0]
    y_scale = logits.shape[0] * output.valid_height / size[1]
    left, top, right, bottom = bounds
    shrink = min(1.0, MAX_MASK_SIDE / max(right - left, bottom - top))
    target = max(1, round((right - left) * shrink)), max(1, round((bottom - top) * shrink))
    box = (left * x_scale, top * y_scale, right * x_scale, bottom * y_scale)
    # without padding the products can exceed the map by a rounding error, which Pillow rejects
    box = (*box[:2], min(box[2], logits.shape[1]), min(box[3], logits.shape[0]))
    enlarged = Image.fromarray(logits).resize(target, Image.Resampling.BILINEAR, box=box)
    opacity = np.clip((sigmoid(np.asarray(enlarged)) - 0.5) * EDGE_CONTRAST + 0.5, 0, 1)
    return np.asarray((opacity * 255).round(), np.uint8)


def softmax(logits: Floats) -> Floats:
    """Return probabilities over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Return the logistic function of each value. Large negative values do not overflow."""
    return np.asarray(0.5 * (np.tanh(0.5 * logits) + 1), np.float32)
