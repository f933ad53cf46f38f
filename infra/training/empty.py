"""Views without a garment, so that the detector learns that there may be none."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from infra.training.augment import Random, Size, recompress, relight
from infra.training.data import Bytes, Sample
from lookalike.domain.model import KINDS

TRIES, SMALLEST = 20, 70
"""Windows looked at in a street photo until one shows no garment, and the shortest side of one, in pixels."""


def empty_view(random: Random, street: Sequence[Sample], size: Size) -> tuple[Bytes, Bytes, NDArray[np.float32]]:
    """Image, mask and photo targets (no kind; worn or not: unknown) of a made-up picture or a street photo's background."""
    targets = np.append(np.zeros(len(KINDS), np.float32), np.float32(-1))
    if random.random() < 0.5 and (found := background(random, street[int(random.integers(len(street)))])):
        image, mask = (cv2.resize(part, size[::-1], interpolation=cv2.INTER_NEAREST) for part in found)
        return relight(random, np.asarray(image, np.uint8)), np.asarray(mask, np.uint8), targets
    image = PICTURES[random.integers(len(PICTURES))](random, size)
    mask = np.zeros(size, np.uint8)
    return (recompress(random, image) if random.random() < 0.3 else image), mask, targets


def background(random: Random, sample: Sample) -> tuple[Bytes, Bytes] | None:
    """A window of the photo (image, mask) without a garment's pixel; skin and hair may be in it."""
    height, width = sample.mask.shape
    for _ in range(TRIES):
        tall, wide = (int(random.integers(SMALLEST, max(SMALLEST + 1, side // 2))) for side in (height, width))
        top, left = random.integers(max(1, height - tall)), random.integers(max(1, width - wide))
        mask = sample.mask[top : top + tall, left : left + wide]
        if not ((mask >= 1) & (mask <= len(KINDS))).any():
            return sample.image[top : top + tall, left : left + wide], mask
    return None


def plain(random: Random, size: Size) -> Bytes:
    image = np.empty((*size, 3), np.uint8)
    image[:] = colour(random)
    return image


def gradient(random: Random, size: Size) -> Bytes:
    """From one colour to another in any direction, as a studio's wall is lit."""
    rows, columns = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    angle, power = random.uniform(0, 2 * np.pi), random.uniform(0.5, 2)
    share = np.clip((rows * np.sin(angle) + columns * np.cos(angle) + 1.4) / 2.8, 0, 1) ** power
    return mixed(random, share)


def noise(random: Random, size: Size) -> Bytes:
    """Grain of any coarseness around a colour, or colours at random."""
    grain = random.normal(0, random.uniform(4, 90), (*coarse(random, size), 3))
    image = np.clip(colour(random) + grain, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(image, size[::-1], interpolation=int(random.integers(0, 3))), np.uint8)


def clouds(random: Random, size: Size) -> Bytes:
    """Soft stains between two colours: plaster, fur, sky, a blurred street."""
    grain = random.random(coarse(random, size, most=24))
    return mixed(random, cv2.resize(grain, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1))


def stripes(random: Random, size: Size) -> Bytes:
    """Boards, bars or tiles: waves of two colours in one direction or two."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(2 * np.pi * axis / random.uniform(6, 90) + random.uniform(0, 6)) for axis in (rows, columns)]
    share = waves[0] * waves[1] if random.random() < 0.5 else waves[random.integers(2)]
    return mixed(random, np.clip(0.5 + share * random.uniform(0.5, 6), 0, 1))


def mixed(random: Random, share: NDArray[np.floating]) -> Bytes:
    """Two colours, the share (H, W) of the second, a little grain."""
    image = colour(random) * (1 - share[..., None]) + colour(random) * share[..., None]
    return np.clip(image + random.normal(0, random.uniform(0, 8), image.shape), 0, 255).astype(np.uint8)


def colour(random: Random) -> NDArray[np.float64]:
    """RGB (3,); greys, black and white more often than chance would."""
    tint = random.uniform(0, 255, 3)
    return np.asarray(tint * random.choice([0.0, 0.3, 1.0]) + random.choice([0, 128, 255, tint.mean()])).clip(0, 255)


def coarse(random: Random, size: Size, most: int = 200) -> Size:
    cells = int(random.integers(3, most))
    return max(2, cells), max(2, cells * size[1] // size[0])


PICTURES: tuple[Callable[[Random, Size], Bytes], ...] = (plain, gradient, noise, clouds, stripes)
