"""Random augmentation of photos. All randomness comes from the given generator, so that a step can be repeated."""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from infra.training.data import IGNORE, Bytes

Matrix = NDArray[np.float64]
Random = np.random.Generator
Shape = tuple[int, ...]
Size = tuple[int, int]
"""Height and width."""
DEGRADED_SHARE = 0.4
"""Share of the views that are blurred, noisy, dark, tinted, coarse or strongly compressed."""


def random_affine(
    random: Random, shape: Shape, size: Size, scale: tuple[float, float], angle_deviation: float
) -> Matrix:
    """Return an affine map (2, 3) of a photo onto a canvas of `size`: scaled, rotated, moved and perhaps mirrored.

    `scale` is the range of factors relative to a fit. `angle_deviation` is the standard deviation of the rotation in
    degrees.
    """
    height, width = shape[:2]
    fit = min(size[0] / height, size[1] / width)
    factor = fit * math.exp(random.uniform(math.log(scale[0]), math.log(scale[1])))
    stretch = math.exp(random.uniform(-0.1, 0.1))
    angle = math.radians(random.normal(0, angle_deviation))
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = -1.0 if random.random() < 0.5 else 1.0
    linear = rotation @ np.diag([factor * stretch * mirror, factor / stretch])
    slack = np.array([abs(factor * width - size[1]), abs(factor * height - size[0])]) / 2
    center = np.array([size[1], size[0]]) / 2 + random.uniform(-1, 1, 2) * slack
    return np.column_stack([linear, center - linear @ np.array([width, height]) / 2])


def warp(image: Bytes, mask: Bytes, matrix: Matrix, size: Size) -> tuple[Bytes, Bytes]:
    """Map an image (H, W, 3) and label maps (H, W[, 2]) onto the canvas.

    Beyond the photo, the image is mirrored, the first label map is `IGNORE` and the second 0.
    """
    target = (size[1], size[0])
    warped = cv2.warpAffine(image, matrix, target, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    classes = cv2.warpAffine(mask, matrix, target, flags=cv2.INTER_NEAREST, borderValue=(IGNORE, 0))
    return np.asarray(warped, np.uint8), np.asarray(classes, np.uint8)


def random_quarter_turn(random: Random, image: Bytes, mask: Bytes) -> tuple[Bytes, Bytes]:
    """Rotate one photo in six by 90, 180 or 270 degrees: flat-lay photos have no fixed orientation."""
    turns = int(random.integers(1, 4)) if random.random() < 1 / 6 else 0
    return np.ascontiguousarray(np.rot90(image, turns)), np.ascontiguousarray(np.rot90(mask, turns))


def random_color_matrix(random: Random, strength: float) -> Matrix:
    """Return an affine map (3, 4) of RGB that changes saturation, hue, contrast, white balance and brightness."""
    # luma weights of ITU-R BT.601
    gray = np.array([0.299, 0.587, 0.114])
    saturation = math.exp(random.normal(0, 0.35 * strength))
    linear = saturation * np.eye(3) + (1 - saturation) * np.tile(gray, (3, 1))
    linear = hue_rotation(random.normal(0, 0.15 * strength)) @ linear
    gain = math.exp(random.normal(0, 0.22 * strength)) * np.exp(random.normal(0, 0.07 * strength, 3))
    shift = random.normal(0, 16 * strength) + 128 * (1 - gain.mean()) * random.random()
    return np.column_stack([gain[:, None] * linear, np.full(3, shift)])


def hue_rotation(angle: float) -> Matrix:
    """Return the rotation (3, 3) of RGB around the gray axis by an angle in radians (Rodrigues' formula)."""
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)


def vary_lighting(random: Random, image: Bytes, strength: float = 1.0) -> Bytes:
    """Simulate other light and another camera: change the colors, and sometimes degrade the image."""
    image = np.asarray(cv2.transform(image, random_color_matrix(random, strength)), np.uint8)
    if random.random() < DEGRADED_SHARE:
        image = DEGRADATIONS[random.integers(len(DEGRADATIONS))](random, image)
    return recompress(random, image) if random.random() < 0.15 else image


def blur(random: Random, image: Bytes) -> Bytes:
    """Blur like a photo out of focus, or in one direction like a moved camera."""
    if random.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 3.5)), np.uint8)
    size = int(random.integers(3, 14))
    line = np.zeros((size, size), np.float32)
    cv2.line(line, (0, int(random.integers(size))), (size - 1, int(random.integers(size))), 1.0)
    line = line if random.random() < 0.5 else line.T
    return np.asarray(cv2.filter2D(image, -1, line / line.sum()), np.uint8)


def add_noise(random: Random, image: Bytes) -> Bytes:
    """Add the noise of a sensor, with or without color."""
    shape = image.shape if random.random() < 0.6 else (*image.shape[:2], 1)
    grain = random.standard_normal(shape, np.float32) * np.float32(random.uniform(4, 40))
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def darken(random: Random, image: Bytes) -> Bytes:
    """Darken like a photo with too little light."""
    return np.asarray(cv2.convertScaleAbs(image, alpha=random.uniform(0.15, 0.7)), np.uint8)


def tint(random: Random, image: Bytes) -> Bytes:
    """Tint like a colored light or a wrong white balance."""
    return np.clip(image * random.uniform(0.5, 1.4, 3), 0, 255).astype(np.uint8)


def lose_detail(random: Random, image: Bytes) -> Bytes:
    """Shrink and enlarge the image again."""
    factor, size = random.uniform(0.25, 0.7), image.shape[1::-1]
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def recompress_strongly(random: Random, image: Bytes) -> Bytes:
    """Compress and decompress as JPEG with a random quality from 8 to 39."""
    return recompress(random, image, (8, 40))


def recompress(random: Random, image: Bytes, qualities: tuple[int, int] = (30, 85)) -> Bytes:
    """Compress and decompress as JPEG with a random quality, from the first to below the second."""
    packed = cv2.imencode(".jpg", image, [int(cv2.IMWRITE_JPEG_QUALITY), int(random.integers(*qualities))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


DEGRADATIONS: tuple[Callable[[Random, Bytes], Bytes], ...] = (
    blur,
    add_noise,
    darken,
    tint,
    lose_detail,
    recompress_strongly,
)
