"""Hats from the front, in head units: x = 0 in the middle, brow at y = 0, half a head wide at x = 1."""

from collections.abc import Callable

import numpy as np

from lookalike.local.closet.body import HEAD_WIDTH, Pose
from lookalike.local.closet.cloth import Cloth
from lookalike.local.closet.design import Design, fold
from lookalike.local.closet.geometry import Place, Points, bent, oval, rounded, sharp, symmetric, xy
from lookalike.local.closet.paint import Mark, Part

BROW = 0.043
"""Height of the brow in body heights."""
ON_HEAD, BEHIND = 52.0, -9.0


def hat(design: Design, pose: Pose) -> list[Part]:
    """A hat alone or on the head."""
    return [part.moved(Place(HEAD_WIDTH * 1.1, 0.0, 0.0, BROW)) for part in SHAPES[design.cut.shape](design)]


def _piece(outline: Points, cloth: Cloth, above: float, *marks: Mark) -> Part:
    return Part(outline, cloth, ON_HEAD + above, marks, ink=0.35)


def _panels(*ends: float) -> list[Mark]:
    return [Mark(bent(xy((0, -1.25), (x * 0.7, -0.9), (x, 0.0))), 0.03, -0.35) for x in ends]


def _cap(design: Design) -> list[Part]:
    dome = rounded(symmetric(xy((0, -1.25), (0.55, -1.22), (1.0, -0.75), (1.1, 0.0), (0.6, 0.12), (0, 0.16))))
    low = rounded(
        xy(
            (-1.05, -0.02),
            (-0.5, -0.2),
            (0, -0.24),
            (0.5, -0.2),
            (1.05, -0.02),
            (1.12, 0.3),
            (0.6, 0.46),
            (0, 0.5),
            (-0.6, 0.46),
            (-1.12, 0.3),
        )
    )
    visor = design.cloth.plain(1) if design.seed % 3 == 0 else design.cloth.plain(tone=0.9)
    badge = [_piece(oval((0, -0.62), 0.3, 0.24), design.cloth.plain(1), 0.1)] if design.seed % 2 else []
    stitch = [Mark(bent(xy((-1.0, 0.12 + d), (0, 0.3 + d), (1.0, 0.12 + d))), 0.02, -0.2) for d in (0.0, 0.08)]
    return [
        _piece(dome, design.cloth, 0, *_panels(-0.75, 0.75)),
        *badge,
        _piece(low, visor, 0.2, *stitch),
        _button(design),
    ]


def _button(design: Design) -> Part:
    return _piece(oval((0, -1.2), 0.09, 0.05), design.cloth.plain(tone=0.85), 0.1)


def _beanie(design: Design) -> list[Part]:
    dome = rounded(symmetric(xy((0, -1.35), (0.5, -1.32), (0.98, -0.85), (1.1, -0.1), (0, 0.0))))
    band = rounded(
        symmetric(
            np.concatenate(
                (xy((0, -0.36), (0.8, -0.38)), sharp(xy((1.1, -0.4))), xy((1.16, -0.1), (1.1, 0.16), (0, 0.22)))
            )
        ),
        1,
    )
    ribs = [Mark(xy((x, -0.36), (x * 1.03, 0.2)), 0.03, -0.25) for x in np.linspace(-1.05, 1.05, 17)]
    folds = [fold(bent(xy((x * 0.3, -1.3), (x * 0.9, -0.8), (x, -0.3))), 0.1, -0.3) for x in (-0.6, -0.2, 0.3, 0.7)]
    pompom = [_piece(_fluffy(), design.cloth.plain(1, "wool"), 0.3)] if design.seed % 2 else []
    return [_piece(dome, design.cloth, 0, *folds), _piece(band, design.cloth.plain(tone=0.93), 0.2, *ribs), *pompom]


def _fluffy() -> Points:
    turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return np.stack((np.cos(turn), np.sin(turn)), 1) * (0.36 + 0.012 * np.sin(turn * 13) + 0.012 * np.cos(turn * 17))[
        :, None
    ] + (0, -1.5)


def _brimmed(design: Design, crown: Points, brim: Points, band: Points | None, *marks: Mark) -> list[Part]:
    """Brim behind, crown over it, ribbon around the crown's foot, the brim's front over all."""
    under = _piece(brim, design.cloth.plain(tone=0.8), -0.2)
    ribbon = [] if band is None else [_piece(band, design.cloth.plain(1, "satin"), 0.1)]
    return [under, _piece(crown, design.cloth, 0, *marks), *ribbon]


def _fedora(design: Design) -> list[Part]:
    crown = rounded(symmetric(xy((0, -1.2), (0.3, -1.36), (0.75, -1.25), (0.95, -0.6), (1.05, 0.0), (0, 0.12))))
    brim = rounded(symmetric(xy((0, -0.1), (1.2, -0.16), (1.95, -0.22), (1.9, 0.02), (1.1, 0.24), (0, 0.32))))
    band = rounded(symmetric(xy((0, -0.2), (0.6, -0.22), (1.0, -0.3), (1.06, -0.04), (0.6, 0.06), (0, 0.1))), 1)
    pinch = fold(bent(xy((-0.05, -1.2), (0.02, -0.9), (0.0, -0.55))), 0.16, -0.6)
    return _brimmed(design, crown, brim, band, pinch)


def _sunhat(design: Design) -> list[Part]:
    crown = rounded(symmetric(xy((0, -1.1), (0.5, -1.08), (0.95, -0.75), (1.06, 0.0), (0, 0.1))))
    brim = rounded(symmetric(xy((0, -0.25), (1.2, -0.25), (2.5, -0.02), (2.6, 0.16), (1.4, 0.36), (0, 0.42))))
    band = rounded(symmetric(xy((0, -0.2), (0.6, -0.22), (1.02, -0.3), (1.07, -0.04), (0.6, 0.04), (0, 0.08))), 1)
    waves = [
        fold(xy((x * 0.5, 0.05), (x, 0.38)), 0.14, tone)
        for x, tone in ((-1.6, -0.4), (-0.7, 0.3), (0.8, -0.35), (1.7, 0.3))
    ]
    rest = _brimmed(design, crown, brim, band)[1:]
    return [_piece(brim, design.cloth, -0.2, *waves), *rest]


def _bucket_hat(design: Design) -> list[Part]:
    crown = rounded(
        symmetric(np.concatenate((xy((0, -1.1), (0.5, -1.1)), xy((0.82, -1.0), (0.95, -0.5), (1.04, 0.0), (0, 0.08)))))
    )
    brim = rounded(
        symmetric(np.concatenate((xy((0, -0.16), (1.0, -0.22)), sharp(xy((1.5, 0.42))), xy((0.8, 0.54), (0, 0.58)))))
    )
    stitch = [
        Mark(bent(xy((-1.2 - d, 0.1 + d), (0, 0.24 + d), (1.2 + d, 0.1 + d))), 0.02, -0.25) for d in (0.0, 0.1, 0.2)
    ]
    top = Mark(bent(xy((-0.84, -0.92), (0, -0.84), (0.84, -0.92))), 0.025, -0.35)
    return [_piece(crown, design.cloth, 0, top), _piece(brim, design.cloth, 0.1, *stitch)]


def _beret(design: Design) -> list[Part]:
    cloud = rounded(
        xy(
            (-1.05, 0.0),
            (-1.4, -0.45),
            (-0.9, -1.05),
            (0.1, -1.2),
            (1.2, -0.95),
            (1.65, -0.4),
            (1.3, 0.0),
            (0.6, 0.06),
            (-0.6, 0.06),
        )
    )
    band = rounded(xy((-1.06, -0.1), (0, -0.02), (1.08, -0.1), (1.06, 0.12), (0, 0.2), (-1.04, 0.12)), 1)
    stalk = _piece(xy((0.02, -1.3), (0.1, -1.3), (0.12, -1.1), (0.02, -1.1)), design.cloth, -0.1)
    folds = [
        fold(bent(xy((-1.1, -0.3), (0.1, -0.5), (1.4, -0.4))), 0.14, -0.4),
        fold(bent(xy((-0.6, -0.1), (0.3, -0.25), (1.2, -0.15))), 0.1, -0.35),
    ]
    return [stalk, _piece(cloud, design.cloth, 0, *folds), _piece(band, design.cloth.plain(tone=0.85), 0.1)]


SHAPES: dict[str, Callable[[Design], list[Part]]] = {
    "cap": _cap, "beanie": _beanie, "fedora": _fedora, "sunhat": _sunhat, "bucket-hat": _bucket_hat, "beret": _beret,
}  # fmt: skip
