"""Garments of rare kinds copied from one street photo into another (Ghiasi et al., 2021)."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from infra.training.augment import Random
from infra.training.data import CLASSES, Bytes, Sample

ODDS = {"bag": 0.25, "hat": 0.12, "scarf": 0.12}
"""How often a masked photo is given one."""
SHARE, MARGIN = 0.004, 0.12


class Pasting:
    """Gives photos garments of others, at about the place where they were worn."""

    def __init__(self, masked: Sequence[Sample]) -> None:
        self.donors = {kind: [sample for sample in masked if shows(sample, kind)] for kind in ODDS}

    def __call__(self, random: Random, sample: Sample) -> Sample:
        for kind, odds in ODDS.items():
            donors = self.donors[kind]
            if donors and random.random() < odds and not sample.present[CLASSES.index(kind) - 1]:
                sample = pasted(random, sample, donors[int(random.integers(len(donors)))], CLASSES.index(kind))
        return sample


def shows(sample: Sample, kind: str) -> bool:
    """Whether enough of that kind is to be seen."""
    return bool((sample.mask == CLASSES.index(kind)).mean() >= SHARE)


def pasted(random: Random, sample: Sample, donor: Sample, number: int) -> Sample:
    """The sample with the donor's pixels of that class laid over it, moved, scaled and perhaps mirrored."""
    assert sample.labels is not None and donor.labels is not None
    matrix, size = placing(random, donor.image.shape, sample.image.shape), sample.image.shape[1::-1]
    here = np.asarray(donor.mask == number, np.uint8) * 255
    cover = np.asarray(cv2.warpAffine(here, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
    colours = cv2.warpAffine(donor.image, matrix, size, flags=cv2.INTER_LINEAR)
    soft = cover[..., None] / np.float32(255)
    image = np.asarray(colours * soft + sample.image * (1 - soft), np.uint8)
    present = sample.present.copy()
    present[number - 1] = 1
    layers = (np.where(cover > 127, value, part).astype(np.uint8) for value, part in marks(sample, donor, number))
    mask, labels = layers
    return replace(sample, image=image, mask=mask, labels=labels, present=present)


def marks(sample: Sample, donor: Sample, number: int) -> list[tuple[int, Bytes]]:
    """What the covered pixels become in the sample's mask and labels."""
    assert sample.labels is not None and donor.labels is not None
    label = int(donor.labels[donor.mask == number][0])
    return [(number, sample.mask), (label, sample.labels)]


def placing(random: Random, donor: tuple[int, ...], host: tuple[int, ...]) -> np.ndarray:
    """An affine map (2, 3) from the donor's photo to the same place in the host's, somewhat off."""
    factor = host[0] / donor[0] * np.exp(random.uniform(-0.25, 0.25))
    mirror = random.choice([-1.0, 1.0])
    linear = np.diag([factor * mirror, factor])
    centre = np.array([host[1], host[0]]) / 2 + random.uniform(-MARGIN, MARGIN, 2) * [host[1], host[0]]
    return np.column_stack([linear, centre - linear @ np.array([donor[1], donor[0]]) / 2])
