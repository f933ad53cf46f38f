"""Painting parts of garments on a picture: coverage, shading, folds, outlines and soft shadows."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from lookalike.local.closet.cloth import GLOSS, Cloth, Map, dye, grain, levels
from lookalike.local.closet.geometry import Place, Points

FINE = 3
"""Each pixel is drawn as FINE x FINE smaller ones."""
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mark:
    """A line on a part: a seam (negative tone darkens) or, if soft, a fold. Width in body heights."""

    path: Points
    width: float
    tone: float
    soft: bool = False


@dataclass(frozen=True)
class Part:
    """One piece of cloth, skin or metal: a closed outline in body heights, drawn in the order of `z`.

    `axis` is the angle of its grain, `owner` the number of its garment (0: nobody's).
    """

    outline: Points
    cloth: Cloth
    z: float = 0.0
    marks: tuple[Mark, ...] = ()
    axis: float = 0.0
    bulge: float = 1.0
    ink: float = 0.35
    shadow: float = 0.3
    owner: int = 0

    def moved(self, place: Place) -> "Part":
        """The part elsewhere, still in body heights."""
        marks = tuple(replace(mark, path=place(mark.path), width=mark.width * place.scale) for mark in self.marks)
        return replace(self, outline=place(self.outline), marks=marks, axis=self.axis + place.angle)


@dataclass
class Canvas:
    """The picture so far: `pixels` (h, w, 3) in 0 to 1, `owner` (h, w) the garment seen there, `light` towards the lamp."""

    pixels: Map
    light: tuple[float, float]
    rng: np.random.Generator
    owner: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.owner = np.zeros(self.pixels.shape[:2], dtype=np.uint8)
        self.noise = self.rng.standard_normal(self.pixels.shape[:2], dtype=np.float32)
        self.wrinkles = sum((self._uneven(cells) for cells in (5, 11, 24)), np.zeros_like(self.noise))

    def _uneven(self, cells: int) -> Map:
        """Light and dark patches, `cells` across the picture, shape (h, w)."""
        height, width = self.owner.shape
        few = Image.fromarray(self.rng.standard_normal((cells * height // width + 1, cells), dtype=np.float32))
        patches = np.asarray(few.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
        return np.asarray(np.tanh(patches) * np.float32(0.028), dtype=np.float32)

    @property
    def unit(self) -> float:
        """The width of a pencil line in pixels."""
        return len(self.pixels) / 512


def paint(canvas: Canvas, part: Part, place: Place) -> None:
    """Draws one part over what is there."""
    outline = place(part.outline)
    reach = _reach(outline)
    window = _window(outline, canvas, reach)
    if window is None:
        return
    cover = _coverage(outline, window)
    soft = _softened(cover, reach)
    alpha = levels(cover)
    rows, columns = slice(window[1], window[3]), slice(window[0], window[2])
    under = canvas.pixels[rows, columns]
    if part.shadow:
        _cast(canvas, under, soft, part.shadow, reach)
    under += alpha[..., None] * (_surface(canvas, part, place, window, soft, reach) - under)
    seen = alpha > 0.5
    canvas.owner[rows, columns][seen] = part.owner


def _window(outline: Points, canvas: Canvas, reach: float) -> Window | None:
    margin = 3 + 3 * canvas.unit + 1.75 * reach
    (x1, y1), (x2, y2) = outline.min(axis=0) - margin, outline.max(axis=0) + margin
    height, width = canvas.owner.shape
    box = max(int(x1), 0), max(int(y1), 0), min(int(x2) + 1, width), min(int(y2) + 1, height)
    return box if box[2] > box[0] and box[3] > box[1] else None


def _flat(points: Points, window: Window) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (points - window[:2]) * FINE]


def _coverage(outline: Points, window: Window) -> Image.Image:
    fine = Image.new("L", ((window[2] - window[0]) * FINE, (window[3] - window[1]) * FINE), 0)
    ImageDraw.Draw(fine).polygon(_flat(outline, window), fill=255)
    return fine.reduce(FINE)


def _reach(outline: Points) -> float:
    """How far shading reaches into the part: a share of its thickness, in pixels."""
    x, y = outline.T
    area = abs(float(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1)))) / 2
    length = float(np.hypot(*(outline - np.roll(outline, 1, axis=0)).T).sum())
    return min(max(0.75 * area / max(length, 1e-6), 1.0), 16.0)


def _softened(cover: Image.Image, reach: float) -> Map:
    return levels(cover.filter(ImageFilter.BoxBlur(reach)).filter(ImageFilter.BoxBlur(reach * 0.6)))


def _cast(canvas: Canvas, under: Map, soft: Map, strength: float, reach: float) -> None:
    """The part's own shadow on what lies beneath it, away from the light."""
    shade = unlit(soft, canvas.light, 2.2 * canvas.unit + 0.15 * reach)
    under *= 1 - shade[..., None] * np.float32(strength)


def unlit(shape: Map, light: tuple[float, float], away: float) -> Map:
    """A shape (h, w) moved `away` pixels from the light; nothing comes in over the edges."""
    down, right = round(-light[1] * away), round(-light[0] * away)
    moved = np.roll(shape, (down, right), axis=(0, 1))
    moved[: max(down, 0)] = 0
    moved[:, : max(right, 0)] = 0
    moved[:, moved.shape[1] + min(right, 0) :] = 0
    return moved


def _surface(canvas: Canvas, part: Part, place: Place, window: Window, soft: Map, reach: float) -> Map:
    rows, columns = slice(window[1], window[3]), slice(window[0], window[2])
    lit = _lit(canvas, soft, reach) * np.float32(part.bulge)
    folds = _folds(part, place, window)
    u, v = _grid(part, place, window)
    dyed = dye(part.cloth, u + folds * np.float32(0.012), v + folds * np.float32(0.012), place.scale)
    threads = grain(part.cloth, u, v, place.scale, canvas.noise[rows, columns])
    relief = lit + 0.42 * folds + canvas.wrinkles[rows, columns] * np.float32(part.bulge)
    shade = 1 + relief + _drawn(canvas, part, place, window) + threads
    gloss = GLOSS.get(part.cloth.weave, 0.0) * np.clip(lit + 0.5 * folds - 0.04, 0, 1)
    return np.asarray(np.clip(dyed * shade[..., None] + gloss[..., None], 0, 1), dtype=np.float32)


def _lit(canvas: Canvas, soft: Map, reach: float) -> Map:
    """Brighter where the bulging part faces the light, darker at its edges."""
    slope = np.zeros_like(soft)
    slope[:, 1:-1] += (soft[:, :-2] - soft[:, 2:]) * np.float32(canvas.light[0])
    slope[1:-1] += (soft[:-2] - soft[2:]) * np.float32(canvas.light[1])
    return np.asarray(slope * np.float32(0.42 * reach) - 0.26 * np.clip(0.85 - soft, 0, 1), dtype=np.float32)


def _folds(part: Part, place: Place, window: Window) -> Map:
    size = (window[2] - window[0], window[3] - window[1])
    folds = [mark for mark in part.marks if mark.soft]
    if not folds:
        return np.zeros(size[::-1], dtype=np.float32)
    image = Image.new("L", size, 128)
    draw = ImageDraw.Draw(image)
    for mark in folds:
        path = [(float(x), float(y)) for x, y in place(mark.path) - window[:2]]
        draw.line(path, fill=round(128 + 127 * mark.tone), width=max(round(mark.width * place.scale), 1))
    wide = float(np.mean([mark.width for mark in folds])) * place.scale
    return _tones(image.filter(ImageFilter.GaussianBlur(max(wide * 0.6, 1.0))))


def _drawn(canvas: Canvas, part: Part, place: Place, window: Window) -> Map:
    """The pencil outline and the seams, as lighter and darker tones."""
    image = Image.new("L", ((window[2] - window[0]) * FINE, (window[3] - window[1]) * FINE), 128)
    draw = ImageDraw.Draw(image)
    for mark in part.marks:
        if not mark.soft:
            width = max(round(mark.width * place.scale * FINE), 2)
            draw.line(_flat(place(mark.path), window), fill=round(128 + 127 * mark.tone), width=width, joint="curve")
    edge = _flat(place(part.outline), window)
    draw.line([*edge, edge[0]], fill=round(128 - 127 * part.ink), width=round(1.8 * FINE * canvas.unit))
    return _tones(image.reduce(FINE))


def _tones(image: Image.Image) -> Map:
    """Values about 128 as tones about 0."""
    return levels(image, 127) - np.float32(128 / 127)


def _grid(part: Part, place: Place, window: Window) -> tuple[Map, Map]:
    """Across and down the grain of the part, in body heights from its top."""
    angle = part.axis + place.angle
    origin = place(part.outline[:1])[0] if part.axis else place(np.zeros((1, 2)))[0]
    x = (np.arange(window[0], window[2], dtype=np.float32) - np.float32(origin[0])) / np.float32(place.scale)
    y = (np.arange(window[1], window[3], dtype=np.float32) - np.float32(origin[1])) / np.float32(place.scale)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x[None] * cos + y[:, None] * sin, y[:, None] * cos - x[None] * sin


def silhouette(canvas: Canvas, parts: list[Part], place: Place) -> Image.Image:
    """What the parts cover together: 0 or 255, the canvas's size."""
    image = Image.new("L", canvas.owner.shape[::-1], 0)
    draw = ImageDraw.Draw(image)
    for part in parts:
        draw.polygon([(float(x), float(y)) for x, y in place(part.outline)], fill=255)
    return image
