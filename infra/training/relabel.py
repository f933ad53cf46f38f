"""Self-training: masks as the network itself sees them, held to what is known of each photo."""

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
from torch import nn

from infra.training.boxes import UNIT, to_distances
from infra.training.data import CLASSES, FLAT_KINDS, IGNORE, Bytes, Photographs, Sample
from infra.training.loop import autocast
from lookalike.adapters.compact_detector import Region, edges_of
from lookalike.domain.model import KINDS

Floats = NDArray[np.float32]
AREA, STEP = 384 * 272, 32
BATCH = 16
SURE, GARMENT, GROUND = 0.6, 0.6, 0.3


def fitted(image: Bytes, area: int = AREA) -> Bytes:
    """The photo at about `area` pixels, its sides multiples of 32."""
    height, width = image.shape[:2]
    scale = (area / (height * width)) ** 0.5
    sides = (max(2, round(side * scale / STEP)) * STEP for side in (width, height))
    return np.asarray(cv2.resize(image, tuple(sides), interpolation=cv2.INTER_AREA), np.uint8)


@torch.no_grad()
def seen(network: nn.Module, photos: list[Bytes]) -> Iterator[tuple[Floats, Floats]]:
    """For each of the photos, all of one size, probabilities (classes, H / 4, W / 4) and distances to edges (4, H / 8, W / 8)."""
    with autocast():
        logits, _, edges = network(torch.from_numpy(np.stack(photos)))
    likely, far = logits.float().softmax(1), to_distances(edges.float()) * UNIT
    return zip(np.asarray(likely), np.asarray(far), strict=True)


def groups(samples: list[Sample]) -> Iterator[tuple[list[Sample], list[Bytes]]]:
    """Up to a batch of samples whose fitted photos are of one size, with these."""
    small = sorted(((fitted(sample.image), sample) for sample in samples), key=lambda pair: pair[0].shape)
    for _, pairs in groupby(small, key=lambda pair: pair[0].shape):
        while batch := list(islice(pairs, BATCH)):
            yield [sample for _, sample in batch], [photo for photo, _ in batch]


def relabelled(photographs: Photographs, network: nn.Module, work: Path) -> Photographs:
    """The photographs with new masks for all that have no true one; kept in the working folder."""
    cache = work / "relabelled.pickle"
    if not cache.exists():
        unknown = [sample for sample in photographs.street if sample.labels is None] + photographs.flat
        cache.write_bytes(pickle.dumps(guesses(unknown, network.eval())))
    known = pickle.loads(cache.read_bytes())
    street = [replace(sample, mask=known.get(sample.name, sample.mask)) for sample in photographs.street]
    flat = [replace(sample, mask=known[sample.name]) for sample in photographs.flat]
    return replace(photographs, street=street, flat=flat)


def guesses(samples: list[Sample], network: nn.Module) -> dict[str, Bytes]:
    """The mask of each photo at its own size, by name."""
    found = {}
    for batch, photos in groups(samples):
        for sample, (likely, edges) in zip(batch, seen(network, photos), strict=True):
            found[sample.name] = guess(sample, likely, edges)
    return found


def guess(sample: Sample, likely: Floats, edges: Floats) -> Bytes:
    mask = tidied(worn_mask(likely, sample), edges) if sample.worn else flat_mask(likely, sample)
    size = (sample.image.shape[1], sample.image.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def worn_mask(likely: Floats, sample: Sample) -> Bytes:
    """The likeliest of the classes that the tags allow, where the network is sure of it."""
    allowed = np.ones((len(CLASSES), 1, 1), np.float32)
    allowed[1 : len(KINDS) + 1, 0, 0] = sample.present
    likely = likely * allowed
    likely /= likely.sum(0) + 1e-6
    return np.where(likely.max(0) > SURE, likely.argmax(0), IGNORE).astype(np.uint8)


def tidied(mask: Bytes, edges: Floats) -> Bytes:
    """The mask without what lies beyond the edges that a garment's own cells tell: that becomes unknown."""
    for kind in np.unique(mask[(mask >= 1) & (mask <= len(KINDS))]).tolist():
        cells = mask == kind
        left, top, right, bottom = edges_of(Region(cells, kind, cells.astype(np.float32)), edges)
        cells[int(top) : ceil(bottom), int(left) : ceil(right)] = False
        mask[cells] = IGNORE
    return mask


def flat_mask(likely: Floats, sample: Sample) -> Bytes:
    """The one garment: whatever looks like any; doubtful pixels unknown; the old mask if none is left."""
    garment = likely[1 : len(KINDS) + 1].sum(0)
    kind = CLASSES.index(FLAT_KINDS[sample.folder])
    mask = np.where(garment > GARMENT, kind, np.where(garment < GROUND, 0, IGNORE)).astype(np.uint8)
    return mask if (mask == kind).mean() > 0.04 else sample.mask
