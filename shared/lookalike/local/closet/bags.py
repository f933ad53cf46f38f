"""Bags, seen from the front. Drawn in bag units: about one high, x = 0 in the middle, the mouth at y = 0."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lookalike.local.closet.body import Pose
from lookalike.local.closet.cloth import Cloth
from lookalike.local.closet.design import Design, fold
from lookalike.local.closet.geometry import Place, Points, bent, eased, oval, rounded, sharp, symmetric, tube, xy
from lookalike.local.closet.paint import Mark, Part
from lookalike.local.closet.trims import METAL

SIZES = {
    "tote": 0.2,
    "handbag": 0.15,
    "shoulder": 0.13,
    "backpack": 0.22,
    "bucket": 0.15,
    "clutch": 0.1,
    "duffel": 0.17,
}
"""Body heights in one bag unit."""
IN_HAND, ON_BODY, ON_BACK = 39.0, 43.0, -1.0


def bag(design: Design, pose: Pose) -> list[Part]:
    """A bag on its own when laid; in the hand, across the body or on the back when worn."""
    shape = design.cut.shape
    parts, size = SHAPES[shape](design), SIZES[shape]
    if pose.laid:
        return [part.moved(Place(size)) for part in parts]
    if shape == "backpack":
        back = [replace(part.moved(Place(size, 0.0, 0.0, 0.21)), z=ON_BACK + part.z * 0.01) for part in parts]
        return [*back, *_shoulder_straps(design)]
    if shape == "shoulder":
        return _across(design, pose, parts)
    return _in_hand(pose, parts, size, design.seed % 2, shape)


def _in_hand(pose: Pose, parts: list[Part], size: float, side: int, shape: str) -> list[Part]:
    wrist, elbow = pose.wrists[side], pose.elbows[side]
    hand = wrist + (wrist - elbow) / np.hypot(*(wrist - elbow)) * 0.035
    top = min(float(part.outline[:, 1].min()) for part in parts) if shape != "clutch" else 0.35
    place = Place(size, 0.0, float(hand[0]), float(hand[1] - top * size - 0.008))
    return [replace(part.moved(place), z=IN_HAND + part.z * 0.01) for part in parts]


def _across(design: Design, pose: Pose, parts: list[Part]) -> list[Part]:
    """At one hip, its strap over the other shoulder."""
    way = 1 if design.seed % 2 else -1
    x, y = way * 0.105 * pose.build, 0.47
    bodies = [replace(part.moved(Place(SIZES["shoulder"] * 0.9, 0.0, x, y)), z=ON_BODY + part.z * 0.01)
              for part in parts if part.z >= 0]  # fmt: skip
    strap = tube(bent(xy((-way * 0.05, 0.172), (way * 0.01, 0.3), (x - way * 0.03, y + 0.01))), (0.005, 0.005))
    return [Part(strap, _strap(design), ON_BODY - 0.1), *bodies]


def _shoulder_straps(design: Design) -> list[Part]:
    paths = [xy((s * 0.06, 0.176), (s * 0.072, 0.25), (s * 0.098, 0.33)) for s in (-1, 1)]
    return [Part(tube(bent(path), (0.012, 0.011)), _strap(design), 40.5 - 10, ink=0.3) for path in paths]


def _strap(design: Design) -> Cloth:
    return design.cloth.plain(tone=0.8) if design.seed % 3 else design.cloth.plain(1, "leather")


def _main(design: Design, half: Points, *marks: Mark) -> Part:
    sag = [fold(bent(xy((x, 0.15), (x * 1.1, 0.5), (x * 0.9, 0.9))), 0.07, tone)
           for x, tone in zip(design.rng.uniform(-0.4, 0.4, 3), (-0.35, 0.3, -0.3), strict=True)]  # fmt: skip
    return Part(rounded(symmetric(half)), design.cloth, 0.0, (*marks, *sag), ink=0.35)


def _handles(design: Design, x: float, tall: float, width: float = 0.03, low: float = 0.05) -> list[Part]:
    arc = eased(
        xy((-x, low), (-x * 0.94, -tall * 0.6), (-x * 0.5, -tall), (x * 0.5, -tall), (x * 0.94, -tall * 0.6), (x, low)),
        3,
    )
    back = Part(tube(arc + (0.0, -0.03), (width * 0.9,)), _strap(design).plain(tone=0.75), -0.5, ink=0.3)
    return [back, Part(tube(arc, (width,)), _strap(design), 0.5, ink=0.3)]


def _tote(design: Design) -> list[Part]:
    half = np.concatenate(
        (xy((0, 0.02)), sharp(xy((0.46, 0.0))), xy((0.44, 0.6)), sharp(xy((0.42, 0.98))), xy((0, 1.0)))
    )
    ends = [_square(x, 0.12, 0.045, 0.07, _strap(design), 0.55) for x in (-0.22, 0.22)]
    mouth = Mark(bent(xy((-0.45, 0.07), (0, 0.09), (0.45, 0.07))), 0.012, -0.3)
    return [_main(design, half, mouth), *_handles(design, 0.22, 0.5), *ends, *_badge(design)]


def _square(x: float, y: float, width: float, tall: float, cloth: Cloth, z: float) -> Part:
    return Part(
        xy((x - width, y - tall), (x + width, y - tall), (x + width, y + tall), (x - width, y + tall)),
        cloth,
        z,
        shadow=0.25,
    )


def _badge(design: Design) -> list[Part]:
    if design.seed % 3:
        return []
    return [Part(oval((0, 0.52), 0.16, 0.16), design.cloth.plain(1, "cotton"), 0.2, ink=0.05, shadow=0)]


def _handbag(design: Design) -> list[Part]:
    half = np.concatenate((xy((0, 0.0), (0.3, 0.0), (0.46, 0.05), (0.55, 0.5)), xy((0.6, 0.82), (0.5, 0.9), (0, 0.92))))
    zipline = Mark(bent(xy((-0.42, 0.06), (0, 0.03), (0.42, 0.06))), 0.02, -0.4)
    panel = Mark(bent(xy((-0.55, 0.55), (0, 0.62), (0.55, 0.55))), 0.014, -0.35)
    rings = [Part(oval((x, 0.1), 0.04, 0.04, 14), METAL, 0.56) for x in (-0.25, 0.25)]
    return [_main(design, half, zipline, panel), *_handles(design, 0.25, 0.42, 0.028, 0.1), *rings]


def _shoulder(design: Design) -> list[Part]:
    half = xy((0, 0.0), (0.5, 0.0), (0.58, 0.08), (0.58, 0.75), (0.5, 0.86), (0, 0.87))
    flap = rounded(symmetric(xy((0, -0.01), (0.52, -0.01), (0.59, 0.06), (0.57, 0.36), (0.35, 0.52), (0, 0.55))))
    clasp = Part(rounded(xy((-0.06, 0.47), (0.06, 0.47), (0.06, 0.59), (-0.06, 0.59)), 1), METAL, 0.3, shadow=0.4)
    strap = eased(xy((-0.55, 0.05), (-0.5, -0.4), (-0.2, -0.75), (0.3, -0.7), (0.5, -0.35), (0.55, 0.05)), 3)
    return [
        Part(tube(strap, (0.024,)), _strap(design), -0.5),
        _main(design, half),
        Part(flap, design.cloth, 0.2),
        clasp,
    ]


def _backpack(design: Design) -> list[Part]:
    half = xy((0, -0.02), (0.2, -0.01), (0.36, 0.1), (0.4, 0.4), (0.42, 0.85), (0.36, 0.98), (0, 1.0))
    pocket = rounded(symmetric(xy((0, 0.5), (0.26, 0.5), (0.3, 0.56), (0.29, 0.88), (0.24, 0.92), (0, 0.92))))
    zips = Mark(bent(xy((-0.36, 0.42), (0, 0.02), (0.36, 0.42))), 0.016, -0.45)
    pocket_zip = Mark(xy((-0.26, 0.57), (0.26, 0.57)), 0.02, -0.5)
    sides = [
        Part(
            tube(bent(xy((s * 0.36, 0.2), (s * 0.56, 0.5), (s * 0.4, 0.92))), (0.05, 0.05, 0.03)), _strap(design), -0.4
        )
        for s in (-1, 1)
    ]
    loop = Part(
        tube(eased(xy((-0.1, 0.02), (-0.08, -0.12), (0.08, -0.12), (0.1, 0.02)), 2), (0.024,)), _strap(design), 0.4
    )
    front = Part(
        pocket, design.cloth.plain(1, design.cloth.weave) if design.seed % 2 else design.cloth, 0.2, (pocket_zip,)
    )
    return [*sides, _main(design, half, zips), front, loop]


def _bucket(design: Design) -> list[Part]:
    half = np.concatenate(
        (xy((0, 0.05), (0.15, 0.03)), sharp(xy((0.4, 0.0))), xy((0.42, 0.3), (0.46, 0.85), (0.42, 0.93), (0, 0.97)))
    )
    cord = [
        Part(tube(bent(xy((s * 0.02, 0.16), (s * 0.1, 0.3), (s * 0.08, 0.45))), (0.016,)), _strap(design), 0.4)
        for s in (-1, 1)
    ]
    gathers = [fold(xy((x, 0.02), (x * 1.05, 0.28)), 0.04, -0.6) for x in np.linspace(-0.36, 0.36, 8)]
    line = Mark(bent(xy((-0.41, 0.14), (0, 0.19), (0.41, 0.14))), 0.022, -0.45)
    return [_main(design, half, line, *gathers), *_handles(design, 0.34, 0.6, 0.026), *cord]


def _clutch(design: Design) -> list[Part]:
    half = np.concatenate((xy((0, 0.0)), sharp(xy((0.78, 0.0))), sharp(xy((0.8, 0.9))), xy((0, 0.92))))
    flap = np.concatenate((sharp(xy((-0.79, -0.01), (0.79, -0.01))), xy((0.4, 0.34), (0, 0.58), (-0.4, 0.34))))
    return [_main(design, half), Part(rounded(flap), design.cloth, 0.2), Part(oval((0, 0.46), 0.05, 0.05), METAL, 0.3)]


def _duffel(design: Design) -> list[Part]:
    half = xy((0, 0.0), (0.6, 0.0), (0.82, 0.12), (0.9, 0.45), (0.84, 0.78), (0.6, 0.86), (0, 0.87))
    bands = [_square(x, 0.44, 0.05, 0.43, _strap(design), 0.3) for x in (-0.36, 0.36)]
    zipline = Mark(bent(xy((-0.75, 0.1), (0, 0.06), (0.75, 0.1))), 0.018, -0.45)
    return [_main(design, half, zipline), *bands, *_handles(design, 0.36, 0.36, 0.035)]


SHAPES: dict[str, Callable[[Design], list[Part]]] = {
    "tote": _tote, "handbag": _handbag, "shoulder": _shoulder, "backpack": _backpack, "bucket": _bucket,
    "clutch": _clutch, "duffel": _duffel,
}  # fmt: skip
