"""What garments lie on and people stand before: floors, walls, cloths and streets, as pictures of shape (h, w, 3) in 0 to 1."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookalike.local.closet.cloth import Colour, Map, levels

PALE: tuple[Colour, ...] = ((244, 242, 238), (232, 228, 220), (214, 218, 222), (226, 214, 200), (222, 208, 206),
                            (206, 214, 204), (250, 250, 250), (198, 192, 186), (186, 198, 210))  # fmt: skip
STRONG: tuple[Colour, ...] = ((120, 128, 138), (84, 92, 104), (148, 122, 104), (150, 168, 160), (196, 166, 140),
                              (104, 116, 100), (176, 136, 128), (70, 66, 70))  # fmt: skip
WOODS: tuple[Colour, ...] = ((196, 160, 118), (160, 118, 80), (120, 86, 60), (218, 196, 164), (148, 136, 124))


def _colour(rng: np.random.Generator, choices: tuple[Colour, ...]) -> Map:
    chosen = np.array(choices[rng.integers(len(choices))]) * rng.uniform(0.94, 1.04) + rng.normal(0, 4, 3)
    return np.asarray(np.clip(chosen, 10, 252) / 255, dtype=np.float32)


def _filled(size: tuple[int, int], colour: Map) -> Map:
    return np.broadcast_to(colour, (size[1], size[0], 3)).astype(np.float32)


def _smooth(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> Map:
    """Slowly varying values about 0, shape (h, w)."""
    few = rng.standard_normal((cells[1], cells[0])).astype(np.float32)
    return np.asarray(Image.fromarray(few).resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _shaded(ground: Map, tone: Map) -> Map:
    return np.asarray(ground * (1 + tone)[..., None], dtype=np.float32)


def plain(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Paper or a wall of one colour."""
    ground = _filled(size, _colour(rng, PALE if rng.random() < 0.7 else STRONG))
    return _shaded(ground, 0.012 * _smooth(rng, size, (5, 6)))


def gradient(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """One colour running into another."""
    first, second = _colour(rng, PALE), _colour(rng, PALE if rng.random() < 0.6 else STRONG)
    turn = rng.uniform(0, 2 * np.pi)
    x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
    share = np.clip(0.5 + 0.4 * (x * np.cos(turn) + y * np.sin(turn)), 0, 1)[..., None]
    return np.asarray(first + share * (second - first), dtype=np.float32)


def wood(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Boards, upright or across."""
    across = rng.random() < 0.5
    width, height = size if across else size[::-1]
    boards = int(rng.integers(4, 9))
    row = np.arange(height) * boards // height
    grain = _smooth(rng, (width, height), (4, height // 3)) * 0.035 + _smooth(rng, (width, height), (3, 30)) * 0.03
    tone = grain + rng.normal(0, 0.06, boards + 1)[row][:, None]
    gaps = np.minimum((np.arange(height) * boards) % height, 3 * boards) < 1.6 * boards
    tone[gaps] -= 0.3
    board = _shaded(_filled((width, height), _colour(rng, WOODS)), tone.astype(np.float32))
    return board if across else board.transpose(1, 0, 2).copy()


def fabric(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """A sheet with soft wrinkles."""
    wrinkles = _smooth(rng, size, (int(rng.integers(4, 9)), int(rng.integers(4, 9))))
    x, y = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)[:, None]
    weave = 0.012 * (np.sin(x * 2.2) + np.sin(y * 2.2))
    creases = 0.05 * np.tanh(3 * np.diff(wrinkles, axis=1, prepend=wrinkles[:, :1]) * 20)
    tone = 0.03 * wrinkles + creases + weave
    return _shaded(_filled(size, _colour(rng, PALE if rng.random() < 0.75 else STRONG)), tone.astype(np.float32))


def tiles(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Square tiles with grout."""
    side, shift = int(rng.integers(48, 110)), rng.integers(0, 48, 2)
    x, y = (np.arange(size[0]) + shift[0]), (np.arange(size[1]) + shift[1])
    tone = rng.normal(0, 0.025, (size[1] // side + 3, size[0] // side + 3))[y // side][:, x // side]
    tone[y % side < 2] -= 0.12
    tone[:, x % side < 2] -= 0.12
    marble = 0.02 * _smooth(rng, size, (12, 14))
    return _shaded(_filled(size, _colour(rng, PALE)), (tone + marble).astype(np.float32))


def speckled(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Terrazzo or a short carpet."""
    noise = Image.fromarray(rng.integers(0, 256, (size[1], size[0]), dtype=np.uint8))
    rough = np.asarray(noise.filter(ImageFilter.GaussianBlur(rng.uniform(0.8, 2.2))), dtype=np.float32) - 128
    strength = rng.uniform(0.03, 0.12) / max(float(rough.std()), 1e-6)
    return _shaded(_filled(size, _colour(rng, PALE + STRONG)), rough * np.float32(strength))


def room(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """A wall above a floor."""
    wall, floor = plain(rng, size), (wood, tiles, plain)[rng.integers(3)](rng, size)
    edge = int(size[1] * rng.uniform(0.72, 0.9))
    wall[edge:] = floor[edge:] * np.linspace(0.86, 1.0, size[1] - edge)[:, None, None]
    wall[edge - max(size[1] // 60, 2) : edge] *= np.float32(0.9)
    return wall


def studio(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """A paper sweep, lit in the middle."""
    ground = _filled(size, _colour(rng, PALE + STRONG[:3]))
    x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
    tone = 0.1 - 0.18 * (x * x + 0.7 * (y + 0.1) ** 2) - 0.06 * np.exp(-(((y - 0.8) / 0.12) ** 2))
    return _shaded(ground, tone.astype(np.float32))


def street(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Houses, shop windows and trees, out of focus."""
    image = Image.new("RGB", size, _byte(_colour(rng, PALE)))
    draw = ImageDraw.Draw(image)
    low = int(size[1] * rng.uniform(0.7, 0.88))
    for _ in range(26):
        x, y = int(rng.uniform(-60, size[0])), int(rng.uniform(-80, low))
        wide, tall = int(rng.uniform(20, 120)), int(rng.uniform(40, 220))
        draw.rectangle((x, y, x + wide, min(y + tall, low)), fill=_byte(_colour(rng, PALE + STRONG + WOODS)))
    draw.rectangle((0, low, size[0], size[1]), fill=_byte(_colour(rng, STRONG)))
    blurred = image.filter(ImageFilter.GaussianBlur(size[1] / rng.uniform(30, 70)))
    return levels(blurred)


def garden(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Leaves behind grass or gravel, out of focus."""
    image = Image.new("RGB", size, (96, 116, 78))
    draw = ImageDraw.Draw(image)
    for x, y, r in rng.uniform((0, -20, 6), (size[0], size[1] * 0.82, 34), (160, 3)):
        tone = rng.uniform(0.55, 1.5)
        leaf = _byte(np.clip(np.array((0.34, 0.45, 0.26), dtype=np.float32) * np.float32(tone), 0, 1))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=leaf)
    draw.rectangle((0, int(size[1] * 0.84), *size), fill=((120, 138, 84), (176, 166, 150))[rng.integers(2)])
    return levels(image.filter(ImageFilter.GaussianBlur(size[1] / 64)))


def bricks(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """A brick wall above a pavement."""
    tall, wide = size[1] // 30, size[0] // 9
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    row = y // tall
    moved = x + (row % 2) * (wide // 2)
    tone = rng.normal(0, 0.07, (size[1] // tall + 2, size[0] // wide + 3))[row, moved // wide]
    tone = np.where((y % tall < 2) | (moved % wide < 2), 0.16, tone)
    clay: tuple[Colour, ...] = ((168, 104, 82), (196, 186, 176), (140, 92, 76), (224, 220, 214))
    wall = _shaded(_filled(size, _colour(rng, clay)), tone.astype(np.float32))
    edge = int(size[1] * 0.88)
    wall[edge:] = speckled(rng, size)[edge:]
    return wall


def _byte(colour: Map) -> Colour:
    red, green, blue = (int(channel * 255) for channel in colour)
    return red, green, blue


Ground = Callable[[np.random.Generator, tuple[int, int]], Map]
FLOORS: tuple[Ground, ...] = (plain, plain, gradient, wood, fabric, tiles, speckled, studio)
WALLS: tuple[Ground, ...] = (plain, gradient, studio, room)
PLACES: tuple[Ground, ...] = (room, room, studio, street, street, garden, bricks, gradient)
