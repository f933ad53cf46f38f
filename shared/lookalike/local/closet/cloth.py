"""What garments are made of: colours, patterns and weaves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Map = NDArray[np.float32]
Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "black": (32, 31, 34), "white": (240, 238, 233), "cream": (233, 221, 198), "charcoal": (66, 67, 72),
    "grey": (139, 141, 145), "silver": (190, 193, 197), "navy": (33, 43, 78), "denim blue": (72, 101, 143),
    "light blue": (152, 182, 212), "beige": (207, 184, 150), "camel": (184, 136, 84), "brown": (110, 74, 48),
    "chocolate": (66, 44, 34), "olive": (103, 104, 60), "forest green": (40, 78, 58), "sage": (158, 174, 144),
    "burgundy": (104, 30, 46), "red": (190, 38, 44), "coral": (232, 114, 94), "rust": (168, 82, 44),
    "blush": (231, 186, 182), "pink": (222, 106, 148), "lilac": (183, 163, 208), "purple": (98, 60, 126),
    "mustard": (211, 160, 52), "yellow": (240, 208, 88), "mint": (172, 215, 192), "teal": (32, 115, 118),
    "emerald": (22, 128, 88), "cobalt": (40, 76, 176), "turquoise": (74, 176, 186), "orange": (230, 126, 44),
}  # fmt: skip
DENIMS = ("denim blue", "light blue", "navy", "black", "grey", "white")
LEATHERS = (
    "black",
    "brown",
    "camel",
    "chocolate",
    "burgundy",
    "cream",
    "white",
    "navy",
    "red",
    "forest green",
    "beige",
)
KNITS = ("cream", "grey", "charcoal", "navy", "camel", "burgundy", "forest green", "mustard", "blush", "rust", "teal",
         "lilac", "sage", "red", "black", "white", "cobalt", "orange", "pink", "mint")  # fmt: skip
WOOLS = ("black", "charcoal", "grey", "navy", "camel", "beige", "brown", "burgundy", "olive", "forest green", "cream",
         "rust", "teal", "red", "blush")  # fmt: skip
COLOURS_OF = {"denim": DENIMS, "leather": LEATHERS, "knit": KNITS, "wool": WOOLS}
PATTERNS_OF = {
    "denim": {"plain": 9.0, "colour-block": 1.0},
    "leather": {"plain": 9.0, "colour-block": 2.0, "quilted": 1.0},
    "knit": {"plain": 6.0, "striped": 4.0, "colour-block": 1.5, "argyle": 1.0, "gradient": 0.7, "fair-isle": 1.2},
    "wool": {"plain": 7.0, "checked": 2.0, "plaid": 2.0, "herringbone": 1.5, "houndstooth": 1.2},
    "satin": {"plain": 5.0, "floral": 2.5, "gradient": 1.0, "dotted": 1.5, "leopard": 1.0, "paisley": 0.8},
    "canvas": {"plain": 6.0, "striped": 1.5, "colour-block": 1.2, "camouflage": 1.0, "floral": 0.7, "checked": 0.7},
    "cotton": {"plain": 6.0, "striped": 2.6, "pinstriped": 1.6, "checked": 1.4, "plaid": 1.4, "dotted": 1.4,
               "floral": 1.8, "gradient": 0.6, "colour-block": 1.0, "leopard": 0.4, "tie-dye": 0.5, "paisley": 0.4},
}  # fmt: skip
REPEATS = {"striped": (0.022, 0.075), "pinstriped": (0.012, 0.04), "checked": (0.016, 0.05), "plaid": (0.05, 0.11),
           "dotted": (0.016, 0.05), "floral": (0.07, 0.2), "paisley": (0.1, 0.18), "gradient": (0.3, 0.5),
           "colour-block": (0.16, 0.3), "leopard": (0.08, 0.16), "camouflage": (0.18, 0.34), "tie-dye": (0.25, 0.45),
           "argyle": (0.05, 0.1), "fair-isle": (0.1, 0.16), "herringbone": (0.016, 0.03), "houndstooth": (0.02, 0.04),
           "quilted": (0.02, 0.035)}  # fmt: skip


def levels(image: Image.Image, full: float = 255) -> Map:
    """The values of an image as shares of `full`."""
    return np.asarray(np.asarray(image, dtype=np.float32) / full, dtype=np.float32)


@dataclass(frozen=True)
class Cloth:
    """A fabric. `repeat` is the length of one repeat of its pattern in body heights, `turn` its angle in radians."""

    colours: tuple[Colour, Colour, Colour]
    weave: str = "cotton"
    pattern: str = "plain"
    repeat: float = 0.05
    turn: float = 0.0
    seed: int = 0
    names: tuple[str, ...] = ()

    def plain(self, which: int = 0, weave: str | None = None, tone: float = 1.0) -> "Cloth":
        """The fabric's first, second or third colour without the pattern, lighter or darker by `tone`."""
        red, green, blue = (min(round(channel * tone), 255) for channel in self.colours[which])
        return replace(self, colours=((red, green, blue),) * 3, pattern="plain", weave=weave or self.weave)


def solid(colour: Colour, weave: str = "cotton") -> Cloth:
    """A fabric of one colour."""
    return Cloth((colour,) * 3, weave)


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """One of the keys, as likely as its weight."""
    chances = np.array(list(weights.values()))
    return str(rng.choice(list(weights), p=chances / chances.sum()))


def choose_cloth(rng: np.random.Generator, weave: str) -> Cloth:
    """A fabric of that weave in natural clothing colours."""
    pattern = pick(rng, PATTERNS_OF[weave])
    first = str(rng.choice(COLOURS_OF.get(weave, tuple(PALETTE))))
    names = (first, *_partners(rng, first))
    low, high = REPEATS.get(pattern, (0.05, 0.05))
    turn = rng.choice([0.0, np.pi / 2]) if pattern == "striped" and weave != "knit" else 0.0
    turn = np.pi / 4 if pattern == "quilted" or (pattern == "plaid" and rng.random() < 0.15) else turn
    colours = tuple(_tinted(rng, PALETTE[name]) for name in names)
    return Cloth((colours[0], colours[1], colours[2]), weave, pattern, float(rng.uniform(low, high)), float(turn),
                 int(rng.integers(1 << 20)), names if pattern != "plain" else names[:1])  # fmt: skip


def _partners(rng: np.random.Generator, first: str) -> list[str]:
    """Two colours that stand out from the first, neutrals half the time."""
    bright = {name: sum(PALETTE[name]) / 3 for name in PALETTE}
    apart = [name for name in PALETTE if abs(bright[name] - bright[first]) > 55]
    neutral = [name for name in ("white", "black", "cream", "navy", "charcoal") if name in apart]
    second = str(rng.choice(neutral if rng.random() < 0.5 else apart))
    third = str(rng.choice([name for name in PALETTE if name not in (first, second)]))
    return [second, third]


def _tinted(rng: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = (int(np.clip(c * rng.uniform(0.93, 1.07) + rng.normal(0, 4), 8, 247)) for c in colour)
    return red, green, blue


def _band(x: Map, duty: float, crisp: float) -> Map:
    """1 within the middle `duty` of each unit of x, with edges as soft as one pixel (`crisp` pixels per unit)."""
    inside = (duty / 2 - np.abs(x - np.floor(x) - 0.5)) * max(crisp, 2.0) + 0.5
    return np.asarray(np.clip(inside, 0, 1), dtype=np.float32)


def _striped(u: Map, v: Map, crisp: float, seed: int) -> Map:
    duty = (0.5, 0.5, 0.3, 0.18, 0.7)[seed % 5]
    extra = _band(v * 2 + 0.5, 0.12, crisp / 2) * 2 if seed % 7 == 0 else np.float32(0)
    return np.maximum(_band(v, duty, crisp), extra)


def _pinstriped(u: Map, v: Map, crisp: float, seed: int) -> Map:
    return _band(u, 0.16, crisp) * np.float32(0.85)


def _checked(u: Map, v: Map, crisp: float, seed: int) -> Map:
    return (_band(u, 0.5, crisp) + _band(v, 0.5, crisp)) * np.float32(0.5)


def _plaid(u: Map, v: Map, crisp: float, seed: int) -> Map:
    broad, thin = 0.3 + 0.03 * (seed % 8), 0.05
    bands = (_band(u, broad, crisp) + _band(v, broad, crisp)) * 0.5
    lines = np.maximum(_band(u + 0.5, thin, crisp), _band(v + 0.5, thin, crisp))
    return np.asarray(np.maximum(bands, lines * 2 * 0.8), dtype=np.float32)


def _dotted(u: Map, v: Map, crisp: float, seed: int) -> Map:
    row = np.floor(v)
    away = np.hypot(u + 0.5 * (row % 2) - np.floor(u + 0.5 * (row % 2)) - 0.5, v - row - 0.5)
    radius = 0.2 + 0.03 * (seed % 5)
    return np.asarray(np.clip((radius - away) * max(crisp, 2.0) + 0.5, 0, 1), dtype=np.float32)


def _gradient(u: Map, v: Map, crisp: float, seed: int) -> Map:
    return np.asarray(np.clip(v * 0.9 - 0.1 * (seed % 4), 0, 1), dtype=np.float32)


def _colour_block(u: Map, v: Map, crisp: float, seed: int) -> Map:
    at = v if seed % 3 else u + 0.5
    steps = np.clip((at - 0.55) * crisp, 0, 1) + (np.clip((at - 1.1) * crisp, 0, 1) if seed % 2 else 0)
    return np.asarray(steps, dtype=np.float32)


def _argyle(u: Map, v: Map, crisp: float, seed: int) -> Map:
    slope = v * np.float32(0.6)
    a, b = np.add(u, slope), np.subtract(u, slope)
    diamonds = np.abs(_band(a, 0.5, crisp) + _band(b, 0.5, crisp) - 1)
    lines = np.maximum(_band(a + 0.25, 0.05, crisp), _band(b + 0.25, 0.05, crisp))
    return np.asarray(np.where(lines > 0.5, 2 * lines, 1 - diamonds), dtype=np.float32)


def _fair_isle(u: Map, v: Map, crisp: float, seed: int) -> Map:
    zigzag = _band(v * 3 + np.abs((u * 4) % 1 - 0.5), 0.35, crisp / 3)
    dots = _band(u * 6, 0.5, crisp / 6) * _band(v * 6, 0.5, crisp / 6) * 2
    which = np.floor(v * 3 + np.abs((u * 4) % 1 - 0.5)) % 3
    return np.asarray(np.where(which == 0, zigzag, np.where(which == 1, 0, dots)), dtype=np.float32)


def _herringbone(u: Map, v: Map, crisp: float, seed: int) -> Map:
    return _band(v + np.abs((u * 0.5) % 1 - 0.5) * 4, 0.45, crisp) * np.float32(0.4)


def _houndstooth(u: Map, v: Map, crisp: float, seed: int) -> Map:
    across, down = u % 1 < 0.5, v % 1 < 0.5
    twill = (u + v) * 2 % 1 < 0.5
    return np.asarray(np.where(across == down, across, twill), dtype=np.float32)


def _quilted(u: Map, v: Map, crisp: float, seed: int) -> Map:
    return np.zeros_like(u)


def _tiled(name: str) -> Callable[[Map, Map, float, int], Map]:
    def sample(u: Map, v: Map, crisp: float, seed: int) -> Map:
        tile = _tile(name, seed)
        side = len(tile)
        return np.asarray(tile[(v * side).astype(np.intp) % side, (u * side).astype(np.intp) % side], dtype=np.float32)

    return sample


@lru_cache(maxsize=64)
def _tile(name: str, seed: int, side: int = 128) -> Map:
    """One repeat of a drawn pattern: values 0, 1, 2 stand for the first, second and third colour."""
    rng = np.random.default_rng(seed)
    image = Image.new("L", (3 * side, 3 * side), 0)
    TILES[name](rng, ImageDraw.Draw(image), side)
    soft = image.filter(ImageFilter.GaussianBlur(1.0)).crop((side, side, 2 * side, 2 * side))
    return levels(soft, 100)


def _everywhere(side: int, x: float, y: float) -> list[tuple[float, float]]:
    return [(x + side * i, y + side * j) for i in range(3) for j in range(3)]


def _flowers(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    size, petals = rng.uniform(0.07, 0.11) * side, int(rng.integers(4, 7))
    for x, y in rng.uniform(0, side, (9, 2)):
        for cx, cy in _everywhere(side, x, y):
            draw.ellipse((cx - size / 3, cy - size / 3, cx + size / 3, cy + size / 3), fill=100)
    for x, y, turn in rng.uniform(0, (side, side, 6.3), (7, 3)):
        for cx, cy in _everywhere(side, x, y):
            _flower(draw, cx, cy, size, petals, turn)


def _flower(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, petals: int, turn: float) -> None:
    for angle in np.arange(petals) * 2 * np.pi / petals + turn:
        px, py = x + np.cos(angle) * size * 0.8, y + np.sin(angle) * size * 0.8
        draw.ellipse((px - size * 0.62, py - size * 0.62, px + size * 0.62, py + size * 0.62), fill=100)
    draw.ellipse((x - size * 0.5, y - size * 0.5, x + size * 0.5, y + size * 0.5), fill=200)


def _spots(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    for column, row in np.ndindex(5, 5):
        x, y = ((column + 0.5 * (row % 2), row) + rng.uniform(-0.2, 0.2, 2)) * side / 5
        radius, gap = rng.uniform(0.06, 0.09) * side, rng.uniform(0, 360)
        for cx, cy in _everywhere(side, x, y):
            around = (cx - radius, cy - radius * 0.8, cx + radius, cy + radius * 0.8)
            draw.ellipse(around, fill=60)
            draw.arc(around, gap, gap + 280, fill=100, width=round(side * 0.04))


def _blotches(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    for level in rng.permutation(np.repeat([100, 200, 0], 9)):
        x, y = rng.uniform(0, side, 2)
        angles = np.linspace(0, 2 * np.pi, 9, endpoint=False)
        radii = rng.uniform(0.04, 0.17, 9) * side
        for cx, cy in _everywhere(side, x, y):
            outline = zip(cx + np.cos(angles) * radii * 1.5, cy + np.sin(angles) * radii, strict=True)
            draw.polygon([(float(a), float(b)) for a, b in outline], fill=int(level))


def _drops(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    for x, y, turn in rng.uniform(0, (side, side, 6.3), (8, 3)):
        for cx, cy in _everywhere(side, x, y):
            for radius, level in ((0.1, 100), (0.07, 0), (0.045, 200)):
                for step in range(4):
                    r, away = radius * side * (1 - step * 0.24), step * 0.07 * side
                    px, py = cx + np.cos(turn + step * 0.3) * away, cy + np.sin(turn + step * 0.3) * away
                    draw.ellipse((px - r, py - r, px + r, py + r), fill=level)


def _swirl(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    for radius in range(round(side * 0.7), 0, -3):
        level = int(100 + 100 * np.sin(radius / side * 22 + rng.normal(0, 0.4)))
        for cx, cy in _everywhere(side, side / 2, side / 2):
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=level)


TILES: dict[str, Callable[[np.random.Generator, ImageDraw.ImageDraw, int], None]] = {
    "floral": _flowers, "leopard": _spots, "camouflage": _blotches, "paisley": _drops, "tie-dye": _swirl,
}  # fmt: skip
PATTERNS: dict[str, Callable[[Map, Map, float, int], Map]] = {
    "striped": _striped, "pinstriped": _pinstriped, "checked": _checked, "plaid": _plaid, "dotted": _dotted,
    "gradient": _gradient, "colour-block": _colour_block, "argyle": _argyle, "fair-isle": _fair_isle,
    "herringbone": _herringbone, "houndstooth": _houndstooth, "quilted": _quilted,
    **{name: _tiled(name) for name in ("floral", "leopard", "camouflage", "paisley", "tie-dye")},
}  # fmt: skip


def dye(cloth: Cloth, u: Map, v: Map, pixels: float) -> Map:
    """The cloth's colours, shape (h, w, 3) in 0 to 1, at u across and v down in body heights (`pixels` per height)."""
    first, second, third = (np.array(colour, dtype=np.float32) / 255 for colour in cloth.colours)
    if cloth.pattern == "plain":
        return np.asarray(np.broadcast_to(first, (*u.shape, 3)), dtype=np.float32)
    cos, sin = np.float32(np.cos(cloth.turn) / cloth.repeat), np.float32(np.sin(cloth.turn) / cloth.repeat)
    level = PATTERNS[cloth.pattern](u * cos + v * sin, v * cos - u * sin, pixels * cloth.repeat, cloth.seed)[..., None]
    mixed = first + np.minimum(level, 1) * (second - first)
    return np.asarray(mixed + np.clip(level - 1, 0, 1) * (third - second), dtype=np.float32)


def grain(cloth: Cloth, u: Map, v: Map, pixels: float, noise: Map) -> Map:
    """How much lighter or darker the weave makes each point, shape (h, w), about 0."""
    strength, period = WEAVES[cloth.weave]
    tone = noise * np.float32(strength)
    if cloth.pattern == "quilted":
        seams = [_band(way / np.float32(cloth.repeat), 0.08, pixels * cloth.repeat) for way in (u + v, u - v)]
        return np.asarray(tone - 0.3 * np.maximum(*seams), dtype=np.float32)
    if not period or pixels * period < 2.2:
        return tone
    return tone + THREADS[cloth.weave](u / np.float32(period), v / np.float32(period))


def _knitted(u: Map, v: Map) -> Map:
    across = np.abs(u - np.floor(u) - 0.5)
    return np.asarray(0.1 * np.sin((v + across * 1.1) * 2 * np.pi) - 0.16 * (across > 0.4), dtype=np.float32)


def _twill(u: Map, v: Map) -> Map:
    return np.asarray(0.05 * np.sin((u + v * 0.6) * 2 * np.pi), dtype=np.float32)


def _woven(u: Map, v: Map) -> Map:
    return np.asarray(0.03 * (np.sin(u * 2 * np.pi) + np.sin(v * 2 * np.pi)), dtype=np.float32)


WEAVES = {"cotton": (0.012, 0.0), "knit": (0.03, 0.011), "denim": (0.06, 0.006), "leather": (0.018, 0.0),
          "wool": (0.045, 0.0), "satin": (0.008, 0.0), "canvas": (0.025, 0.006)}  # fmt: skip
"""Strength of the grain, and the thread's period in body heights (0: none seen)."""
THREADS = {"knit": _knitted, "denim": _twill, "canvas": _woven}
GLOSS = {"leather": 0.55, "satin": 0.5}
