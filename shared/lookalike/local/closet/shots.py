"""Which photographs a closet has: flat and worn ones, and garments that are photographed twice."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lookalike.local.closet.cloth import pick
from lookalike.local.closet.design import Design, choose_design
from lookalike.local.closet.outfits import Outfit, choose_outfit
from lookalike.local.closet.scene import FLAT_KINDS, Drawn, draw_flat, draw_worn

WORN, TWIN = 1 / 3, 1 / 8
"""Share of worn photographs, and of those that show an earlier garment again."""
MAIN = ("dress", "outerwear", "top", "trousers", "skirt", "shorts")
"""The garment of an outfit that its product details are about: the first of these."""


@dataclass(frozen=True)
class Shot:
    """One photograph: `main` is the garment it sells, `twin_of` the stem of an earlier photograph of the same."""

    stem: str
    seed: tuple[int, int]
    main: Design
    outfit: Outfit | None
    twin_of: str | None

    def draw(self) -> Drawn:
        """The photograph, the same each time."""
        rng = np.random.default_rng((*self.seed, 1))
        return draw_flat(self.main, rng) if self.outfit is None else draw_worn(self.outfit, rng)


def shots(count: int, seed: int) -> Iterator[Shot]:
    """The first `count` photographs of the closet of that seed, numbered from 1."""
    flat: list[Shot] = []
    for number in range(1, count + 1):
        rng = np.random.default_rng((seed, number))
        earlier = flat[rng.integers(len(flat))] if flat and rng.random() < TWIN else None
        shot = _shot(rng, (seed, number), earlier)
        if shot.outfit is None and earlier is None:
            flat.append(shot)
        yield shot


def _shot(rng: np.random.Generator, seed: tuple[int, int], earlier: Shot | None) -> Shot:
    worn = rng.random() < WORN
    given, twin_of = (earlier.main, earlier.stem) if earlier else (None, None)
    if not worn:
        design = given or choose_design(rng, pick(rng, FLAT_KINDS))
        return Shot(f"flat-{design.kind}-{seed[1]:03}", seed, design, None, twin_of)
    outfit = choose_outfit(rng, given)
    main = given or next(outfit.designs[kind] for kind in MAIN if kind in outfit.designs)
    return Shot(f"worn-{seed[1]:03}", seed, main, outfit, twin_of)
