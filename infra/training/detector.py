"""Train the detector: masks of ten garment kinds, which of them a photo shows, and whether they are worn."""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from infra.training.augment import quarter_turn, relight, view, warp
from infra.training.boxes import box_loss, box_targets, garments_of, to_distances
from infra.training.data import CLASSES, IGNORE, SEED, Bytes, Photographs, Sample, arguments, load
from infra.training.empty import empty_view
from infra.training.loop import Batch, Training, autocast, start
from infra.training.network import DetectorNetwork
from infra.training.paste import Pasting
from infra.training.relabel import relabelled
from lookalike.domain.model import GARMENT_KINDS

CANVAS = (384, 272)
MASKED, TAGGED, FLAT, EMPTY = 11, 6, 7, 2
RARE = {"hat": 3.0, "scarf": 2.0, "shorts": 1.5, "bag": 1.3}
CLASS_WEIGHTS = {"shorts": 1.3, "skirt": 1.2, "bag": 1.5, "hat": 2.0, "scarf": 1.5, "other": 0.5}
PEAK, TUNING_PEAK = 2e-3, 8e-4
PHOTO_WEIGHT, DICE_WEIGHT, BOX_WEIGHT = 0.2, 0.5, 0.4


def rarity(sample: Sample) -> float:
    """How much more often than others a photo is shown."""
    there = [kind for kind, present in zip(GARMENT_KINDS, sample.present, strict=True) if present == 1]
    return max([1.0, *(RARE.get(kind, 1.0) for kind in there)])


class DetectorBatches:
    """Composes batches of masked street, tagged street and flat-lay photos, each in a random view, and empty views."""

    def __init__(self, photographs: Photographs) -> None:
        self.masked = [sample for sample in photographs.street if sample.labels is not None]
        tagged = [sample for sample in photographs.street if sample.labels is None]
        self.pools = [(self.masked, MASKED), (tagged, TAGGED), (photographs.flat, FLAT)]
        self.odds = [chances(pool) for pool, _ in self.pools]
        self.paste = Pasting(self.masked)

    def __call__(self, step: int) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng([SEED, step])
        parts = zip(self.pools, self.odds, strict=True)
        chosen = [(pool, random.choice(len(pool), count, p=odds)) for (pool, count), odds in parts if count]
        picks = [(pool, pool[index]) for pool, numbers in chosen for index in numbers]
        picked = [self.paste(random, sample) if pool is self.masked else sample for pool, sample in picks]
        rows = [training_view(random, sample) for sample in picked]
        rows += [(*empty_view(random, self.masked, CANVAS), no_boxes()) for _ in range(EMPTY)]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))


def no_boxes() -> NDArray[np.float32]:
    return box_targets(np.zeros(CANVAS, np.uint8))


def chances(pool: list[Sample]) -> NDArray[np.float64]:
    """The probability of each sample to be picked."""
    weights = np.array([rarity(sample) for sample in pool])
    return weights / weights.sum() if len(pool) else weights


def training_view(random: np.random.Generator, sample: Sample) -> tuple[np.ndarray, ...]:
    """Image, mask, the 11 photo targets (-1 unknown) and the boxes' targets of a random view of a sample."""
    image, maps = sample.image, np.dstack([sample.mask, garments_of(sample)])
    if not sample.worn:
        image, maps = quarter_turn(random, image, maps)
    scale, turn = ((0.85, 1.7), 6.0) if sample.worn else ((0.7, 1.3), 14.0)
    image, maps = warp(image, maps, view(random, image.shape, CANVAS, scale, turn), CANVAS)
    mask, garments = np.ascontiguousarray(maps[..., 0]), maps[..., 1]
    targets = np.append(visible(sample, mask), np.float32(sample.worn)).astype(np.float32)
    return relight(random, image), mask, targets, box_targets(garments)


def visible(sample: Sample, mask: Bytes) -> NDArray[np.float32]:
    """Which kinds the view shows, as far as known: shape (10,), -1 unknown."""
    if sample.labels is None:
        return sample.present
    share = np.bincount(mask.ravel(), minlength=256)[1 : len(GARMENT_KINDS) + 1] / mask.size
    return np.where(share > 0.003, 1.0, np.where(share > 0, -1.0, 0.0)).astype(np.float32)


def loss_of(network: nn.Module, batch: Batch) -> Tensor:
    """Weighted cross entropy and Dice of the masks, cross entropy of the photo's targets, overlap of the boxes."""
    pixels, masks, targets, boxes = batch
    with autocast():
        logits, photo, edges = network(pixels)
    truth = masks[:, 2::4, 2::4].long()
    known = targets >= 0
    photo_loss = functional.binary_cross_entropy_with_logits(photo.float()[known], targets[known])
    overlap_loss = box_loss(to_distances(edges.float()), boxes)
    return mask_loss(logits.float(), truth) + PHOTO_WEIGHT * photo_loss + BOX_WEIGHT * overlap_loss


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Of logits (n, classes, h, w) and classes (n, h, w); unknown pixels count nothing."""
    weights = torch.tensor([CLASS_WEIGHTS.get(name, 1.0) for name in CLASSES])
    entropy = functional.cross_entropy(logits, truth, weights, ignore_index=IGNORE)
    return entropy + DICE_WEIGHT * dice_loss(logits, truth)


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice over the batch, mean of the classes that it shows."""
    known = (truth != IGNORE)[:, None]
    hot = functional.one_hot(truth.clamp(max=len(CLASSES)), len(CLASSES) + 1)[..., :-1]
    hot = hot.permute(0, 3, 1, 2) * known
    likely = logits.softmax(1) * known
    overlap, total = (likely * hot).sum((0, 2, 3)), (likely + hot).sum((0, 2, 3))
    there = hot.sum((0, 2, 3)) > 50
    return (1 - 2 * overlap[there] / total[there]).mean()


def options() -> argparse.Namespace:
    parser = arguments(__doc__ or "")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--relabel-at", type=int, default=2500, help="when masks become the network's own")
    parser.add_argument("--tune", type=Path, metavar="CHECKPOINT", help="go on from its weights, with a fresh cycle")
    return parser.parse_args()


def prepared(chosen: argparse.Namespace) -> Training:
    """From scratch, from where it was interrupted, or from another run's averaged weights."""
    network = DetectorNetwork(len(CLASSES))
    if chosen.tune:
        known = torch.load(chosen.tune, weights_only=True)["average"]
        network.load_state_dict(network.state_dict() | known)
        return Training(network, chosen.work / "detector-tuned.pt", chosen.steps, TUNING_PEAK)
    return Training(network, chosen.work / "detector.pt", chosen.steps, PEAK)


def main() -> None:
    chosen = options()
    start(SEED)
    photographs = load(chosen.data, chosen.work)
    training = prepared(chosen)
    if training.step < chosen.relabel_at:
        training.run(DetectorBatches(photographs), loss_of, chosen.relabel_at)
    photographs = relabelled(photographs, training.average, chosen.work)
    training.run(DetectorBatches(photographs), loss_of, chosen.steps)


if __name__ == "__main__":
    main()
