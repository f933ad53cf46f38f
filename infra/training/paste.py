"""Copy-paste augmentation (Ghiasi et al., 2021): garments of rare kinds copied from one street photo to another."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from infra.training.augment import Random
from infra.training.data import Sample
from infra.training.labels import CLASSES

ODDS = {"bag": 0.25, "hat": 0.12, "scarf": 0.22}
"""Probability that a garment of the kind is pasted into a photo without one."""
MIN_SHARE, MAX_SHIFT = 0.004, 0.12
"""Smallest garment that is copied, as a share of its photo, and its largest shift, as a share of the target's sides."""


class GarmentPaster:
    """Pastes garments of other photos at about the place where they were worn."""

    def __init__(self, masked: Sequence[Sample]) -> None:
        self.donors = {kind: [sample for sample in masked if shows_kind(sample, kind)] for kind in ODDS}

    def __call__(self, random: Random, sample: Sample) -> Sample:
        """Return the sample, perhaps with pasted garments. A kind that it shows already is not pasted."""
        for kind, odds in ODDS.items():
            donors = self.donors[kind]
            if donors and random.random() < odds and not sample.present[CLASSES.index(kind) - 1]:
                sample = paste_garment(random, sample, donors[int(random.integers(len(donors)))], CLASSES.index(kind))
        return sample


def shows_kind(sample: Sample, kind: str) -> bool:
    """Whether the photo shows a garment of the kind that is large enough to copy."""
    return bool((sample.mask == CLASSES.index(kind)).mean() >= MIN_SHARE)


def paste_garment(random: Random, sample: Sample, donor: Sample, number: int) -> Sample:
    """Return the sample with the donor's pixels of class `number` pasted, moved, scaled and perhaps mirrored."""
    assert sample.labels is not None and donor.labels is not None
    matrix, size = random_placement(random, donor.image.shape, sample.image.shape), sample.image.shape[1::-1]
    is_garment = np.asarray(donor.mask == number, np.uint8) * 255
    cover = np.asarray(cv2.warpAffine(is_garment, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
    colors = cv2.warpAffine(donor.image, matrix, size, flags=cv2.INTER_LINEAR)
    opacity = cover[..., None] / np.float32(255)
    image = np.asarray(colors * opacity + sample.image * (1 - opacity), np.uint8)
    present = sample.present.copy()
    present[number - 1] = 1
    label = int(donor.labels[donor.mask == number][0])
    is_covered = cover > 127
    mask = np.where(is_covered, number, sample.mask).astype(np.uint8)
    labels = np.where(is_covered, label, sample.labels).astype(np.uint8)
    return replace(sample, image=image, mask=mask, labels=labels, present=present)


def random_placement(random: Random, donor: tuple[int, ...], target: tuple[int, ...]) -> np.ndarray:
    """Return an affine map (2, 3) from the donor's photo to about the same place in the target's."""
    factor = target[0] / donor[0] * np.exp(random.uniform(-0.25, 0.25))
    mirror = random.choice([-1.0, 1.0])
    linear = np.diag([factor * mirror, factor])
    center = np.array([target[1], target[0]]) / 2 + random.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * [target[1], target[0]]
    return np.column_stack([linear, center - linear @ np.array([donor[1], donor[0]]) / 2])
