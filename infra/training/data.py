"""The photographs: reading, class mapping, guessed masks of flat-lay photos, the held-back part."""

import argparse
import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import KINDS

Bytes = NDArray[np.uint8]
IGNORE = 255
SEED = 7
STREET_SIDE, FLAT_SIDE, GRABCUT_SIDE = 448, 320, 160
HELD_BACK_STREET, HELD_BACK_FLAT = 100, 0.1

STREET_LABELS = {
    "top": "blouse bodysuit shirt sweater sweatshirt hoodie jumper t-shirt top vest",
    "outerwear": "blazer cape cardigan coat jacket suit",
    "dress": "dress romper swimwear",
    "trousers": "jeans leggings pants",
    "shorts": "shorts",
    "skirt": "skirt",
    "shoes": "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
    "bag": "bag purse wallet",
    "hat": "hat",
    "scarf": "scarf",
    "hair": "hair",
    "skin": "skin",
    "legwear": "socks stockings tights",
    "other": "accessories belt bra bracelet earrings glasses gloves intimate necklace panties ring"
    " sunglasses tie watch",
}
CLASSES = ("background", *STREET_LABELS)
"""What the network tells apart: background, the ten kinds (1 to 10), and four helpers dropped in the end."""

FLAT_KINDS = {
    "longsleeve": "top", "shirt": "top", "t-shirt": "top", "outwear": "outerwear", "dress": "dress",
    "pants": "trousers", "shorts": "shorts", "skirt": "skirt", "shoes": "shoes", "hat": "hat",
}  # fmt: skip
FOLDERS = tuple(sorted(FLAT_KINDS))


@dataclass(slots=True)
class Sample:
    """A photo (H, W, 3, RGB) with class indices (H, W; 255 unknown) and street labels (H, W) or none.

    `present` is 1, 0 or -1 (unknown) for each of the ten kinds; `folder` is the flat-lay category or "".
    """

    name: str
    image: Bytes
    mask: Bytes
    present: NDArray[np.float32]
    worn: bool
    folder: str = ""
    labels: Bytes | None = None

    @property
    def has_mask(self) -> bool:
        return bool((self.mask != IGNORE).any())


def class_table(labels: Sequence[str]) -> Bytes:
    """Class index of every street label index, shape (256,)."""
    table = np.zeros(256, np.uint8)
    for index, label in enumerate(labels):
        for number, names in enumerate(STREET_LABELS.values(), 1):
            table[index] = number if label in names.split() else table[index]
    return table


def read_rgb(path: Path, side: int) -> Bytes:
    """Shape (H, W, 3), longest side at most `side`."""
    pixels = cv2.imread(str(path))
    assert pixels is not None, path
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    scale = min(1.0, side / max(image.shape[:2]))
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def read_palette(path: Path, shape: tuple[int, ...]) -> Bytes:
    """The palette indices of a mask, resized to (H, W)."""
    from PIL import Image

    indices = np.asarray(Image.open(path), np.uint8)
    return np.asarray(cv2.resize(indices, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8)


def presence(classes: Iterable[int]) -> NDArray[np.float32]:
    """A 1 for each of the ten kinds among the class indices, shape (10,)."""
    found = set(classes)
    return np.array([float(kind in found) for kind in range(1, len(KINDS) + 1)], np.float32)


def read_street(root: Path) -> list[Sample]:
    """Every street photo, in the order of the names."""
    table = json.loads((root / "street/labels.json").read_text())
    labels, tags = table["labels"], table["tags"]
    classes = class_table(labels)
    return [street_sample(root, name, tags[name], labels, classes) for name in sorted(tags)]


def street_sample(root: Path, name: str, tags: list[str], labels: list[str], classes: Bytes) -> Sample:
    """One street photo; without a mask file all its pixels are unknown."""
    image = read_rgb(next((root / "street/photos").glob(f"{name}.*")), STREET_SIDE)
    path = root / "street/masks" / f"{name}.png"
    present = presence(int(classes[labels.index(tag)]) for tag in tags if tag in labels)
    if not path.exists():
        return Sample(name, image, np.full(image.shape[:2], IGNORE, np.uint8), present, True)
    indices = read_palette(path, image.shape)
    return Sample(name, image, classes[indices], present, True, labels=indices)


def read_flatlay(root: Path) -> list[Sample]:
    """Every flat-lay photo with its mask as GrabCut guesses it, in the order of the names."""
    paths = sorted(root.glob("flatlay/*/*/*"), key=lambda path: path.name)
    with get_context("spawn").Pool() as pool:  # a fork would inherit the locks of OpenCV's threads
        return list(pool.imap(flat_sample, paths, chunksize=16))


def flat_sample(path: Path) -> Sample:
    """One flat-lay photo."""
    cv2.setNumThreads(1)
    image, folder = read_rgb(path, FLAT_SIDE), path.parent.name
    kind = CLASSES.index(FLAT_KINDS[folder])
    mask = guess_mask(image)
    labelled = np.where(mask == 1, kind, mask).astype(np.uint8)
    return Sample(path.stem, image, labelled, presence([kind]), False, folder)


def guess_mask(image: Bytes) -> Bytes:
    """GrabCut from a centred prior: 1 garment, 0 ground, all 255 where the outcome is implausible; (H, W)."""
    height, width = image.shape[:2]
    scale = GRABCUT_SIDE / max(height, width)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    state = centred_prior(small.shape[0], small.shape[1])
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


def centred_prior(height: int, width: int) -> Bytes:
    """GrabCut's start: ground at the rim, perhaps ground, and perhaps garment in an ellipse in the middle."""
    state = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    centre, axes = (width // 2, height // 2), (round(width * 0.38), round(height * 0.38))
    cv2.ellipse(state, centre, axes, 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    rim = max(2, round(min(height, width) * 0.02))
    state[:rim], state[-rim:], state[:, :rim], state[:, -rim:] = (cv2.GC_BGD,) * 4
    return state


Split = tuple[list[Sample], list[Sample]]


@dataclass(slots=True)
class Photographs:
    """All photographs, split: the validation parts are never trained on."""

    street: list[Sample]
    street_validation: list[Sample]
    flat: list[Sample]
    flat_validation: list[Sample]


def split(samples: list[Sample], count: int, eligible: Callable[[Sample], bool]) -> Split:
    """The training part and `count` seeded picks of the eligible samples."""
    numbers = [number for number, sample in enumerate(samples) if eligible(sample)]
    picks = set(np.random.default_rng(SEED).permutation(numbers)[:count].tolist())
    kept = [sample for number, sample in enumerate(samples) if number not in picks]
    return kept, [samples[number] for number in sorted(picks)]


def load(data: Path, work: Path) -> Photographs:
    """The photographs of the data folder; decoded and guessed once, then kept in the working folder."""
    cache = work / "photographs.pickle"
    if cache.exists():
        with cache.open("rb") as file:
            return Photographs(*pickle.load(file))
    street, street_validation = split(read_street(data), HELD_BACK_STREET, lambda sample: sample.has_mask)
    samples = read_flatlay(data)
    flat, flat_validation = split(samples, round(len(samples) * HELD_BACK_FLAT), lambda sample: True)
    parts = (street, street_validation, flat, flat_validation)
    work.mkdir(parents=True, exist_ok=True)
    cache.write_bytes(pickle.dumps(parts))
    return Photographs(*parts)


def arguments(description: str) -> argparse.ArgumentParser:
    """The two folders that every command needs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="the folder with street/ and flatlay/")
    parser.add_argument("--work", type=Path, required=True, help="where caches, checkpoints and logs go")
    return parser
