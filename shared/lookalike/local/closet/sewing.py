"""From a design and a pose to the parts that are drawn."""

from collections.abc import Callable
from dataclasses import replace

from lookalike.local.closet.bags import bag
from lookalike.local.closet.body import Pose
from lookalike.local.closet.design import Design, parts_and_marks
from lookalike.local.closet.hats import hat
from lookalike.local.closet.lower import skirt, trousers
from lookalike.local.closet.paint import Part
from lookalike.local.closet.scarves import scarf
from lookalike.local.closet.shoes import shoes
from lookalike.local.closet.trims import trims
from lookalike.local.closet.upper import DEPTHS, TUCKED, Fit, back, body, folds, fronts, sleeves

STIFF = ("shoes", "bag", "hat")
FLATNESS, ROUNDNESS = 0.55, 0.85
"""How much of the shading of something round is left to cloth laid flat, and to what keeps its shape."""


def sew(
    design: Design, pose: Pose, owner: int, opened: bool = False, tucked: bool = False, covered: bool = False
) -> list[Part]:
    """The parts of a garment on a pose, in body heights; `owner` is its number on the canvas.

    `opened` parts the fronts of a jacket, `tucked` puts a top into the waistband, `covered` all of it under a jacket.
    """
    upper = design.kind in DEPTHS
    z = TUCKED if tucked else DEPTHS.get(design.kind, 0.0)
    parts = _upper(Fit(design, pose, z, opened, covered)) if upper else MAKERS[design.kind](design, pose)
    soft = FLATNESS if pose.laid and design.kind not in STIFF else ROUNDNESS
    return [replace(part, owner=owner, bulge=part.bulge * soft, ink=part.ink * 0.7) for part in parts]


def _upper(fit: Fit) -> list[Part]:
    pieces, marks = parts_and_marks([*folds(fit), *trims(fit)])
    outlines = fronts(fit) if fit.opened else [body(fit)]
    main = [Part(outline, fit.cloth, fit.z, marks, ink=0.3) for outline in outlines]
    return [*back(fit), *main, *pieces, *sleeves(fit, _sleeve_depth(fit))]


def _sleeve_depth(fit: Fit) -> float:
    if fit.pose.laid:
        return fit.z - 0.9
    return 42.0 if fit.design.kind == "outerwear" else 41.0


MAKERS: dict[str, Callable[[Design, Pose], list[Part]]] = {
    "trousers": trousers, "shorts": trousers, "skirt": skirt, "shoes": shoes, "bag": bag, "hat": hat, "scarf": scarf,
}  # fmt: skip
