"""Self-training: predicts masks for photos without one, limited to the classes that are known for the photo."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from infra.training.boxes import DISTANCE_UNIT, to_distances
from infra.training.data import IGNORE, Bytes, Photographs, Sample
from infra.training.labels import CLASSES, FLAT_KINDS
from infra.training.loop import DEVICE, autocast
from lookalike.adapters.compact_detector import garment_edges
from lookalike.domain.model import GARMENT_KINDS

Floats = NDArray[np.float32]
AREA, SIDE_MULTIPLE = 384 * 288, 32
"""Pixels of the network's input, and the divisor of its sides."""
BATCH = 16
MIN_CONFIDENCE, MIN_GARMENT, MAX_BACKGROUND = 0.6, 0.6, 0.3
"""Minimum probability of a worn class; of any garment in a flat-lay photo; and the maximum in its background."""
MIN_FLAT_SHARE = 0.04
"""Smallest predicted garment of a flat-lay photo, as a share of the photo. Below it, the previous mask is kept."""


def resize_to_area(image: Bytes, area: int = AREA) -> Bytes:
    """Resize a photo to about `area` pixels, with sides that are multiples of 32."""
    height, width = image.shape[:2]
    scale = (area / (height * width)) ** 0.5
    sides = (max(2, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in (width, height))
    return np.asarray(cv2.resize(image, tuple(sides), interpolation=cv2.INTER_AREA), np.uint8)


def predict(network: nn.Module, photos: list[Bytes]) -> Iterator[tuple[Floats, Floats]]:
    """Yield class probabilities (classes, H / 4, W / 4) and edge distances (4, H / 8, W / 8), in pixels, of each photo.

    Both are means of what is predicted for the photo and for its mirror image. All photos must have one size.
    """
    pixels = torch.from_numpy(np.stack(photos)).to(DEVICE)
    probabilities, distances = run_detector(network, pixels)
    mirrored_probabilities, mirrored_distances = (part.flip(3) for part in run_detector(network, pixels.flip(2)))
    # left and right change places
    mirrored_distances = mirrored_distances[:, [2, 1, 0, 3]]
    means = (probabilities + mirrored_probabilities) / 2, (distances + mirrored_distances) / 2
    return zip(*(np.asarray(part.cpu()) for part in means), strict=True)


@torch.no_grad()
def run_detector(network: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return class probabilities (n, classes, H / 4, W / 4) and edge distances (n, 4, H / 8, W / 8) in pixels."""
    with autocast():
        logits, _, edges = network(pixels)
    return logits.float().softmax(1), to_distances(edges.float()) * DISTANCE_UNIT


def batches_by_size(samples: list[Sample]) -> Iterator[tuple[list[Sample], list[Bytes]]]:
    """Yield batches of samples whose resized photos have one size, with these photos."""
    resized = sorted(((resize_to_area(sample.image), sample) for sample in samples), key=lambda pair: pair[0].shape)
    for _, pairs in groupby(resized, key=lambda pair: pair[0].shape):
        while batch := list(islice(pairs, BATCH)):
            yield [sample for _, sample in batch], [photo for photo, _ in batch]


def relabel(photographs: Photographs, network: nn.Module, cache: Path) -> Photographs:
    """Return the photos with predicted masks for all that have no annotated mask, from the cache file if it exists."""
    if not cache.exists():
        unlabeled = [sample for sample in photographs.street if sample.labels is None] + photographs.flat
        cache.write_bytes(pickle.dumps(predict_masks(unlabeled, network.eval())))
    masks = pickle.loads(cache.read_bytes())
    street = [replace(sample, mask=masks.get(sample.name, sample.mask)) for sample in photographs.street]
    flat = [replace(sample, mask=masks[sample.name]) for sample in photographs.flat]
    return replace(photographs, street=street, flat=flat)


def predict_masks(samples: list[Sample], network: nn.Module) -> dict[str, Bytes]:
    """Predict the mask of each photo, at the photo's size. Returns them by name."""
    masks = {}
    for batch, photos in batches_by_size(samples):
        for sample, (probabilities, edges) in zip(batch, predict(network, photos), strict=True):
            masks[sample.name] = predict_mask(sample, probabilities, edges)
    return masks


def predict_mask(sample: Sample, probabilities: Floats, edges: Floats) -> Bytes:
    """Return the mask (H, W) of a sample, given the network's output."""
    if sample.is_worn:
        mask = drop_outside_edges(worn_mask(probabilities, sample), edges)
    else:
        mask = flat_mask(probabilities, sample)
    size = (sample.image.shape[1], sample.image.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def worn_mask(probabilities: Floats, sample: Sample) -> Bytes:
    """Return the most probable class among those of the photo's tags; `IGNORE` where the network is unsure."""
    allowed = np.ones((len(CLASSES), 1, 1), np.float32)
    allowed[1 : len(GARMENT_KINDS) + 1, 0, 0] = sample.present
    probabilities = probabilities * allowed
    probabilities /= probabilities.sum(0) + 1e-6
    return np.where(probabilities.max(0) > MIN_CONFIDENCE, probabilities.argmax(0), IGNORE).astype(np.uint8)


def drop_outside_edges(mask: Bytes, edges: Floats) -> Bytes:
    """Set cells of a kind to `IGNORE`, in place, if they lie outside the box that the kind's cells predict."""
    for kind in np.unique(mask[(mask >= 1) & (mask <= len(GARMENT_KINDS))]).tolist():
        cells = mask == kind
        left, top, right, bottom = garment_edges(cells, edges)
        cells[int(top) : ceil(bottom), int(left) : ceil(right)] = False
        mask[cells] = IGNORE
    return mask


def flat_mask(probabilities: Floats, sample: Sample) -> Bytes:
    """Return a mask with one garment of the folder's kind: all cells that are probably a garment of any kind."""
    garment = probabilities[1 : len(GARMENT_KINDS) + 1].sum(0)
    kind = CLASSES.index(FLAT_KINDS[sample.folder])
    mask = np.where(garment > MIN_GARMENT, kind, np.where(garment < MAX_BACKGROUND, 0, IGNORE)).astype(np.uint8)
    return mask if (mask == kind).mean() > MIN_FLAT_SHARE else sample.mask
