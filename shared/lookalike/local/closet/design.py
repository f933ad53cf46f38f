"""A garment as it was made: its kind, cut and cloth. The same design can be drawn again elsewhere."""

from dataclasses import dataclass

import numpy as np

from lookalike.local.closet.body import LEVELS, Pose
from lookalike.local.closet.cloth import Cloth, choose_cloth, pick
from lookalike.local.closet.cuts import CUTS, Cut
from lookalike.local.closet.geometry import Points
from lookalike.local.closet.paint import Mark, Part

Stitch = Part | Mark
"""A piece of cloth sewn on, or a line on the main piece."""


@dataclass(frozen=True)
class Design:
    """One garment of a closet. `seed` fixes whatever its cut leaves open."""

    kind: str
    name: str
    cloth: Cloth
    seed: int

    @property
    def cut(self) -> Cut:
        return CUTS[self.kind][self.name]

    @property
    def rng(self) -> np.random.Generator:
        """The same numbers each time it is asked for."""
        return np.random.default_rng(self.seed)


def choose_design(rng: np.random.Generator, kind: str, but_not: tuple[str, ...] = ()) -> Design:
    """A garment of that kind, in a cut whose name is not among `but_not`."""
    cuts = {name: cut.chance for name, cut in CUTS[kind].items() if name not in but_not}
    name = pick(rng, cuts)
    cloth = choose_cloth(rng, str(rng.choice(CUTS[kind][name].weaves)))
    return Design(kind, name, cloth, int(rng.integers(1 << 30)))


def height(level: float) -> float:
    """Where a level of `body.LEVELS` is, in body heights from the top of the head."""
    return float(np.interp(level, range(6), (*LEVELS, 1.16)))


def swayed(points: Points, pose: Pose) -> Points:
    """Points shifted to where the middle of the body is at their height."""
    aside = [(pose.centre(y), 0.0) for y in points[:, 1]]
    return np.asarray(points + aside, dtype=np.float64)


def fold(path: Points, width: float, tone: float) -> Mark:
    """A soft light or dark stripe in the cloth."""
    return Mark(path, width, tone, True)


def parts_and_marks(stitches: list[Stitch]) -> tuple[list[Part], tuple[Mark, ...]]:
    """Stitches told apart: pieces, and lines on the main piece."""
    parts = [one for one in stitches if isinstance(one, Part)]
    return parts, tuple(one for one in stitches if isinstance(one, Mark))
