"""Several boxes of one garment become one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.domain.model import Box

SAME, ALIKE, INSIDE = 0.7, 0.5, 0.85
"""Overlap (IoU) from which two boxes are one garment whatever they are called, and if they are called alike; share of the
smaller one inside the larger, if they are called alike."""
SEAM = 0.7
"""Overlap, across the seam, from which the two halves of a garment that lies on a seam of two tiles are one."""


@dataclass(frozen=True, slots=True)
class Find:
    """A box of one tile, in pixels of the photo."""

    box: Box
    label: str
    score: float
    tile: int = 0


def merge(finds: Sequence[Find]) -> list[Find]:
    """One find a garment, best score first."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda one: -one.score):
        for number, other in enumerate(kept):
            if is_seam(find, other):
                kept[number] = replace(other, box=around(find.box, other.box))
                break
            if is_same(find, other):
                break
        else:
            kept.append(find)
    return kept


def is_same(one: Find, other: Find) -> bool:
    both = shared(one.box, other.box)
    union = both / (one.box.area + other.box.area - both)
    inside = both / min(one.box.area, other.box.area)
    return union >= SAME or (one.label == other.label and (union >= ALIKE or inside >= INSIDE))


def is_seam(one: Find, other: Find) -> bool:
    """Whether they are what two tiles that overlap saw of one garment."""
    if one.tile == other.tile or one.label != other.label or not shared(one.box, other.box):
        return False
    return (
        max(
            overlap(one.box.x1, one.box.x2, other.box.x1, other.box.x2),
            overlap(one.box.y1, one.box.y2, other.box.y1, other.box.y2),
        )
        >= SEAM
    )


def overlap(start: float, end: float, other_start: float, other_end: float) -> float:
    """Shared length over joint length."""
    both = min(end, other_end) - max(start, other_start)
    return max(0.0, both) / (max(end, other_end) - min(start, other_start))


def shared(one: Box, other: Box) -> float:
    """Area in common."""
    return Box(max(one.x1, other.x1), max(one.y1, other.y1), min(one.x2, other.x2), min(one.y2, other.y2)).area


def around(one: Box, other: Box) -> Box:
    return Box(min(one.x1, other.x1), min(one.y1, other.y1), max(one.x2, other.x2), max(one.y2, other.y2))
