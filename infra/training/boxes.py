"""Boxes of garments: what each cell of the map should say of its garment's edges, and how far it is from that."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from infra.training.data import Bytes, Sample
from lookalike.domain.model import KINDS

STRIDE, UNIT = 8, 32.0
"""Pixels from cell to cell, and to one unit of distance."""
SMALLEST = 0.002
"""Garments that cover less of the view teach no box."""
Floats = NDArray[np.float32]


def garments_of(sample: Sample) -> Bytes:
    """A number for each garment's pixels (H, W), 0 elsewhere; where no label tells one from another, its kind's."""
    numbers = sample.mask if sample.labels is None else sample.labels
    return np.where((sample.mask >= 1) & (sample.mask <= len(KINDS)), numbers, 0).astype(np.uint8)


def box_targets(garments: Bytes) -> Floats:
    """Of a map of garments (H, W): distances to the left, top, right and bottom edge of the cell's garment in units,
    and the cell's weight, which sums to 1 for each garment: (5, H / 8, W / 8)."""
    half = STRIDE // 2
    cells = garments[half::STRIDE, half::STRIDE]
    targets = np.zeros((5, *cells.shape), np.float32)
    for number in np.unique(cells[cells > 0]):
        here = garments == number
        if here.mean() >= SMALLEST:
            targets[:, cells == number] = distances(here, cells == number)
    return targets


def distances(here: NDArray[np.bool_], cells: NDArray[np.bool_]) -> Floats:
    """The targets (5, n) of the cells of the garment whose pixels these are."""
    rows, columns = np.flatnonzero(here.any(1)), np.flatnonzero(here.any(0))
    y, x = (np.nonzero(cells)[axis] * STRIDE + STRIDE / 2 for axis in (0, 1))
    edges = (x - columns[0], y - rows[0], columns[-1] + 1 - x, rows[-1] + 1 - y)
    weight = np.full(len(x), 1 / len(x))
    return np.stack([*(np.maximum(edge, 0.5) / UNIT for edge in edges), weight]).astype(np.float32)


def box_loss(found: Tensor, targets: Tensor) -> Tensor:
    """-log IoU (Yu et al., 2016) of distances (n, 4, h, w) and `box_targets` (n, 5, h, w), mean of the garments."""
    truth, weights = targets[:, :4], targets[:, 4]
    near = torch.minimum(found, truth)
    both = (near[:, 0] + near[:, 2]) * (near[:, 1] + near[:, 3])
    areas = [(part[:, 0] + part[:, 2]) * (part[:, 1] + part[:, 3]) for part in (found, truth)]
    overlap = (both + 1e-3) / (areas[0] + areas[1] - both + 1e-3)
    return -(overlap.clamp(min=1e-3).log() * weights).sum() / weights.sum().clamp(min=1)


def to_distances(raw: Tensor) -> Tensor:
    """What the network says, made positive."""
    return functional.softplus(raw)
