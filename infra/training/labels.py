"""Labels of the two data sets, their classes, and which photos are for validation. Needs numpy only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SEED = 7
STREET_VALIDATION_COUNT, FLAT_VALIDATION_SHARE = 100, 0.1
"""Masked street photos, and share of the flat-lay photos, that are used for validation only."""

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
"""Classes of the detector: background, ten garment kinds (1 to 10), and four helper classes that it never returns."""

FLAT_KINDS = {
    "longsleeve": "top", "shirt": "top", "t-shirt": "top", "outwear": "outerwear", "dress": "dress",
    "pants": "trousers", "shorts": "shorts", "skirt": "skirt", "shoes": "shoes", "hat": "hat",
}  # fmt: skip
FOLDERS = tuple(sorted(FLAT_KINDS))


def class_of_label_table(labels: Sequence[str]) -> NDArray[np.uint8]:
    """Return the class number of every street label number: (256,)."""
    table = np.zeros(256, np.uint8)
    for index, label in enumerate(labels):
        for number, names in enumerate(STREET_LABELS.values(), 1):
            table[index] = number if label in names.split() else table[index]
    return table


def validation_positions(eligible: Sequence[int], count: int) -> list[int]:
    """Draw the positions of `count` validation photos from the eligible positions, with a fixed seed."""
    return sorted(np.random.default_rng(SEED).permutation(eligible)[:count].tolist())
