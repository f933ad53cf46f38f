"""What is sewn on tops, outerwear and dresses: collars, buttons, pockets, zips, belts, prints."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lookalike.local.closet.cloth import solid
from lookalike.local.closet.cuts import NECKS
from lookalike.local.closet.design import Stitch, fold, swayed
from lookalike.local.closet.geometry import Points, bent, eased, mirrored, oval, rounded, sharp, symmetric, tube, xy
from lookalike.local.closet.paint import Mark, Part
from lookalike.local.closet.upper import OPEN, Fit, rib

METAL = solid((176, 170, 158), "satin")
SEAM = 0.0026
BODY_LINE = 0.345
"""Height of jacket buttons that close a deep neckline, in body heights."""


def trims(fit: Fit) -> list[Stitch]:
    """All details of the garment's cut."""
    return [stitch for name in fit.cut.details if name in TRIMS for stitch in TRIMS[name](fit)]


def _both(points: Points) -> tuple[Points, Points]:
    return mirrored(points), points


def _rib_neck(fit: Fit) -> list[Stitch]:
    side = xy(*NECKS[fit.cut.neck])
    path = eased(np.concatenate((mirrored(side), side[::-1][1:]))) + (0, 0.003)
    return [fit.piece(tube(path, (0.006, 0.0065, 0.006)), 0.3, rib(fit.cloth), shadow=0.15)]


def _roll(fit: Fit) -> list[Stitch]:
    band = rounded(symmetric(xy((0, 0.137), (0.027, 0.135), (0.033, 0.15), (0.036, 0.178), (0.018, 0.19), (0, 0.192))))
    lines = tuple(Mark(xy((x, 0.142), (x * 1.1, 0.186)), 0.002, -0.15) for x in np.linspace(-0.026, 0.026, 9))
    crease = fold(bent(xy((-0.03, 0.162), (0, 0.168), (0.03, 0.162))), 0.006, -0.4)
    return [replace(fit.piece(band, 0.4), marks=(*lines, crease))]


def _stand(fit: Fit) -> list[Stitch]:
    band = rounded(symmetric(xy((0, 0.15), (0.036, 0.14), (0.044, 0.15), (0.046, 0.178), (0.02, 0.192), (0, 0.194))), 2)
    return [fit.piece(band, 0.4), *_lining(fit, band)]


def _lining(fit: Fit, _: Points) -> list[Stitch]:
    opening = rounded(symmetric(xy((0, 0.142), (0.028, 0.141), (0.03, 0.15), (0, 0.158))))
    return [fit.piece(opening, 0.45, fit.cloth.plain(tone=0.5), shadow=0.0, ink=0.1)] if fit.pose.laid else []


def _collar(fit: Fit) -> list[Stitch]:
    right = rounded(np.concatenate((sharp(xy((0.002, 0.186))), xy((0.03, 0.152), (0.042, 0.158), (0.05, 0.17)),
                                    sharp(xy((0.046, 0.212))), xy((0.026, 0.2)))))  # fmt: skip
    back = rounded(symmetric(xy((0, 0.15), (0.03, 0.152), (0.034, 0.164), (0, 0.17))))
    behind = [Part(back, fit.cloth.plain(tone=0.7), fit.z - 0.1, ink=0.2)] if fit.pose.laid else []
    return [*behind, *[fit.piece(half, 0.5, shadow=0.35) for half in _both(right)]]


def _line(fit: Fit, top: float, bottom: float, x: float = 0.0) -> Mark:
    path = np.array([(x, y) for y in np.linspace(top, bottom, 6)])
    return Mark(swayed(path, fit.pose), SEAM, -0.5)


def _buttons_between(
    fit: Fit, top: float, bottom: float, count: int, x: float = 0.0, size: float = 0.0042
) -> list[Stitch]:
    cloth = fit.cloth.plain(1 if fit.design.seed % 2 else 0, "leather", 0.75)
    spots = fit.at(*[(x, float(y)) for y in np.linspace(top, bottom, count)])
    return [fit.piece(oval((spot[0], spot[1]), size, size, 10), 0.4, cloth, shadow=0.25) for spot in spots]


def _placket(fit: Fit) -> list[Stitch]:
    if fit.opened:
        return []
    lines: list[Stitch] = [_line(fit, 0.19, fit.hem, -0.012), replace(_line(fit, 0.19, fit.hem, 0.011), tone=-0.25)]
    return lines + _buttons_between(fit, 0.215, min(fit.hem - 0.03, 0.68), 6 if fit.hem < 0.6 else 9)


def _short_placket(fit: Fit) -> list[Stitch]:
    return [_line(fit, 0.19, 0.275, -0.01), _line(fit, 0.19, 0.275, 0.01), *_buttons_between(fit, 0.21, 0.26, 3)]


def _buttons(fit: Fit) -> list[Stitch]:
    many = fit.cloth.weave == "knit"
    low = min(fit.hem - 0.03, 0.43 if not many else 0.6)
    if fit.opened:
        return _buttons_between(fit, 0.33, low, 5 if many else 2, OPEN * 1.15)
    return [_line(fit, 0.3, fit.hem, -0.008), *_buttons_between(fit, 0.315, low, 5 if many else 3, size=0.0055)]


def _double_buttons(fit: Fit) -> list[Stitch]:
    columns = (OPEN * 1.3,) if fit.opened else (-0.032, 0.032)
    rows = [stitch for x in columns for stitch in _buttons_between(fit, 0.3, 0.46, 3, x, 0.0055)]
    return rows if fit.opened else [_line(fit, 0.27, fit.hem, -0.045), *rows]


def _zip(fit: Fit) -> list[Stitch]:
    if fit.opened:
        return []
    path = swayed(np.array([(0.0, y) for y in np.linspace(0.2, fit.hem + 0.004, 8)]), fit.pose)
    pull = fit.piece(oval((0, 0.212), 0.003, 0.008, 10), 0.5, METAL)
    return [fit.piece(tube(path, (0.0035, 0.0035)), 0.35, METAL.plain(tone=0.8), shadow=0.3), pull]


def _lapels(fit: Fit) -> list[Stitch]:
    reach = BODY_LINE if fit.opened else NECKS[fit.cut.neck][-1][1]
    low = (OPEN * 0.9, 0.33) if fit.opened else (0.0, reach)
    inner = xy((0.024, 0.158), (0.037, 0.205)) if fit.opened else xy((0.026, 0.156), (0.034, 0.2))
    outer = xy((0.07, 0.24), (0.079, 0.214), (0.062, 0.207), (0.066, 0.193), (0.05, 0.164))
    right = np.concatenate((inner, sharp(xy(low)), np.repeat(outer, 2, axis=0)[:-1]))
    cloth = fit.cloth.plain(1) if fit.design.seed % 9 == 0 else fit.cloth
    return [fit.piece(rounded(half, 1), 0.5, cloth, shadow=0.4) for half in _both(right)]


def _pocket(fit: Fit, x: float, y: float, width: float, tall: float) -> list[Stitch]:
    corners = fit.at(
        (x - width, y), (x + width, y), (x + width, y + tall * 0.8), (x, y + tall), (x - width, y + tall * 0.8)
    )
    return [fit.piece(corners, 0.2, shadow=0.12, bulge=0.3)]


def _chest_pocket(fit: Fit) -> list[Stitch]:
    return _pocket(fit, 0.052, 0.265, 0.022, 0.048)


def _chest_pockets(fit: Fit) -> list[Stitch]:
    flaps = [fit.piece(xy((x - 0.024, 0.258), (x + 0.024, 0.258), (x + 0.024, 0.27), (x, 0.278), (x - 0.024, 0.27)), 0.3)
             for x in (-0.058, 0.058)]  # fmt: skip
    return [*_pocket(fit, -0.058, 0.262, 0.022, 0.05), *_pocket(fit, 0.058, 0.262, 0.022, 0.05), *flaps]


def _flap_pockets(fit: Fit) -> list[Stitch]:
    y = min(0.42, fit.hem - 0.06)
    width, x = 0.026, 0.6 * fit.half(y) + (0.012 if fit.opened else 0)
    return [fit.piece(fit.at((s * x - width, y), (s * x + width, y + 0.002), (s * x + width, y + 0.018), (s * x - width, y + 0.016)), 0.3)
            for s in (-1, 1)]  # fmt: skip


def _kangaroo(fit: Fit) -> list[Stitch]:
    low = fit.hem - 0.022
    half = xy((0, low - 0.095), (0.048, low - 0.095), (0.078, low - 0.04), (0.078, low), (0, low))
    return [fit.piece(swayed(symmetric(half), fit.pose), 0.2, shadow=0.18, bulge=0.4)]


def _rib_hem(fit: Fit) -> list[Stitch]:
    if fit.opened:
        return []
    low, half = fit.hem, fit.half(fit.hem)
    band = xy((half * 0.97, low - 0.022), (half * 0.93, low + 0.004), (0, low + 0.012), (-half * 0.93, low + 0.004), (-half * 0.97, low - 0.022), (0, low - 0.014))  # fmt: skip
    lines = tuple(Mark(fit.at((x, low - 0.017), (x, low + 0.008)), 0.0018, -0.15)
                  for x in np.linspace(-0.9, 0.9, 26) * half)  # fmt: skip
    return [replace(fit.piece(swayed(band, fit.pose), 0.15, rib(fit.cloth), shadow=0.15), marks=lines)]


def _hood(fit: Fit) -> list[Stitch]:
    lining = fit.cloth.plain(tone=0.62)
    strings = [fit.piece(tube(bent(xy((s * 0.02, 0.2), (s * 0.024, 0.24), (s * 0.021, 0.285))), (0.0028, 0.0028)), 0.6,
                         fit.cloth.plain(1)) for s in (-1, 1)]  # fmt: skip
    if not fit.pose.laid:
        rolls = [fit.piece(tube(bent(path), (0.012, 0.02, 0.01)), 0.5)
                 for path in _both(xy((0.046, 0.15), (0.052, 0.18), (0.008, 0.208)))]  # fmt: skip
        return [Part(oval((0, 0.165), 0.07, 0.03), fit.cloth.plain(tone=0.85), 1.7), *rolls, *strings]
    outer = rounded(symmetric(xy((0, 0.055), (0.04, 0.06), (0.068, 0.105), (0.066, 0.16), (0.05, 0.2), (0, 0.21))))
    inner = rounded(symmetric(xy((0, 0.085), (0.024, 0.09), (0.04, 0.125), (0.036, 0.165), (0.014, 0.2), (0, 0.206))))
    return [fit.piece(outer, 0.4), fit.piece(inner, 0.45, lining, bulge=-0.6), *strings]


def _print(fit: Fit) -> list[Stitch]:
    rng = fit.design.rng
    if rng.random() < 0.4:
        return []
    cloth, size = fit.cloth.plain(1), rng.uniform(0.022, 0.042)
    turn = np.arange(10) * np.pi / 5 - np.pi / 2
    star = np.stack((np.cos(turn), np.sin(turn)), 1) * np.where(np.arange(10) % 2, 0.45, 1)[:, None] * size + (0, 0.29)
    badge = (star, oval((0, 0.29), size, size), xy((-0.05, 0.275), (0.05, 0.275), (0.05, 0.3), (-0.05, 0.3)))
    shapes = [badge[int(rng.integers(3))]]
    return [fit.piece(shape, 0.1, cloth, shadow=0.0, ink=0.05, bulge=0.1) for shape in shapes]


def _bow(fit: Fit) -> list[Stitch]:
    loop = rounded(xy((0.0, 0.25), (0.025, 0.232), (0.045, 0.24), (0.04, 0.262), (0.015, 0.262)))
    tail = tube(bent(xy((0.002, 0.255), (0.014, 0.29), (0.012, 0.335))), (0.004, 0.009, 0.01))
    pieces = [*_both(tail), *_both(loop), oval((0, 0.254), 0.008, 0.01)]
    return [fit.piece(shape, 0.5 + 0.02 * order) for order, shape in enumerate(pieces)]


def _thin_straps(fit: Fit) -> list[Stitch]:
    path = xy((0.056, 0.23), (0.054, 0.2), (0.048, 0.172))
    back = [Part(tube(half, (0.0028, 0.0028)), fit.cloth.plain(tone=0.8), fit.z - 0.3)
            for half in _both(xy((0.048, 0.172), (0.042, 0.24)))] if fit.pose.laid else []  # fmt: skip
    return [*back, *[fit.piece(tube(half, (0.0034, 0.0032)), -0.1) for half in _both(path)]]


def _seam(fit: Fit) -> list[Stitch]:
    y = 0.385
    path = np.array([(x, y + 0.004) for x in np.linspace(-1, 1, 7) * fit.half(y)])
    return [Mark(swayed(path, fit.pose), SEAM, -0.4)]


def _belt(fit: Fit) -> list[Stitch]:
    y, gap = 0.392, OPEN if fit.opened else 0.0
    half = fit.half(y) + 0.003
    cloth = fit.cloth.plain(tone=0.8) if fit.design.seed % 2 else fit.cloth.plain(1, "leather")
    if fit.opened:
        return [fit.piece(fit.at((s * gap, y - 0.01), (s * half, y - 0.012), (s * half, y + 0.012), (s * gap, y + 0.012)), 0.35, cloth)
                for s in (-1, 1)]  # fmt: skip
    band = fit.at(
        (-half, y - 0.012), (0, y - 0.009), (half, y - 0.012), (half, y + 0.012), (0, y + 0.015), (-half, y + 0.012)
    )
    end = tube(bent(fit.at((0.012, y), (0.03, y + 0.05), (0.028, y + 0.11))), (0.007, 0.009, 0.009))
    return [fit.piece(end, 0.55, cloth), fit.piece(band, 0.6, cloth), fit.piece(oval((fit.pose.centre(y), y + 0.002), 0.013, 0.014), 0.65, cloth)]  # fmt: skip


def _quilt(fit: Fit) -> list[Stitch]:
    marks: list[Stitch] = []
    for y in np.arange(0.225, fit.hem - 0.01, 0.042):
        path = np.array([(x, y + 0.006 * (1 - x * x)) for x in np.linspace(-1, 1, 9)]) * (fit.half(y), 1)
        marks += [Mark(path, 0.003, -0.4), fold(path + (0, 0.014), 0.014, 0.5), fold(path - (0, 0.007), 0.01, -0.45)]
    return marks


def _wrap(fit: Fit) -> list[Stitch]:
    over = bent(fit.at((0.03, 0.22), (-0.01, 0.3), (-fit.half(0.385) * 0.9, 0.38)))
    below = bent(fit.at((-0.03, 0.4), (0.01, 0.55), (0.03, fit.hem)))
    return [Mark(over, 0.003, -0.5), Mark(below, 0.003, -0.5), fold(below + (0.012, 0), 0.02, -0.4)]


def _tiers(fit: Fit) -> list[Stitch]:
    marks: list[Stitch] = []
    for y in np.linspace(0.4, fit.hem, 4)[:-1]:
        marks += tier(fit, float(y), fit.half(float(y)))
    return marks


def tier(fit: Fit, y: float, half: float) -> list[Stitch]:
    """A gathered seam across at height y: the line, and short folds beneath it."""
    line = fit.at(*[(x * half, y + 0.006 * (1 - x * x)) for x in np.linspace(-1, 1, 9)])
    gathers: list[Stitch] = [fold(fit.at((x * half, y), (x * half * 1.04, y + 0.06)), 0.006, tone)
                             for x, tone in zip(np.linspace(-0.92, 0.92, 16), (-0.6, 0.3) * 8, strict=True)]  # fmt: skip
    return [Mark(line, 0.003, -0.45), fold(line + (0, 0.004), 0.008, -0.4), *gathers]


TRIMS: dict[str, Callable[[Fit], list[Stitch]]] = {
    "rib-neck": _rib_neck, "roll": _roll, "stand": _stand, "collar": _collar, "placket": _placket,
    "short-placket": _short_placket, "buttons": _buttons, "double-buttons": _double_buttons, "zip": _zip,
    "lapels": _lapels, "chest-pocket": _chest_pocket, "chest-pockets": _chest_pockets, "flap-pockets": _flap_pockets,
    "kangaroo": _kangaroo, "rib-hem": _rib_hem, "hood": _hood, "print": _print, "bow": _bow,
    "thin-straps": _thin_straps, "seam": _seam, "belt": _belt, "quilt": _quilt, "wrap": _wrap, "tiers": _tiers,
}  # fmt: skip
