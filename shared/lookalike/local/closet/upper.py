"""Tops, outerwear and dresses: body, sleeves and folds around a pose."""

from dataclasses import dataclass, replace

import numpy as np

from lookalike.local.closet.body import Pose
from lookalike.local.closet.cloth import Cloth, solid
from lookalike.local.closet.cuts import NECKS, Cut
from lookalike.local.closet.design import Design, Stitch, fold, height, swayed
from lookalike.local.closet.geometry import (
    Points,
    along,
    bent,
    eased,
    heading,
    mirrored,
    resampled,
    rounded,
    sharp,
    symmetric,
    tube,
    xy,
)
from lookalike.local.closet.paint import Mark, Part

DEPTHS = {"top": 10.0, "dress": 11.0, "outerwear": 20.0}
"""Drawing order of what lies on the trunk."""
TUCKED = 5.0
"""Drawing order of a top that is tucked in: beneath trousers and skirts."""
OPEN = 0.042
"""Half the gap between the fronts of an open jacket, in body heights."""


@dataclass(frozen=True)
class Fit:
    """A garment on a pose. `z` is its drawing order; an `opened` jacket shows what is worn beneath, `covered` it is."""

    design: Design
    pose: Pose
    z: float
    opened: bool = False
    covered: bool = False

    @property
    def cut(self) -> Cut:
        return self.design.cut

    @property
    def cloth(self) -> Cloth:
        return self.design.cloth

    @property
    def armpit(self) -> float:
        return height(self.cut.profile[0][0])

    @property
    def hem(self) -> float:
        return height(self.cut.profile[-1][0])

    def half(self, y: float) -> float:
        """Half its width at height y: the cut's, but never narrower than the legs in it."""
        heights = [height(level) for level, _ in self.cut.profile]
        width = float(np.interp(y, heights, [half for _, half in self.cut.profile])) * self.pose.build
        squeezed = float(np.interp(y, (0.42, 0.52), (0.86, 1.0))) if self.covered else 1.0
        tucked = float(np.interp(y, (0.37, 0.42), (1.0, 0.76))) if self.z == TUCKED else 1.0
        return max(width * squeezed * tucked, self.pose.reach(y) + 0.005)

    def at(self, *pairs: tuple[float, float]) -> Points:
        """Points given about the middle of the body."""
        return swayed(xy(*pairs), self.pose)

    def piece(self, outline: Points, above: float, cloth: Cloth | None = None, **looks: float) -> Part:
        """A part sewn on `above` its main piece."""
        return replace(Part(outline, cloth or self.cloth, self.z + above, ink=0.3), **looks)  # type: ignore[arg-type]


def body(fit: Fit) -> Points:
    """The outline without sleeves, closed fronts."""
    neck = xy(*NECKS[fit.cut.neck])[::-1]
    neck = neck[:-1] if "thin-straps" in fit.cut.details else neck
    return swayed(rounded(symmetric(np.concatenate((neck, sharp(neck[-1:]), _armhole(fit), _side(fit)))), 2), fit.pose)


def fronts(fit: Fit) -> list[Points]:
    """The outlines of both halves of an open jacket: image left, image right."""
    neck = xy(*NECKS[fit.cut.neck])[:1]
    edge = xy((OPEN * 1.15, fit.hem), (OPEN * 0.9, 0.32), (0.036, 0.22))
    side = _side(fit)
    side = side[side[:, 0] > OPEN * 1.2]
    right = rounded(np.concatenate((sharp(neck), _armhole(fit), side, sharp(edge[:1]), edge[1:])), 2)
    return [swayed(mirrored(right), fit.pose), swayed(right, fit.pose)]


def shoulder(fit: Fit) -> Points:
    """The right shoulder's tip, shape (2,)."""
    out = 0.098 + 0.5 * (fit.cut.profile[0][1] - 0.1)
    return np.array((out * fit.pose.build, 0.188))


def _armhole(fit: Fit) -> Points:
    details, armpit = fit.cut.details, (fit.half(fit.armpit), fit.armpit)
    if "thin-straps" in details:
        return xy((0.075, 0.245), armpit)
    if fit.cut.sleeve or "zip" in details:
        return np.concatenate((sharp(shoulder(fit)[None]), sharp(xy(armpit))))
    strap = NECKS[fit.cut.neck][0][0] + 0.027
    return np.concatenate((sharp(xy((strap, 0.176))), xy((0.074, 0.225), (0.08, 0.262)), sharp(xy(armpit))))


def _side(fit: Fit) -> Points:
    """From below the armpit down to the middle of the hem."""
    down = np.linspace(fit.armpit, fit.hem, 9)[1:]
    side = np.array([(fit.half(y), y) for y in down])
    return np.concatenate((side[:-1], sharp(side[-1:]), hem(fit.design, fit.half(fit.hem), fit.hem)))


def hem(design: Design, half: float, y: float) -> Points:
    """The right half of the lower edge, from beside the side seam to the middle."""
    x = np.linspace(half * 0.9, 0, 7)
    sag = 0.05 * half * (1 - (x / half) ** 2) * (1 if half < 0.12 else 1.6)
    waves = 0.035 * half * np.cos(x / half * 14 + design.seed % 6) if "drape" in design.cut.details else 0.0
    return np.stack((x, y + sag + waves), axis=1)


def sleeves(fit: Fit, z: float) -> list[Part]:
    """Both sleeves and what finishes them; none under a jacket, whose sleeves hide them."""
    return [part for side in (0, 1) for part in _sleeve(fit, side, z)] if fit.cut.sleeve and not fit.covered else []


def _sleeve(fit: Fit, side: int, z: float) -> list[Part]:
    path = sleeve_path(fit, side)
    outline = _sleeve_outline(fit, path if side else mirrored(path))
    outline = outline if side else mirrored(outline)
    main = Part(outline, fit.cloth, z, _sleeve_folds(fit, path), heading(path[2:8]), ink=0.3)
    return [main, *_cuff(fit, path, z)]


def sleeve_path(fit: Fit, side: int) -> Points:
    """The middle of a sleeve from the shoulder to its end, shape (24, 2)."""
    return along(eased(resampled(fit.pose.arm(side), 9), 2), 0.0, min(fit.cut.sleeve, 1.0), 24)


def _widths(fit: Fit) -> tuple[float, ...]:
    start = (0.041 if fit.pose.laid else 0.036) + 0.6 * max(fit.cut.profile[0][1] - 0.1, 0)
    puff = 0.012 if "puff" in fit.cut.details else 0.0
    end = fit.cut.cuff
    return (start, start * 0.98 + puff * 0.3, (start + end) / 2 + puff, end + puff * 0.9, end)


def _sleeve_outline(fit: Fit, path: Points) -> Points:
    """The right sleeve: from the shoulder's tip down its outside, up its inside into the armhole."""
    around = tube(path, _widths(fit))
    ways = (around[: len(path)], around[len(path) :][::-1])
    outer, inner = sorted(ways, key=lambda way: -float(way[:8, 0].sum()))
    first = 3 if fit.cut.sleeve < 0.5 else 4
    armpit = np.array((fit.half(fit.armpit), fit.armpit))
    joint = fit.pose.shoulders[1] + (-0.03, 0.002)
    hole = np.stack((np.minimum(inner[first], armpit) - 0.012, joint))
    ends = np.concatenate((sharp(outer[-1:]), sharp(inner[-1:])))
    tip = sharp(shoulder(fit)[None] + (-0.004, -0.001))
    return rounded(np.concatenate((tip, outer[first - 2 : -1], ends, inner[first:-1][::-1], sharp(hole))), 1)


def _sleeve_folds(fit: Fit, path: Points) -> tuple[Mark, ...]:
    rng, marks = fit.design.rng, []
    for at in rng.uniform(0.25, 0.9, 3 + round(3 * fit.cut.sleeve)):
        middle = path[int(at * (len(path) - 1))]
        lean = rng.uniform(-0.016, 0.016)
        ends = middle + xy((-0.024, lean), (0.0, lean * 0.2 + 0.004), (0.022, -lean))
        marks.append(fold(ends, rng.uniform(0.006, 0.012), rng.choice((-0.6, 0.4))))
    return tuple(marks)


def _cuff(fit: Fit, path: Points, z: float) -> list[Part]:
    """A band at the sleeve's end: ribbed, buttoned, or none."""
    ribbed, buttoned = ("rib-cuffs" in fit.cut.details, "cuffs" in fit.cut.details)
    if not (ribbed or buttoned):
        return []
    end = resampled(path[-5:] if fit.cut.sleeve > 0.6 else path[-6:], 5)
    width = fit.cut.cuff * (0.86 if ribbed else 1.06)
    cloth = rib(fit.cloth) if ribbed else fit.cloth
    lines = ribs(end, width) if ribbed else ()
    return [Part(tube(end, (width * 1.05, width)), cloth, z + 0.1, lines, heading(end), ink=0.3, shadow=0.15)]


def rib(cloth: Cloth) -> Cloth:
    """The plain ribbing that goes with a cloth."""
    return cloth.plain(1 if cloth.seed % 4 == 0 and cloth.pattern != "plain" else 0, tone=0.93)


def ribs(path: Points, width: float) -> tuple[Mark, ...]:
    """Lines along a band."""
    across = np.linspace(-0.8, 0.8, 6) * width
    turn = heading(path)
    aside = np.array((np.cos(turn), np.sin(turn)))
    return tuple(Mark(path[[0, -1]] + aside * shift, 0.0018, -0.16) for shift in across)


def folds(fit: Fit) -> list[Stitch]:
    """How the cloth falls: pulls from the armpits, creases at the waist, drapes below."""
    rng = fit.design.rng
    marks: list[Stitch] = [*_pulls(fit, rng), *_creases(fit, rng)]
    return [*marks, *_drapes(fit, rng)] if fit.hem > 0.56 else marks


def _pulls(fit: Fit, rng: np.random.Generator) -> list[Stitch]:
    marks: list[Stitch] = []
    for side in (-1, 1):
        for _ in range(2):
            x, drop = rng.uniform(0.2, 0.55) * fit.half(fit.armpit), rng.uniform(0.03, 0.09)
            start = (side * fit.half(fit.armpit) * 0.9, fit.armpit + rng.uniform(-0.015, 0.02))
            path = bent(
                xy(start, (side * (start[0] * side + x) / 2, start[1] + drop * 0.3), (side * x, start[1] + drop))
            )
            marks.append(fold(path, rng.uniform(0.008, 0.014), rng.choice((-0.5, 0.35))))
    return marks


def _creases(fit: Fit, rng: np.random.Generator) -> list[Stitch]:
    marks: list[Stitch] = []
    for y in rng.uniform(fit.armpit + 0.05, min(fit.hem, 0.5), 4):
        half, side = fit.half(y), rng.choice((-1, 1))
        slope = rng.uniform(-0.03, 0.03)
        path = bent(
            fit.at((side * half * 0.95, y), (side * half * 0.55, y + slope * 0.2), (side * half * 0.1, y + slope))
        )
        marks.append(fold(path, rng.uniform(0.008, 0.015), rng.choice((-0.45, 0.3))))
    return marks


def _drapes(fit: Fit, rng: np.random.Generator) -> list[Stitch]:
    """Long folds from the waist to the hem, wider apart below."""
    strong = 0.55 if "drape" in fit.cut.details else 0.28
    top = height(1.15)
    marks: list[Stitch] = []
    for share in np.linspace(-0.85, 0.85, 7 if strong > 0.5 else 4) + rng.uniform(-0.08, 0.08):
        path = fit.at(
            (share * fit.half(top) * 0.8, top + rng.uniform(0, 0.05)), (share * fit.half(fit.hem), fit.hem + 0.01)
        )
        width = 0.05 * fit.half(fit.hem) + 0.008
        marks += [fold(path, width, -strong), fold(path + (width * 1.1, 0), width, strong * 0.6)]
    return marks


def back(fit: Fit) -> list[Part]:
    """The inside of the back, seen through the neck of a garment laid flat and between the fronts of an open one."""
    inside = fit.cloth.plain(tone=0.62)
    if fit.opened:
        return [Part(swayed(_back(fit), fit.pose), inside, 0.4, ink=0.2)]
    if not fit.pose.laid or "thin-straps" in fit.cut.details:
        return []
    (x, y), low = NECKS[fit.cut.neck][0], NECKS[fit.cut.neck][-1][1] + 0.012
    half = np.concatenate((xy((0, y + 0.012)), sharp(xy((x + 0.004, y - 0.001))), xy((x * 0.8, low), (0, low))))
    lining = Part(rounded(symmetric(half), 2), inside, fit.z - 0.5, bulge=-0.5, ink=0.2)
    return [lining, _label(fit, y + 0.018)] if low > y + 0.045 else [lining]


def _back(fit: Fit) -> Points:
    low = fit.hem - 0.01
    return symmetric(xy((0.0, 0.18), (0.045, 0.172), (0.08, 0.19), (fit.half(fit.hem), low), (0.0, low)))


def _label(fit: Fit, top: float) -> Part:
    corners = xy((-0.009, top), (0.009, top), (0.009, top + 0.012), (-0.009, top + 0.012))
    return Part(corners, solid((226, 222, 214)), fit.z - 0.4, shadow=0.1)
