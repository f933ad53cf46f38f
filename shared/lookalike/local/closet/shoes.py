"""Shoes: a pair from the side, or from the front on somebody's feet. Drawn in shoe lengths, ground at y = 0, toe to the right."""

from dataclasses import dataclass, replace

import numpy as np

from lookalike.local.closet.body import Pose
from lookalike.local.closet.cloth import Cloth, Colour, solid
from lookalike.local.closet.design import Design, fold
from lookalike.local.closet.geometry import Place, Points, bent, mirrored, rounded, sharp, tube, xy
from lookalike.local.closet.paint import Mark, Part

LENGTH = 0.15
"""Length of a shoe in body heights."""
SOLES: tuple[Colour, ...] = ((240, 238, 232), (38, 36, 36), (170, 128, 84), (224, 206, 170))


@dataclass(frozen=True)
class Last:
    """The side view of a shoe: upper, sole and opening, and lines on the upper."""

    upper: Points
    sole: Points
    opening: Points
    lines: tuple[Points, ...] = ()
    laces: int = 0


FLAT_SOLE = xy((0.0, -0.07), (0.5, -0.06), (1.0, -0.07), (1.01, -0.02), (0.95, 0.0), (0.03, 0.0), (-0.01, -0.02))
THICK_SOLE = xy(
    (-0.01, -0.13), (0.5, -0.1), (0.9, -0.12), (1.02, -0.15), (1.04, -0.05), (0.96, 0.0), (0.03, 0.0), (-0.03, -0.05)
)
HEELED_SOLE = xy(
    (0.0, -0.13),
    (0.3, -0.1),
    (0.6, -0.05),
    (1.0, -0.07),
    (1.01, -0.01),
    (0.6, 0.0),
    (0.34, -0.03),
    (0.3, 0.0),
    (0.02, 0.0),
)

LASTS: dict[str, Last] = {
    "trainer": Last(
        xy((0.02, -0.1), (-0.01, -0.3), (0.04, -0.48), (0.1, -0.46), (0.22, -0.38), (0.36, -0.47), (0.43, -0.46),
           (0.62, -0.31), (0.82, -0.26), (0.97, -0.2), (1.02, -0.1)),
        THICK_SOLE, xy((0.06, -0.455), (0.22, -0.37), (0.4, -0.47), (0.22, -0.43)),
        (xy((0.72, -0.28), (0.76, -0.2), (0.74, -0.11)), xy((0.0, -0.28), (0.2, -0.26), (0.26, -0.12)),
         xy((0.35, -0.14), (0.5, -0.3)), xy((0.45, -0.13), (0.58, -0.27))), 5),
    "high-top": Last(
        xy((0.03, -0.1), (0.0, -0.4), (0.0, -0.74), (0.1, -0.77), (0.3, -0.76), (0.36, -0.66), (0.42, -0.46),
           (0.62, -0.31), (0.84, -0.27), (0.99, -0.2), (1.01, -0.09)),
        FLAT_SOLE + (0, -0.02), xy((0.02, -0.75), (0.15, -0.74), (0.31, -0.75), (0.16, -0.78)),
        (xy((0.78, -0.27), (0.83, -0.2), (0.83, -0.09)), xy((0.0, -0.3), (0.2, -0.3), (0.24, -0.1))), 7),
    "ankle-boot": Last(
        xy((0.02, -0.12), (0.0, -0.4), (0.04, -0.6), (0.0, -0.86), (0.15, -0.89), (0.34, -0.86), (0.34, -0.6),
           (0.44, -0.42), (0.66, -0.3), (0.9, -0.24), (1.01, -0.14), (1.0, -0.05), (0.6, -0.04)),
        HEELED_SOLE, xy((0.02, -0.855), (0.16, -0.84), (0.33, -0.855), (0.16, -0.89)),
        (xy((0.12, -0.85), (0.14, -0.6), (0.2, -0.45)), xy((0.3, -0.85), (0.27, -0.6), (0.2, -0.45)))),
    "tall-boot": Last(
        xy((0.02, -0.12), (0.0, -0.4), (0.03, -0.7), (-0.05, -1.2), (-0.06, -1.85), (0.15, -1.88), (0.42, -1.84),
           (0.4, -1.3), (0.32, -0.7), (0.42, -0.44), (0.66, -0.3), (0.9, -0.24), (1.01, -0.14), (1.0, -0.05), (0.6, -0.04)),
        HEELED_SOLE, xy((-0.04, -1.845), (0.18, -1.82), (0.4, -1.84), (0.18, -1.88)), (xy((0.12, -1.8), (0.14, -0.7)),)),
    "pump": Last(
        xy((0.03, -0.42), (0.0, -0.55), (0.04, -0.66), (0.12, -0.6), (0.3, -0.42), (0.5, -0.26), (0.62, -0.22),
           (0.72, -0.25), (0.9, -0.16), (1.04, -0.05), (1.0, -0.01), (0.7, -0.02), (0.45, -0.14), (0.2, -0.4)),
        xy((0.03, -0.44), (0.16, -0.42), (0.1, -0.2), (0.09, 0.0), (0.03, 0.0), (0.04, -0.2)),
        xy((0.08, -0.62), (0.35, -0.38), (0.6, -0.23), (0.4, -0.38), (0.2, -0.56))),
    "loafer": Last(
        xy((0.02, -0.07), (0.0, -0.25), (0.03, -0.38), (0.12, -0.35), (0.3, -0.28), (0.44, -0.37), (0.55, -0.38),
           (0.72, -0.28), (0.92, -0.2), (1.01, -0.12), (1.0, -0.06)),
        xy((0.0, -0.08), (0.5, -0.05), (1.0, -0.07), (1.01, -0.01), (0.36, -0.02), (0.3, 0.0), (0.0, 0.0)),
        xy((0.06, -0.36), (0.28, -0.27), (0.5, -0.39), (0.28, -0.34)),
        (xy((0.5, -0.1), (0.56, -0.36)), xy((0.64, -0.1), (0.68, -0.3)), xy((0.66, -0.29), (0.8, -0.22), (0.95, -0.2)))),
    "flat": Last(
        xy((0.02, -0.04), (0.0, -0.18), (0.03, -0.3), (0.1, -0.27), (0.3, -0.17), (0.55, -0.14), (0.7, -0.2),
           (0.9, -0.15), (1.01, -0.08), (1.0, -0.03)),
        xy((0.0, -0.045), (0.5, -0.03), (1.0, -0.045), (1.0, 0.0), (0.0, 0.0)),
        xy((0.06, -0.28), (0.3, -0.16), (0.66, -0.17), (0.3, -0.24))),
}  # fmt: skip


def shoes(design: Design, pose: Pose) -> list[Part]:
    """A pair: standing side by side when laid, on the feet when worn."""
    if not pose.laid:
        return [part for side in (0, 1) for part in _on_foot(design, pose, side)]
    rng = design.rng
    apart = Place(LENGTH, 0.0, float(rng.uniform(0.02, 0.05)), float(-rng.uniform(0.055, 0.075)))
    front = [part.moved(Place(LENGTH)) for part in _side_view(design, 1.0)]
    return [*[part.moved(apart) for part in _side_view(design, 0.0)], *front]


SANDAL_STRAPS = (
    # paths and half widths
    (xy((0.06, -0.06), (0.03, -0.3), (0.06, -0.44)), 0.05), (xy((0.05, -0.4), (0.2, -0.43), (0.37, -0.4)), 0.04),
    (xy((0.37, -0.4), (0.3, -0.2), (0.3, -0.06)), 0.03), (xy((0.37, -0.4), (0.52, -0.33), (0.66, -0.18)), 0.03),
)  # fmt: skip


def _sandal(design: Design, z: float) -> list[Part]:
    sole = Part(rounded(FLAT_SOLE, 1), _sole_cloth(design), z, shadow=0.3)
    bed = Part(rounded(FLAT_SOLE * (0.98, 0.4) + (0.01, -0.045), 1), design.cloth.plain(tone=0.7), z - 0.01)
    straps = [Part(tube(bent(path), (half,)), design.cloth, z + 0.05, ink=0.35) for path, half in SANDAL_STRAPS]
    toe = rounded(xy((0.54, -0.04), (0.6, -0.21), (0.74, -0.26), (0.88, -0.2), (0.95, -0.04)))
    return [bed, Part(toe, design.cloth, z - 0.005, ink=0.35), sole, *straps]


def _sole_cloth(design: Design) -> Cloth:
    if design.cut.shape in ("trainer", "high-top"):
        return solid(SOLES[0 if design.seed % 3 else 3], "cotton")
    return solid(SOLES[1 + design.seed % 2], "cotton")


def _side_view(design: Design, z: float) -> list[Part]:
    if design.cut.shape == "sandal":
        return _sandal(design, z)
    last, cloth = LASTS[design.cut.shape], design.cloth
    opening = Part(
        rounded(last.opening), cloth.plain(tone=0.45, weave="cotton"), z + 0.02, ink=0.1, shadow=0, bulge=-0.5
    )
    heel = cloth if design.cut.shape == "pump" else _sole_cloth(design)
    sole = Part(rounded(last.sole, 1), heel, z - 0.01 if design.cut.shape == "pump" else z + 0.01, shadow=0.25)
    lines = tuple(Mark(bent(line), 0.012, -0.4) for line in last.lines)
    ends = np.concatenate((sharp(last.upper[:1]), last.upper[1:-1], sharp(last.upper[-1:])))
    upper = Part(rounded(ends), cloth, z, (*lines, *_creases(design)), ink=0.35, shadow=0.35)
    return [sole, upper, opening, *_laces(last, design, z)]


def _creases(design: Design) -> list[Mark]:
    rng = design.rng
    return [
        fold(bent(xy((x, -0.3), (x + 0.03, -0.2), (x - 0.01, -0.1))), 0.03, -0.4) for x in rng.uniform(0.55, 0.75, 2)
    ]


def _laces(last: Last, design: Design, z: float) -> list[Part]:
    white = solid((236, 234, 228)) if design.seed % 4 else design.cloth.plain(1)
    start = xy((0.4, -0.45)) if design.cut.shape == "trainer" else xy((0.34, -0.7))
    step = (xy((0.63, -0.3)) - start) / max(last.laces - 1, 1)
    rungs = [start + step * number + xy((-0.085, 0.08), (-0.005, 0.01)) for number in range(last.laces)]
    return [Part(tube(rung, (0.014, 0.014)), white, z + 0.03, ink=0.25, shadow=0.2) for rung in rungs]


FRONT = xy(
    (-0.16, -0.16), (0.16, -0.16), (0.2, 0.08), (0.24, 0.24), (0.15, 0.35), (-0.06, 0.35), (-0.15, 0.24), (-0.18, 0.06)
)
"""A right shoe from the front, in shoe lengths about the ankle."""
LOW = {"pump": 0.1, "loafer": 0.06, "flat": 0.12, "sandal": 0.16}
SHAFTS = {"high-top": 0.42, "ankle-boot": 0.62, "tall-boot": 1.45}


def _on_foot(design: Design, pose: Pose, side: int) -> list[Part]:
    shape, cloth = design.cut.shape, design.cloth
    place = Place(LENGTH, 0.0, *(float(value) for value in pose.ankles[side]))
    z = 7.2 if shape == "tall-boot" else 2.5
    front = FRONT.copy()
    front[:2, 1] = LOW.get(shape, -0.16)
    front = front * (0.86, 1.08) if shape in ("pump", "flat") else front
    upper = Part(rounded(front), cloth, z, _front_lines(shape), ink=0.35)
    sole = Part(rounded(front + (0, 0.035)), _sole_cloth(design), z - 0.1, ink=0.3)
    parts = [sole, upper, *_front_laces(design, z), *_shaft(design, pose, side, z)]
    return [(part if side else _flipped(part)).moved(place) if part.z < z + 0.35 else part for part in parts]


def _flipped(part: Part) -> Part:

    marks = tuple(replace(mark, path=mirrored(mark.path)) for mark in part.marks)
    return replace(part, outline=mirrored(part.outline), marks=marks)


def _front_lines(shape: str) -> tuple[Mark, ...]:
    cap = Mark(bent(xy((-0.13, 0.24), (0.04, 0.17), (0.2, 0.24))), 0.02, -0.4)
    return (cap,) if shape in ("trainer", "high-top", "loafer", "sandal") else ()


def _front_laces(design: Design, z: float) -> list[Part]:
    if design.cut.shape not in ("trainer", "high-top"):
        return []
    white = solid((236, 234, 228)) if design.seed % 4 else design.cloth.plain(1)
    return [
        Part(tube(xy((-0.06, y), (0.09, y)), (0.018, 0.018)), white, z + 0.2, shadow=0.15) for y in (-0.06, 0.01, 0.08)
    ]


def _shaft(design: Design, pose: Pose, side: int, z: float) -> list[Part]:
    tall = SHAFTS.get(design.cut.shape, 0.0) * LENGTH
    if not tall:
        return []
    ankle, knee = pose.ankles[side], pose.knees[side]
    top = ankle + (knee - ankle) * tall / (knee[1] - ankle[1] + 1e-9)
    path = np.stack((top, (top + ankle) / 2, ankle + (0, 0.012)))
    wide = 0.043 if tall > 0.15 else 0.031
    return [Part(tube(bent(path), (wide, wide * 0.95, 0.028)), design.cloth, z + 0.4, ink=0.3)]
