"""Trousers, shorts and skirts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lookalike.local.closet.body import Pose
from lookalike.local.closet.cloth import Cloth
from lookalike.local.closet.cuts import Cut
from lookalike.local.closet.design import Design, Stitch, fold, height, parts_and_marks, swayed
from lookalike.local.closet.geometry import (
    Points,
    along,
    bent,
    heading,
    mirrored,
    oval,
    resampled,
    rounded,
    sharp,
    symmetric,
    tube,
    xy,
)
from lookalike.local.closet.paint import Mark, Part
from lookalike.local.closet.trims import METAL, tier
from lookalike.local.closet.upper import Fit, hem, ribs

RISES = {"high": 0.385, "mid": 0.415, "elastic": 0.4, None: 0.4}
"""Height of the waistband's upper edge, in body heights."""
BAND = 0.02
CROTCH = 0.552
TROUSERS, SKIRT = 6.0, 8.0


@dataclass(frozen=True)
class Waist:
    """Where trousers or a skirt begin: upper edge, and half the width there, in body heights."""

    design: Design
    pose: Pose
    top: float
    half: float
    z: float

    @property
    def cut(self) -> Cut:
        return self.design.cut

    def piece(self, outline: Points, above: float, cloth: Cloth | None = None, shadow: float = 0.2) -> Part:
        return Part(swayed(outline, self.pose), cloth or self.design.cloth, self.z + above, ink=0.3, shadow=shadow)


def trousers(design: Design, pose: Pose) -> list[Part]:
    """Long and short trousers on a pose."""
    top = RISES[design.cut.waist]
    waist = Waist(design, pose, top, float(np.interp(top, (0.385, 0.44), (0.081, 0.093))) * pose.build, TROUSERS)
    pieces, marks = parts_and_marks(
        [stitch for name in design.cut.details if name in SEWN for stitch in SEWN[name](waist)]
    )
    legs = [_leg(waist, side, marks) for side in (0, 1)]
    return [*_seat(waist), *legs, *pieces]


def _seat(waist: Waist) -> list[Part]:
    """The inside of the back, above the front's waistband."""
    if not waist.pose.laid:
        return []
    half = symmetric(
        xy((0, waist.top - 0.006), (waist.half, waist.top), (waist.half, waist.top + 0.01), (0, waist.top + 0.01))
    )
    return [waist.piece(half, -0.5, waist.design.cloth.plain(tone=0.55))]


def centre_line(waist: Waist, side: int) -> tuple[Points, tuple[float, ...]]:
    """The middle of a leg from the hip to the hem, shape (20, 2), and the half widths along it."""
    joints = waist.pose.leg(side)
    end = height(waist.cut.profile[-1][0])
    down = np.linspace(joints[0, 1], end, 20)
    beyond = np.concatenate((joints, joints[2:] + (joints[2:] - joints[1:2]) * 0.4))
    path = np.stack((np.interp(down, beyond[:, 1], beyond[:, 0]), down), axis=1)
    levels = [height(level) for level, _ in waist.cut.profile]
    widths = np.interp(down, levels, [half for _, half in waist.cut.profile])
    return path, tuple(float(width) for width in widths * waist.pose.build)


def _leg(waist: Waist, side: int, marks: tuple[Mark, ...]) -> Part:
    path, widths = centre_line(waist, side)
    right = _leg_outline(waist, path if side else mirrored(path), widths, 1 if side else -1)
    outline = right if side else mirrored(right)
    creases = _leg_folds(waist, path, widths)
    return Part(outline, waist.design.cloth, waist.z, (*creases, *marks), ink=0.3, shadow=0.25)


def _leg_outline(waist: Waist, path: Points, widths: tuple[float, ...], way: int) -> Points:
    """The right leg: waist, hip, down its outside, hem, up its inside to the crotch."""
    top, low = way * waist.pose.centre(waist.top), way * waist.pose.centre(CROTCH)
    apart = 0.16 if waist.design.kind == "shorts" else 0.02
    aside = np.array(widths)[:, None] * (1.0, 0.0)
    outer, inner = path + aside, path - aside
    inner = inner[inner[:, 1] > CROTCH + 0.012]
    inner[:, 0] = np.maximum(inner[:, 0], (inner[:, 1] - CROTCH) * apart + low * 0.5)
    waistline = xy((top - 0.004, waist.top), (waist.half + top, waist.top))
    middle = xy((low, CROTCH), (low - 0.004, 0.5))
    ends = np.concatenate((sharp(outer[-1:]), path[-1:] + (0, 0.006), sharp(inner[-1:])))
    return rounded(
        np.concatenate((sharp(waistline), outer[:-1], ends, inner[:-1][::-1], sharp(middle[:1]), middle[1:])), 1
    )


def _leg_folds(waist: Waist, path: Points, widths: tuple[float, ...]) -> list[Mark]:
    rng, marks = waist.design.rng, []
    for at in (*rng.uniform(0.35, 0.65, 3), *rng.uniform(0.75, 0.97, 2)):
        here = int(at * (len(path) - 1))
        x, lean = widths[here], rng.uniform(-0.02, 0.02)
        ends = path[here] + xy((-x * 0.9, lean), (0, lean * 0.1 + 0.003), (x * 0.9, -lean))
        marks.append(fold(ends, rng.uniform(0.007, 0.013), rng.choice((-0.5, 0.3))))
    fan = [fold(bent(xy((0.0, 0.53), (s * 0.03, 0.535 + drop * 0.3), (s * 0.075, 0.53 + drop))), 0.009, -0.4)
           for s in (-1, 1) for drop in (-0.01, 0.03)]  # fmt: skip
    return marks + fan


def skirt(design: Design, pose: Pose) -> list[Part]:
    """A skirt on a pose."""
    profile = design.cut.profile
    fit = Fit(design, pose, SKIRT)
    waist = Waist(design, pose, height(profile[0][0]), fit.half(height(profile[0][0])), SKIRT)
    stitches = [stitch for name in design.cut.details if name in SEWN for stitch in SEWN[name](waist)]
    pieces, marks = parts_and_marks([*_falls(fit), *stitches, *_skirt_trims(fit)])
    return [*_seat(waist), Part(_skirt_outline(fit, waist), design.cloth, SKIRT, marks, ink=0.3), *pieces]


def _skirt_outline(fit: Fit, waist: Waist) -> Points:
    down = np.linspace(waist.top, fit.hem, 10)
    side = np.array([(fit.half(y), y) for y in down])
    bell = np.sin(np.linspace(0, np.pi, 10)) * 0.008 * (side[-1, 0] < 0.15)
    side[:, 0] += bell
    half = np.concatenate(
        (
            xy((0, waist.top + 0.004)),
            sharp(side[:1]),
            side[1:-1],
            sharp(side[-1:]),
            hem(fit.design, side[-1, 0], fit.hem),
        )
    )
    return swayed(rounded(symmetric(half), 1), fit.pose)


def _falls(fit: Fit) -> list[Stitch]:
    """Folds from the waist to the hem; sharp and even ones where the skirt is pleated."""
    pleated, draped = "pleats" in fit.cut.details, "drape" in fit.cut.details
    count, strength = (15, 0.75) if pleated else (8, 0.6) if draped else (3, 0.28)
    rng, top = fit.design.rng, height(fit.cut.profile[0][0]) + BAND
    marks: list[Stitch] = []
    for share in np.linspace(-0.93, 0.93, count) + rng.uniform(-1, 1, count) * (0.005 if pleated else 0.06):
        path = fit.at((share * fit.half(top), top), (share * fit.half(fit.hem), fit.hem + 0.012))
        width = fit.half(fit.hem) * (0.55 / count + 0.02)
        marks += [fold(path, width, -strength), fold(path + (width, 0), width, strength * 0.55)]
        marks += [Mark(path, 0.0022, -0.3)] if pleated else []
    return marks


def _skirt_trims(fit: Fit) -> list[Stitch]:
    stitches: list[Stitch] = []
    if "tiers" in fit.cut.details:
        for y in np.linspace(0.4, fit.hem, 4)[1:-1]:
            stitches += tier(fit, float(y), fit.half(float(y)))
    if "seam" in fit.cut.details:
        stitches += [Mark(fit.at((s * 0.04, 0.405), (s * 0.05, 0.47)), 0.0025, -0.35) for s in (-1, 1)]
    return stitches


def _waistband(waist: Waist) -> list[Stitch]:
    y, half = waist.top, waist.half + 0.001
    band = xy(
        (-half, y),
        (0, y + 0.003),
        (half, y),
        (half + 0.003, y + BAND),
        (0, y + BAND + 0.003),
        (-half - 0.003, y + BAND),
    )
    loops = [waist.piece(xy((x - 0.003, y - 0.002), (x + 0.003, y - 0.002), (x + 0.003, y + BAND + 0.004), (x - 0.003, y + BAND + 0.004)), 0.4)
             for x in (-0.045, 0.045)] if "fly" in waist.cut.details else []  # fmt: skip
    return [waist.piece(band, 0.3), *loops]


def _fly(waist: Waist) -> list[Stitch]:
    y = waist.top
    curve = bent(xy((0.016, y + BAND), (0.016, y + 0.07), (0.0, y + 0.1)))
    line = Mark(swayed(xy((0, y + 0.003), (0, CROTCH)), waist.pose), 0.003, -0.4)
    button = waist.piece(oval((0.004, y + 0.011), 0.005, 0.005, 12), 0.5, METAL)
    return [
        Mark(swayed(curve, waist.pose), 0.0025, 0.22 if waist.design.cloth.weave == "denim" else -0.3),
        line,
        button,
    ]


def _side_pockets(waist: Waist) -> list[Stitch]:
    y, half = waist.top + BAND, waist.half
    right = bent(xy((half * 0.55, y), (half * 0.78, y + 0.034), (half + 0.016, y + 0.05)))
    return [Mark(swayed(path, waist.pose), 0.003, -0.45) for path in (right, mirrored(right))]


def _press(waist: Waist) -> list[Stitch]:
    marks: list[Stitch] = []
    for side in (0, 1):
        path, _ = centre_line(waist, side)
        marks += [Mark(path, 0.0018, 0.1), fold(path + (0.006, 0), 0.008, -0.3)]
    return marks


def _cargo(waist: Waist) -> list[Stitch]:
    pieces: list[Stitch] = []
    for side, out in ((0, -1), (1, 1)):
        path, widths = centre_line(waist, side)
        x, y = path[8 if waist.design.kind == "trousers" else 11] + (out * widths[8] * 0.62, 0)
        box = xy((x - 0.026, y), (x + 0.026, y), (x + 0.024, y + 0.062), (x - 0.024, y + 0.062))
        flap = xy((x - 0.028, y - 0.004), (x + 0.028, y - 0.004), (x + 0.027, y + 0.016), (x - 0.027, y + 0.016))
        pieces += [Part(box, waist.design.cloth, waist.z + 0.2), Part(flap, waist.design.cloth, waist.z + 0.25)]
    return pieces


def _elastic(waist: Waist) -> list[Stitch]:
    y, half = waist.top, waist.half
    band = xy(
        (-half, y), (0, y + 0.003), (half, y), (half + 0.004, y + 0.026), (0, y + 0.029), (-half - 0.004, y + 0.026)
    )
    lines = tuple(
        Mark(swayed(xy((x, y + 0.003), (x, y + 0.026)), waist.pose), 0.002, -0.22)
        for x in np.linspace(-0.94, 0.94, 26) * half
    )
    return [replace(waist.piece(band, 0.3), marks=lines)]


def _strings(waist: Waist) -> list[Stitch]:
    white = waist.design.cloth.plain(1)
    path = bent(xy((0.006, waist.top + 0.014), (0.016, waist.top + 0.05), (0.013, waist.top + 0.085)))
    return [waist.piece(tube(half, (0.0026, 0.0026)), 0.5, white) for half in (path, mirrored(path))]


def _hem_ribs(waist: Waist) -> list[Stitch]:
    bands: list[Stitch] = []
    for side in (0, 1):
        path, widths = centre_line(waist, side)
        end = resampled(along(path, 0.92, 1.0), 5)
        lines = ribs(end, widths[-1])
        bands.append(
            Part(
                tube(end, (widths[-1] * 1.08, widths[-1])),
                waist.design.cloth.plain(tone=0.93),
                waist.z + 0.2,
                lines,
                heading(end),
            )
        )
    return bands


def _fray(waist: Waist) -> list[Stitch]:
    threads: list[Stitch] = []
    for side in (0, 1):
        path, widths = centre_line(waist, side)
        x, y = path[-1]
        threads += [Part(tube(xy((x + share * widths[-1], y - 0.002), (x + share * widths[-1] * 1.02, y + 0.009)), (0.0012, 0.001)),
                         waist.design.cloth.plain(tone=1.25), waist.z + 0.1, shadow=0.1)
                    for share in np.linspace(-0.95, 0.95, 15)]  # fmt: skip
    return threads


def _piping(waist: Waist) -> list[Stitch]:
    edges: list[Stitch] = []
    for side, out in ((0, -1), (1, 1)):
        path, widths = centre_line(waist, side)
        edge = path[1:-1] + np.array(widths[1:-1])[:, None] * (out * 0.86, 0)
        edges.append(Part(tube(edge, (0.004, 0.004)), waist.design.cloth.plain(1), waist.z + 0.2, shadow=0.0, ink=0.1))
    return edges


def _buttons_front(waist: Waist) -> list[Stitch]:
    low = height(waist.cut.profile[-1][0])
    return [
        waist.piece(oval((0, float(y)), 0.005, 0.005, 12), 0.5, METAL)
        for y in np.linspace(waist.top + 0.045, low - 0.03, 4)
    ]


SEWN: dict[str, Callable[[Waist], list[Stitch]]] = {
    "waistband": _waistband, "fly": _fly, "side-pockets": _side_pockets, "press": _press, "cargo": _cargo,
    "elastic": _elastic, "strings": _strings, "hem-ribs": _hem_ribs, "fray": _fray, "piping": _piping,
    "buttons-front": _buttons_front,
}  # fmt: skip
