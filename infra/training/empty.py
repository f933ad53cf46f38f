"""Training views without a garment: generated images, and background of street photos."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from infra.training.augment import Random, Size, recompress, vary_lighting
from infra.training.data import Bytes, Sample
from lookalike.domain.model import GARMENT_KINDS

BACKGROUND_SHARE = 0.75
"""Share of the views that show the background of a street photo."""
MAX_TRIES, MIN_WINDOW = 20, 70
"""Windows of a street photo that are tried, and the shortest side of a window in pixels."""


def random_empty_view(random: Random, street: Sequence[Sample], size: Size) -> tuple[Bytes, Bytes, NDArray[np.float32]]:
    """Return image, mask and photo targets (11,) of a generated image or of a street photo's background.

    The targets say that no kind is present, and that wearing is unknown.
    """
    targets = np.append(np.zeros(len(GARMENT_KINDS), np.float32), np.float32(-1))
    photo = street[int(random.integers(len(street)))]
    if random.random() < BACKGROUND_SHARE and (window := find_background(random, photo)):
        image, mask = (cv2.resize(part, size[::-1], interpolation=cv2.INTER_NEAREST) for part in window)
        return vary_lighting(random, np.asarray(image, np.uint8)), np.asarray(mask, np.uint8), targets
    image = GENERATORS[random.integers(len(GENERATORS))](random, size)
    mask = np.zeros(size, np.uint8)
    return (recompress(random, image) if random.random() < 0.3 else image), mask, targets


def find_background(random: Random, sample: Sample) -> tuple[Bytes, Bytes] | None:
    """Return image and mask of a window without garment pixels, or `None`. It may show skin and hair."""
    height, width = sample.mask.shape
    for _ in range(MAX_TRIES):
        window_height, window_width = (
            int(random.integers(MIN_WINDOW, max(MIN_WINDOW + 1, side // 2))) for side in (height, width)
        )
        top, left = random.integers(max(1, height - window_height)), random.integers(max(1, width - window_width))
        mask = sample.mask[top : top + window_height, left : left + window_width]
        if not ((mask >= 1) & (mask <= len(GARMENT_KINDS))).any():
            return sample.image[top : top + window_height, left : left + window_width], mask
    return None


def draw_plain(random: Random, size: Size) -> Bytes:
    """Draw one color."""
    image = np.empty((*size, 3), np.uint8)
    image[:] = random_color(random)
    return image


def draw_gradient(random: Random, size: Size) -> Bytes:
    """Draw a gradient of two colors in any direction, like a studio's wall."""
    rows, columns = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    angle, power = random.uniform(0, 2 * np.pi), random.uniform(0.5, 2)
    share = np.clip((rows * np.sin(angle) + columns * np.cos(angle) + 1.4) / 2.8, 0, 1) ** power
    return mix_random_colors(random, share)


def draw_noise(random: Random, size: Size) -> Bytes:
    """Draw noise of any coarseness and strength around a color."""
    grain = random.normal(0, random.uniform(4, 90), (*random_grid_size(random, size), 3))
    image = np.clip(random_color(random) + grain, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(image, size[::-1], interpolation=int(random.integers(0, 3))), np.uint8)


def draw_clouds(random: Random, size: Size) -> Bytes:
    """Draw smooth spots of two colors, like plaster, fur, sky or a blurred street."""
    grain = random.random(random_grid_size(random, size, max_rows=24))
    return mix_random_colors(random, cv2.resize(grain, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1))


def draw_stripes(random: Random, size: Size) -> Bytes:
    """Draw sine waves of two colors in one or two directions, like boards, bars or tiles."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(2 * np.pi * axis / random.uniform(6, 90) + random.uniform(0, 6)) for axis in (rows, columns)]
    share = waves[0] * waves[1] if random.random() < 0.5 else waves[random.integers(2)]
    return mix_random_colors(random, np.clip(0.5 + share * random.uniform(0.5, 6), 0, 1))


def mix_random_colors(random: Random, share: NDArray[np.floating]) -> Bytes:
    """Mix two random colors by the share (H, W) of the second, and add a little noise."""
    image = random_color(random) * (1 - share[..., None]) + random_color(random) * share[..., None]
    return np.clip(image + random.normal(0, random.uniform(0, 8), image.shape), 0, 255).astype(np.uint8)


def random_color(random: Random) -> NDArray[np.float64]:
    """Return a random RGB color (3,). Grays, black and white are frequent."""
    tint = random.uniform(0, 255, 3)
    return np.asarray(tint * random.choice([0.0, 0.3, 1.0]) + random.choice([0, 128, 255, tint.mean()])).clip(0, 255)


def random_grid_size(random: Random, size: Size, max_rows: int = 200) -> Size:
    """Return the height and width of a random grid with about the aspect ratio of `size`."""
    cells = int(random.integers(3, max_rows))
    return max(2, cells), max(2, cells * size[1] // size[0])


GENERATORS: tuple[Callable[[Random, Size], Bytes], ...] = (
    draw_plain,
    draw_gradient,
    draw_noise,
    draw_clouds,
    draw_stripes,
)
