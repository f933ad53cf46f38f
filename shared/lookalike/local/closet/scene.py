"""Whole pictures: a garment on its own, or somebody wearing an outfit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lookalike.local.closet.body import laid_flat, person, standing
from lookalike.local.closet.cloth import Map, levels, pick, solid
from lookalike.local.closet.design import Design, choose_design
from lookalike.local.closet.geometry import Place, bent, tube, xy
from lookalike.local.closet.grounds import FLOORS, PLACES, WALLS
from lookalike.local.closet.outfits import Outfit, choose_outfit
from lookalike.local.closet.paint import Canvas, Part, paint, silhouette, unlit
from lookalike.local.closet.sewing import sew

SIZE = (384, 512)
FLAT_KINDS = {"top": 2.2, "outerwear": 1.7, "dress": 1.8, "trousers": 1.6, "shorts": 1.1, "skirt": 1.3, "shoes": 1.5,
              "bag": 0.9, "hat": 0.9, "scarf": 0.5}  # fmt: skip
"""How often each kind is drawn on its own."""
HANGING = ("top", "outerwear", "dress")
OPENED = 0.4
"""Share of jackets and coats that are laid out unbuttoned."""
SEEN = 0.0006
"""Share of the picture from which a garment counts as visible."""


@dataclass(frozen=True, eq=False)
class Garment:
    """A garment in a picture: `mask` (h, w) holds its visible pixels, `design` its cut and cloth."""

    kind: str
    mask: NDArray[np.bool_]
    design: Design

    @property
    def colours(self) -> tuple[str, ...]:
        return self.design.cloth.names

    @property
    def pattern(self) -> str:
        return self.design.cloth.pattern

    @property
    def cut(self) -> str:
        return self.design.name


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture (RGB) and the garments in it, largest first."""

    image: Image.Image
    garments: list[Garment]


def draw_scene(seed: int, worn: bool, size: tuple[int, int] = SIZE) -> Drawn:
    """A picture of `size` (width, height) in pixels, the same for the same seed."""
    rng = np.random.default_rng((seed, int(worn)))
    if worn:
        return draw_worn(choose_outfit(rng), rng, size)
    return draw_flat(choose_design(rng, pick(rng, FLAT_KINDS)), rng, size)


def draw_flat(design: Design, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Drawn:
    """The garment on its own, somewhere on some ground."""
    hanging = design.kind in HANGING and rng.random() < 0.25
    opened = design.kind == "outerwear" and rng.random() < OPENED
    parts = sew(design, laid_flat(rng), 1, opened) + (_hanger() if hanging else [])
    ground = (WALLS if hanging else FLOORS)[rng.integers(len(WALLS if hanging else FLOORS))](rng, size)
    canvas = _canvas(ground, rng)
    place = _fitted(parts, rng, size, 0.0 if hanging else float(rng.normal(0, 0.09)))
    _shadow(canvas, parts, place, rng.uniform(0.25, 0.5))
    return _finished(canvas, parts, place, [design])


def draw_worn(outfit: Outfit, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Drawn:
    """Somebody wearing the outfit."""
    pose = standing(rng)
    parts = person(rng, pose)
    for number, (kind, design) in enumerate(outfit.designs.items(), 1):
        opened = kind == "outerwear" and outfit.opened
        parts += sew(design, pose, number, opened, kind == "top" and outfit.tucked, outfit.covers(kind))
    canvas = _canvas(PLACES[rng.integers(len(PLACES))](rng, size), rng)
    place = _standing_place(rng, size)
    _standing_shadow(canvas, place)
    return _finished(canvas, parts, place, list(outfit.designs.values()))


def _canvas(ground: Map, rng: np.random.Generator) -> Canvas:
    side = rng.choice((-1, 1)) * rng.uniform(0.4, 0.9)
    return Canvas(ground, (float(side), -0.75), rng)


def _hanger() -> list[Part]:
    steel = solid((120, 116, 112), "satin")
    hook = bent(xy((0.0, 0.165), (0.0, 0.12), (0.018, 0.1), (0.004, 0.075)))
    arms = [
        Part(tube(bent(xy((0, 0.162), (s * 0.05, 0.174), (s * 0.1, 0.197))), (0.004,)), steel, 2.0) for s in (-1, 1)
    ]
    return [Part(tube(hook, (0.0026,)), steel, 2.0), *arms]


def _fitted(parts: list[Part], rng: np.random.Generator, size: tuple[int, int], angle: float) -> Place:
    """Where the parts fill most of the picture, near its middle."""
    turned = np.concatenate([Place(1.0, angle)(part.outline) for part in parts])
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = float(np.min(np.array(size) / (high - low)) * rng.uniform(0.72, 0.93))
    slack = np.array(size) - (high - low) * scale
    corner = slack * np.clip(rng.normal(0.5, 0.12, 2), 0.12, 0.88)
    x, y = corner - low * scale
    return Place(scale, angle, float(x), float(y))


def _standing_place(rng: np.random.Generator, size: tuple[int, int]) -> Place:
    close = rng.random() < 0.2
    scale = size[1] * rng.uniform(1.02, 1.2) if close else size[1] * rng.uniform(0.84, 0.93)
    top = size[1] * rng.uniform(0.03, 0.05) if close else (size[1] - scale) * rng.uniform(0.45, 0.7)
    return Place(float(scale), 0.0, size[0] * float(rng.normal(0.5, 0.03)), float(top))


def _shadow(canvas: Canvas, parts: list[Part], place: Place, strength: float) -> None:
    """The soft shadow of all parts on the ground: close and dark, wide and faint."""
    shape = silhouette(canvas, parts, place)
    for away, blur, share in ((2.0, 2.5, 0.6), (7.0, 9.0, 0.7)):
        soft = shape.filter(ImageFilter.GaussianBlur(blur * canvas.unit))
        shade = unlit(levels(soft), canvas.light, away * canvas.unit)
        canvas.pixels *= 1 - shade[..., None] * np.float32(strength * share)


def _standing_shadow(canvas: Canvas, place: Place) -> None:
    height, width = canvas.owner.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = place(xy((0.02 * np.sign(-canvas.light[0]), 0.985)))[0]
    away = ((x - middle[0]) / (0.17 * place.scale)) ** 2 + ((y - middle[1]) / (0.028 * place.scale)) ** 2
    canvas.pixels *= (1 - 0.45 * np.exp(-away))[..., None].astype(np.float32)


def _finished(canvas: Canvas, parts: list[Part], place: Place, designs: list[Design]) -> Drawn:
    for part in sorted(parts, key=lambda part: part.z):
        paint(canvas, part, place)
    masks = [canvas.owner == number for number in range(1, len(designs) + 1)]
    garments = [
        Garment(design.kind, mask, design) for design, mask in zip(designs, masks, strict=True) if mask.mean() > SEEN
    ]
    return Drawn(_photographed(canvas), sorted(garments, key=lambda garment: -int(garment.mask.sum())))


def _photographed(canvas: Canvas) -> Image.Image:
    """The canvas as a camera sees it: uneven light, a slight cast, noise."""
    rng, (height, width) = canvas.rng, canvas.owner.shape
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    light = 1 + 0.05 * (x * canvas.light[0] + y * canvas.light[1]) - rng.uniform(0.0, 0.1) * (x * x + y * y)
    cast = rng.uniform(0.96, 1.04, 3).astype(np.float32) * np.float32(rng.uniform(0.92, 1.05))
    pixels = canvas.pixels * light[..., None].astype(np.float32) * cast
    pixels += canvas.noise[::-1, ::-1, None] * np.float32(rng.uniform(0.004, 0.014))
    image = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.6) * canvas.unit))
