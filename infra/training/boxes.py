"""Box regression of the detector: targets of each cell, and the loss."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from infra.training.data import Bytes, Sample
from lookalike.domain.model import GARMENT_KINDS

STRIDE, DISTANCE_UNIT = 8, 32.0
"""Input pixels between two cells of the edge map, and pixels of a distance of 1 in the network's output."""
MIN_SHARE = 0.002
"""Garments that cover less of the view have no box target."""
Floats = NDArray[np.float32]


def garment_map(sample: Sample) -> Bytes:
    """Return a map (H, W) with a number for each garment and 0 elsewhere.

    Without street labels, which tell garments of a kind apart, the number is that of the kind.
    """
    numbers = sample.mask if sample.labels is None else sample.labels
    return np.where((sample.mask >= 1) & (sample.mask <= len(GARMENT_KINDS)), numbers, 0).astype(np.uint8)


def box_targets(garments: Bytes) -> Floats:
    """Return the targets (5, H / 8, W / 8) of a garment map (H, W).

    Distances from a cell to its garment's left, top, right and bottom edge, in units of 32 pixels. Then the cell's
    weight, which sums to 1 for each garment.
    """
    half = STRIDE // 2
    cells = garments[half::STRIDE, half::STRIDE]
    targets = np.zeros((5, *cells.shape), np.float32)
    for number in np.unique(cells[cells > 0]):
        is_garment = garments == number
        if is_garment.mean() >= MIN_SHARE:
            targets[:, cells == number] = edge_distances(is_garment, cells == number)
    return targets


def edge_distances(is_garment: NDArray[np.bool_], cells: NDArray[np.bool_]) -> Floats:
    """Return the targets (5, n) of the given cells of one garment, whose pixels are true in `is_garment`."""
    rows, columns = np.flatnonzero(is_garment.any(1)), np.flatnonzero(is_garment.any(0))
    y, x = (np.nonzero(cells)[axis] * STRIDE + STRIDE / 2 for axis in (0, 1))
    edges = (x - columns[0], y - rows[0], columns[-1] + 1 - x, rows[-1] + 1 - y)
    weight = np.full(len(x), 1 / len(x))
    return np.stack([*(np.maximum(edge, 0.5) / DISTANCE_UNIT for edge in edges), weight]).astype(np.float32)


def box_loss(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return the mean -log IoU (Yu et al., 2016) of distances (n, 4, h, w) and `box_targets` (n, 5, h, w)."""
    expected, weights = targets[:, :4], targets[:, 4]
    # both boxes contain the cell, so their intersection extends by the smaller distance in each direction
    common = torch.minimum(predicted, expected)
    intersection = (common[:, 0] + common[:, 2]) * (common[:, 1] + common[:, 3])
    areas = [(box[:, 0] + box[:, 2]) * (box[:, 1] + box[:, 3]) for box in (predicted, expected)]
    iou = (intersection + 1e-3) / (areas[0] + areas[1] - intersection + 1e-3)
    return -(iou.clamp(min=1e-3).log() * weights).sum() / weights.sum().clamp(min=1)


def to_distances(raw: Tensor) -> Tensor:
    """Convert the network's output to positive distances, in units of 32 pixels."""
    return functional.softplus(raw)
