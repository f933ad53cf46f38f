"""Scarves: folded when laid, around the neck when worn. In body heights."""

from collections.abc import Callable

import numpy as np

from lookalike.local.closet.body import Pose
from lookalike.local.closet.design import Design, fold
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

AROUND = 45.0


def scarf(design: Design, pose: Pose) -> list[Part]:
    """A scarf alone or around the neck."""
    return (LAID if pose.laid else WORN)[design.cut.shape](design)


def _strip(design: Design, path: Points, width: float, z: float, fringe: bool) -> list[Part]:
    """A length of scarf along a path, with fringes at its end."""
    lengthwise = [
        fold(path + (shift * width, 0), width * 0.3, tone) for shift, tone in ((-0.5, -0.4), (0.1, 0.35), (0.55, -0.35))
    ]
    main = Part(tube(path, (width * 0.92, width, width)), design.cloth, z, tuple(lengthwise), heading(path), ink=0.3)
    return [*(_fringe(design, path, width, z) if fringe else []), main]


def _fringe(design: Design, path: Points, width: float, z: float) -> list[Part]:
    turn = heading(path[-4:])
    aside, down = np.array((np.cos(turn), np.sin(turn))), np.array((-np.sin(turn), np.cos(turn)))
    starts = [path[-1] + aside * x for x in np.linspace(-0.92, 0.92, 11) * width]
    wobble = design.rng.uniform(-0.004, 0.004, 11)
    tones = design.cloth.plain(tone=0.92)
    return [Part(tube(np.stack((start - down * 0.004, start + down * 0.026 + aside * lean)), (0.0026, 0.0018)), tones, z - 0.05, shadow=0.2)
            for start, lean in zip(starts, wobble, strict=True)]  # fmt: skip


def _long_laid(design: Design) -> list[Part]:
    """Folded over in the middle, both ends hanging down a little apart."""
    lean = float(design.rng.uniform(0.02, 0.06))
    left = resampled(bent(xy((-0.03, 0.0), (-0.045 - lean, 0.2), (-0.05 - lean, 0.42))), 20)
    right = resampled(bent(xy((0.03, 0.0), (0.04 + lean * 0.4, 0.18), (0.036 + lean, 0.36))), 20)
    loop = eased(xy((-0.032, 0.06), (-0.045, -0.03), (0.0, -0.075), (0.045, -0.03), (0.03, 0.06)), 3)
    top = Part(tube(loop, (0.034, 0.03, 0.034)), design.cloth, 0.5, _curves(loop), ink=0.3)
    return [*_strip(design, right, 0.036, 0.0, True), *_strip(design, left, 0.036, 0.2, True), top]


def _curves(path: Points) -> tuple[Mark, ...]:
    return tuple(fold(path * (1 + s, 1 + s), 0.01, tone) for s, tone in ((-0.2, -0.45), (0.06, 0.35), (0.25, -0.35)))


def _loop_laid(design: Design) -> list[Part]:
    """Two loops one upon the other, and the twist that hides where they begin."""
    parts = []
    for number, size in enumerate((0.115, 0.098)):
        turn = np.linspace(-np.pi / 2, 1.5 * np.pi, 44)
        path = np.stack((np.cos(turn) * size, np.sin(turn) * size * 0.78 + number * 0.012), axis=1)
        wide = 0.04 - 0.006 * number
        parts.append(Part(tube(path, (wide,)), design.cloth, number, _around(path, wide), ink=0.3))
    twist = eased(xy((-0.06, -0.105), (-0.02, -0.075), (0.03, -0.085), (0.065, -0.06)), 2)
    return [*parts, Part(tube(twist, (0.03, 0.046, 0.046, 0.034)), design.cloth, 3, _around(twist, 0.04), ink=0.3)]


def _around(path: Points, wide: float) -> tuple[Mark, ...]:
    return tuple(fold(tube(path, (abs(s) * wide,))[: len(path)] if s > 0 else tube(path, (-s * wide,))[len(path) :], wide * 0.28, tone)
                 for s, tone in ((-0.55, -0.45), (0.02, 0.3), (0.55, -0.4)))  # fmt: skip


def _kerchief_laid(design: Design) -> list[Part]:
    """A square, one corner folded over."""
    side = 0.16
    square = np.concatenate(
        (
            sharp(xy((-side, -side), (side, -side))),
            sharp(xy((side, side * 0.3), (side * 0.3, side))),
            sharp(xy((-side, side))),
        )
    )
    corner = sharp(xy((side, side * 0.3), (side * 0.3, side), (side * 0.22, side * 0.22)))
    border = [Mark(xy((-side, -side), (side, -side), (side, side), (-side, side), (-side, -side)) * 0.88, 0.012, -0.3)]
    crease = [fold(xy((-side, t * side), (side, t * side)), 0.012, tone) for t, tone in ((-0.35, -0.35), (0.4, 0.3))]
    return [
        Part(rounded(square, 1), design.cloth, 0, (*border, *crease)),
        Part(corner, design.cloth.plain(tone=0.8), 1, shadow=0.4),
    ]


def _shawl_laid(design: Design) -> list[Part]:
    """A wide cloth folded once, fringed below."""
    path = resampled(xy((0.0, -0.2), (0.0, 0.2)), 16)
    half = resampled(xy((0.02, -0.2), (0.028, 0.175)), 16)
    creases = tuple(
        fold(xy((x, -0.2), (x * 1.1, 0.2)), 0.016, tone) for x, tone in ((-0.08, -0.3), (-0.02, 0.3), (0.07, -0.3))
    )
    over = Part(tube(half, (0.112, 0.118)), design.cloth, 0.5, creases, ink=0.3)
    return [*_strip(design, path, 0.128, 0.0, True), *_fringe(design, half, 0.118, 0.5), over]


def _wrapped(design: Design) -> list[Part]:
    """One turn around the neck."""
    band = rounded(symmetric(xy((0, 0.15), (0.03, 0.138), (0.052, 0.15), (0.058, 0.182), (0.035, 0.214), (0, 0.222))))
    curves = [
        fold(bent(xy((-0.05, y), (0, y + 0.022), (0.05, y))), 0.009, tone)
        for y, tone in ((0.155, -0.5), (0.17, 0.4), (0.186, -0.45))
    ]
    return [Part(band, design.cloth, AROUND, tuple(curves), ink=0.35)]


def _long_worn(design: Design) -> list[Part]:
    low = float(design.rng.uniform(0.36, 0.5))
    left = resampled(bent(xy((-0.022, 0.19), (-0.036, 0.28), (-0.034, low))), 16)
    right = resampled(bent(xy((0.022, 0.19), (0.034, 0.27), (0.036, low - 0.05))), 16)
    return [
        *_strip(design, right, 0.027, AROUND - 0.4, True),
        *_strip(design, left, 0.027, AROUND - 0.2, True),
        *_wrapped(design),
    ]


def _loop_worn(design: Design) -> list[Part]:
    low = Part(rounded(symmetric(xy((0, 0.19), (0.045, 0.18), (0.066, 0.2), (0.05, 0.255), (0, 0.28)))), design.cloth, AROUND - 0.3,
               tuple(fold(bent(xy((-0.055, y), (0, y + 0.045), (0.055, y))), 0.011, t) for y, t in ((0.2, -0.5), (0.215, 0.35))), ink=0.35)  # fmt: skip
    return [low, *_wrapped(design)]


def _kerchief_worn(design: Design) -> list[Part]:
    ends = rounded(xy((0.0, 0.2), (0.03, 0.21), (0.036, 0.262), (0.014, 0.25)), 1)
    return [
        Part(ends, design.cloth, AROUND - 0.1),
        Part(mirrored(ends), design.cloth, AROUND - 0.2),
        *_wrapped(design)[:1],
    ]


def _shawl_worn(design: Design) -> list[Part]:
    drape = rounded(
        symmetric(
            np.concatenate(
                (
                    xy((0, 0.16), (0.05, 0.16), (0.118, 0.2), (0.14, 0.28)),
                    sharp(xy((0.11, 0.33))),
                    xy((0.05, 0.38), (0, 0.42)),
                )
            )
        )
    )
    curves = tuple(
        fold(bent(xy((-0.11, y), (0, y + 0.12), (0.11, y))), 0.014, t)
        for y, t in ((0.2, -0.5), (0.22, 0.35), (0.26, -0.4))
    )
    hem = along(bent(xy((-0.11, 0.33), (0.0, 0.45), (0.11, 0.33))), 0.0, 1.0, 18)
    threads = [
        Part(tube(xy((x, y - 0.012), (x, y + 0.022)), (0.0022, 0.0016)), design.cloth.plain(tone=0.9), AROUND - 0.4)
        for x, y in hem
    ]
    return [*threads, Part(drape, design.cloth, AROUND - 0.3, curves, ink=0.3), *_wrapped(design)]


Shape = Callable[[Design], list[Part]]
LAID: dict[str, Shape] = {"long": _long_laid, "loop": _loop_laid, "kerchief": _kerchief_laid, "shawl": _shawl_laid}
WORN: dict[str, Shape] = {"long": _long_worn, "loop": _loop_worn, "kerchief": _kerchief_worn, "shawl": _shawl_worn}
