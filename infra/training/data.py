"""Training data: reading photos, mapping labels to classes, GrabCut masks of flat-lay photos, validation split."""

import argparse
import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from infra.training.labels import (
    CLASSES,
    FLAT_KINDS,
    FLAT_VALIDATION_SHARE,
    SEED,
    STREET_VALIDATION_COUNT,
    class_of_label_table,
    validation_positions,
)
from lookalike.domain.model import GARMENT_KINDS

Bytes = NDArray[np.uint8]
IGNORE = 255
"""Class of pixels whose class is unknown. Losses skip them."""
STREET_SIDE, FLAT_SIDE, GRABCUT_SIDE = 448, 320, 160
"""Longest sides in pixels of stored street and flat-lay photos, and of the image that GrabCut segments."""


@dataclass(slots=True)
class Sample:
    """A photo with its labels.

    `image` (H, W, 3) is RGB, `mask` (H, W) class numbers or `IGNORE`, `labels` (H, W) the street data set's own labels.
    `present` (10,) is 1 or 0 for each garment kind, or -1 if unknown. `folder` is the flat-lay category, or empty.
    """

    name: str
    image: Bytes
    mask: Bytes
    present: NDArray[np.float32]
    is_worn: bool
    folder: str = ""
    labels: Bytes | None = None

    @property
    def has_mask(self) -> bool:
        """Whether the class of any pixel is known."""
        return bool((self.mask != IGNORE).any())


def read_rgb(path: Path, side: int) -> Bytes:
    """Read an RGB image (H, W, 3), with its longer side reduced to `side`."""
    pixels = cv2.imread(str(path))
    assert pixels is not None, path
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    scale = min(1.0, side / max(image.shape[:2]))
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def read_palette(path: Path, shape: tuple[int, ...]) -> Bytes:
    """Return the palette indices of a mask file, resized to (H, W)."""
    from PIL import Image  # OpenCV converts palettes to colors

    indices = np.asarray(Image.open(path), np.uint8)
    return np.asarray(cv2.resize(indices, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8)


def presence(classes: Iterable[int]) -> NDArray[np.float32]:
    """Return 1 for each garment kind among the class numbers, else 0: (10,)."""
    present = set(classes)
    return np.array([float(kind in present) for kind in range(1, len(GARMENT_KINDS) + 1)], np.float32)


def read_street(root: Path) -> list[Sample]:
    """Read all street photos, sorted by name."""
    table = json.loads((root / "street/labels.json").read_text())
    labels, tags = table["labels"], table["tags"]
    classes = class_of_label_table(labels)
    return [read_street_photo(root, name, tags[name], labels, classes) for name in sorted(tags)]


def read_street_photo(root: Path, name: str, tags: list[str], labels: list[str], classes: Bytes) -> Sample:
    """Read a street photo. Without a mask file, its mask is `IGNORE` everywhere."""
    image = read_rgb(next((root / "street/photos").glob(f"{name}.*")), STREET_SIDE)
    path = root / "street/masks" / f"{name}.png"
    present = presence(int(classes[labels.index(tag)]) for tag in tags if tag in labels)
    if not path.exists():
        return Sample(name, image, np.full(image.shape[:2], IGNORE, np.uint8), present, True)
    indices = read_palette(path, image.shape)
    return Sample(name, image, classes[indices], present, True, labels=indices)


def read_flatlay(root: Path) -> list[Sample]:
    """Read all flat-lay photos, sorted by name, and segment them with GrabCut."""
    paths = sorted(root.glob("flatlay/*/*/*"), key=lambda path: path.name)
    # spawn: a fork would inherit locks of OpenCV's threads in a locked state
    with get_context("spawn").Pool() as pool:
        return list(pool.imap(read_flatlay_photo, paths, chunksize=16))


def read_flatlay_photo(path: Path) -> Sample:
    """Read and segment a flat-lay photo. Runs in a worker process."""
    cv2.setNumThreads(1)  # one process per core
    image, folder = read_rgb(path, FLAT_SIDE), path.parent.name
    kind = CLASSES.index(FLAT_KINDS[folder])
    mask = segment_with_grabcut(image)
    labeled = np.where(mask == 1, kind, mask).astype(np.uint8)
    return Sample(path.stem, image, labeled, presence([kind]), False, folder)


def segment_with_grabcut(image: Bytes) -> Bytes:
    """GrabCut from a centered prior: 1 garment, 0 ground, all 255 where the outcome is implausible; (H, W)."""
    height, width = image.shape[:2]
    scale = GRABCUT_SIDE / max(height, width)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    state = centered_prior(small.shape[0], small.shape[1])
    cv2.setRNGSeed(SEED)
    try:
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(small, state, (0, 0, 1, 1), *models, 4, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return np.full((height, width), IGNORE, np.uint8)
    garment = np.asarray((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD), np.uint8)
    garment = np.asarray(cv2.morphologyEx(garment, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    if not 0.06 < garment.mean() < 0.9:
        return np.full((height, width), IGNORE, np.uint8)
    return np.asarray(cv2.resize(garment, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def centered_prior(height: int, width: int) -> Bytes:
    """Return GrabCut's initial mask: probable garment in a centered ellipse, certain background at the border."""
    state = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    center, axes = (width // 2, height // 2), (round(width * 0.38), round(height * 0.38))
    cv2.ellipse(state, center, axes, 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    border = max(2, round(min(height, width) * 0.02))
    state[:border], state[-border:], state[:, :border], state[:, -border:] = (cv2.GC_BGD,) * 4
    return state


Split = tuple[list[Sample], list[Sample]]


@dataclass(slots=True)
class Photographs:
    """All photos. The validation parts are never trained on."""

    street: list[Sample]
    street_validation: list[Sample]
    flat: list[Sample]
    flat_validation: list[Sample]


def split_validation(samples: list[Sample], count: int, eligible: Callable[[Sample], bool]) -> Split:
    """Split into training samples and `count` validation samples, drawn from the eligible ones with a fixed seed."""
    picks = validation_positions([number for number, sample in enumerate(samples) if eligible(sample)], count)
    training = [sample for number, sample in enumerate(samples) if number not in picks]
    return training, [samples[number] for number in picks]


def load_photographs(data: Path, work: Path) -> Photographs:
    """Return the photos of the data folder, decoded and segmented. Cached in the working folder."""
    cache = work / "photographs.pickle"
    if cache.exists():
        with cache.open("rb") as file:
            return Photographs(*pickle.load(file))
    street, street_validation = split_validation(
        read_street(data), STREET_VALIDATION_COUNT, lambda sample: sample.has_mask
    )
    samples = read_flatlay(data)
    flat, flat_validation = split_validation(samples, round(len(samples) * FLAT_VALIDATION_SHARE), lambda sample: True)
    parts = (street, street_validation, flat, flat_validation)
    work.mkdir(parents=True, exist_ok=True)
    cache.write_bytes(pickle.dumps(parts))
    return Photographs(*parts)


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every command has: the two folders."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with street/ and flatlay/")
    parser.add_argument("--work", type=Path, required=True, help="folder for caches and checkpoints")
    return parser


def make_training_parser(description: str, steps: int) -> argparse.ArgumentParser:
    """Return a parser with the options of both trainings. `steps` is the default number of steps."""
    parser = make_parser(description)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--to", required=True, metavar="NAME", help="file of the checkpoint in the work folder")
    parser.add_argument(
        "--tune", type=Path, metavar="CHECKPOINT", help="start from these weights, with a new learning rate cycle"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another seed draws other batches")
    return parser
