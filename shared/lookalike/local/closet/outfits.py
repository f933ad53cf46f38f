"""Outfits: which garments are worn together."""

from dataclasses import dataclass

import numpy as np

from lookalike.local.closet.design import Design, choose_design

WIDE = ("wide-leg trousers", "flared trousers", "joggers", "cargo trousers", "tailored trousers", "straight jeans",
        "cropped trousers", "leather trousers")  # fmt: skip
"""Trousers that no tall boots go over."""
BULKY = ("hoodie", "rollneck", "jumper", "sweatshirt", "blouse")
"""Tops that are not tucked in."""


@dataclass(frozen=True)
class Outfit:
    """Garments by kind, as worn."""

    designs: dict[str, Design]
    opened: bool
    tucked: bool

    def covers(self, kind: str) -> bool:
        """Whether a garment of that kind is under a jacket with sleeves."""
        return kind != "outerwear" and "outerwear" in self.designs and self.designs["outerwear"].cut.sleeve > 0


def choose_outfit(rng: np.random.Generator, given: Design | None = None) -> Outfit:
    """What somebody may wear; with the given garment, if there is one."""
    designs: dict[str, Design] = {}
    for kind in _kinds(rng, given.kind if given else None):
        designs[kind] = given if given and given.kind == kind else choose_design(rng, kind, _unfit(kind, designs))
    if "shoes" in designs and designs["shoes"].name == "tall boots" and _covers(designs):
        designs["shoes"] = choose_design(rng, "shoes", ("tall boots",))
    return Outfit(designs, _opened(rng, designs), _tucked(rng, designs))


def _covers(designs: dict[str, Design]) -> bool:
    return "trousers" in designs and designs["trousers"].name in WIDE


def _kinds(rng: np.random.Generator, given: str | None) -> list[str]:
    lower = str(rng.choice(["trousers", "trousers", "trousers", "skirt", "skirt", "shorts"]))
    lower = given if given in ("trousers", "skirt", "shorts") else lower
    dressed = given == "dress" or (rng.random() < 0.3 and given not in ("top", "trousers", "skirt", "shorts"))
    kinds = ["dress", "shoes"] if dressed else ["top", lower, "shoes"]
    chances = {"outerwear": 0.4, "bag": 0.35, "hat": 0.16, "scarf": 0.14}
    return kinds + [kind for kind, chance in chances.items() if rng.random() < chance or kind == given]


def _unfit(kind: str, designs: dict[str, Design]) -> tuple[str, ...]:
    """Names of cuts that do not go with what is worn already."""
    if kind == "shoes" and _covers(designs):
        return ("tall boots",)
    return ("gilet",) if kind == "outerwear" and "dress" in designs else ()


def _opened(rng: np.random.Generator, designs: dict[str, Design]) -> bool:
    return "outerwear" in designs and "double-buttons" not in designs["outerwear"].cut.details and rng.random() < 0.55


def _tucked(rng: np.random.Generator, designs: dict[str, Design]) -> bool:
    if "top" not in designs or designs["top"].name in BULKY:
        return False
    return rng.random() < (0.75 if "skirt" in designs else 0.45)
