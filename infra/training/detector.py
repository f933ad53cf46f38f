"""Train the detector: class map, photo-level presence of kinds and wearing, and box edges."""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from infra.training.augment import Size, random_affine, random_quarter_turn, vary_lighting, warp
from infra.training.boxes import box_loss, box_targets, garment_map, to_distances
from infra.training.data import IGNORE, Bytes, Photographs, Sample, load_photographs, make_training_parser
from infra.training.empty import random_empty_view
from infra.training.labels import CLASSES, SEED
from infra.training.loop import Batch, Training, autocast, set_up_torch
from infra.training.network import DetectorNetwork
from infra.training.paste import GarmentPaster
from infra.training.relabel import relabel
from lookalike.domain.model import GARMENT_KINDS

CANVAS, SMALL_CANVAS = (416, 288), (320, 224)
"""Height and width of a training view in pixels, and of the views at the beginning."""
SMALL_SHARE = 0.6
"""Share of the steps with small views, which take half the time."""
MASKED, TAGGED, FLAT, EMPTY = 8, 3, 6, 2
"""Views of a batch: street photos with masks and with tags only, flat-lay photos, and views without a garment."""
RARE_KIND_WEIGHTS = {"hat": 3.0, "scarf": 4.0, "shorts": 1.5, "bag": 1.3}
"""How much more often photos with these kinds are drawn."""
CLASS_WEIGHTS = {"shorts": 1.3, "skirt": 1.2, "bag": 1.5, "hat": 2.0, "scarf": 2.5, "other": 0.5}
"""Weights of classes in the cross entropy."""
PEAK_RATE, TUNING_PEAK_RATE = 1.5e-3, 1e-3
PHOTO_WEIGHT, DICE_WEIGHT, BOX_WEIGHT = 0.2, 0.5, 0.4
"""Weights of the losses beside the cross entropy."""


def sampling_weight(sample: Sample) -> float:
    """Return how much more often than others a photo is drawn."""
    shown = [kind for kind, present in zip(GARMENT_KINDS, sample.present, strict=True) if present == 1]
    return max([1.0, *(RARE_KIND_WEIGHTS.get(kind, 1.0) for kind in shown)])


class DetectorBatches:
    """Composes batches of random views: street photos with masks and with tags, flat-lay photos, and empty views."""

    def __init__(self, photographs: Photographs, steps: int, seed: int) -> None:
        self.seed = seed
        self.small_steps = int(steps * SMALL_SHARE)
        self.masked = [sample for sample in photographs.street if sample.labels is not None]
        tagged = [sample for sample in photographs.street if sample.labels is None]
        self.pools = [(self.masked, MASKED), (tagged, TAGGED), (photographs.flat, FLAT)]
        self.odds = [sampling_odds(pool) for pool, _ in self.pools]
        self.paste = GarmentPaster(self.masked)

    def __call__(self, step: int) -> tuple[np.ndarray, ...]:
        """Compose the batch of a step: images, masks, photo targets and box targets."""
        random = np.random.default_rng([self.seed, step])
        pools = zip(self.pools, self.odds, strict=True)
        drawn = [(pool, random.choice(len(pool), count, p=odds)) for (pool, count), odds in pools if count]
        picks = [(pool, pool[index]) for pool, numbers in drawn for index in numbers]
        samples = [self.paste(random, sample) if pool is self.masked else sample for pool, sample in picks]
        size = SMALL_CANVAS if step < self.small_steps else CANVAS
        rows = [training_view(random, sample, size) for sample in samples]
        no_boxes = box_targets(np.zeros(size, np.uint8))
        rows += [(*random_empty_view(random, self.masked, size), no_boxes) for _ in range(EMPTY)]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))


def sampling_odds(pool: list[Sample]) -> NDArray[np.float64]:
    """Return the probability of each sample to be drawn."""
    weights = np.array([sampling_weight(sample) for sample in pool])
    return weights / weights.sum() if len(pool) else weights


def training_view(random: np.random.Generator, sample: Sample, size: Size) -> tuple[np.ndarray, ...]:
    """Return a random view of a sample: image, mask, photo targets (11,) with -1 for unknown, and box targets."""
    image, maps = sample.image, np.dstack([sample.mask, garment_map(sample)])
    if not sample.is_worn:
        image, maps = random_quarter_turn(random, image, maps)
    scale, angle_deviation = ((0.85, 1.7), 6.0) if sample.is_worn else ((0.7, 1.3), 14.0)
    image, maps = warp(image, maps, random_affine(random, image.shape, size, scale, angle_deviation), size)
    mask, garments = np.ascontiguousarray(maps[..., 0]), maps[..., 1]
    targets = np.append(visible_kinds(sample, mask), np.float32(sample.is_worn)).astype(np.float32)
    return vary_lighting(random, image), mask, targets, box_targets(garments)


def visible_kinds(sample: Sample, mask: Bytes) -> NDArray[np.float32]:
    """Return which kinds the view shows (10,): 1 or 0, or -1 if unknown or if only a few pixels are visible."""
    if sample.labels is None:
        return sample.present
    share = np.bincount(mask.ravel(), minlength=256)[1 : len(GARMENT_KINDS) + 1] / mask.size
    return np.where(share > 0.003, 1.0, np.where(share > 0, -1.0, 0.0)).astype(np.float32)


def compute_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Return the weighted sum of mask loss, cross entropy of the photo targets, and box loss."""
    pixels, masks, targets, boxes = batch
    with autocast():
        logits, photo, edges = network(pixels)
    # the class map has a quarter of the resolution
    classes = masks[:, 2::4, 2::4].long()
    known = targets >= 0
    photo_loss = functional.binary_cross_entropy_with_logits(photo.float()[known], targets[known])
    edge_loss = box_loss(to_distances(edges.float()), boxes)
    return mask_loss(logits.float(), classes) + PHOTO_WEIGHT * photo_loss + BOX_WEIGHT * edge_loss


def mask_loss(logits: Tensor, expected: Tensor) -> Tensor:
    """Return weighted cross entropy and Dice loss of logits (n, classes, h, w) and classes (n, h, w)."""
    weights = torch.tensor([CLASS_WEIGHTS.get(name, 1.0) for name in CLASSES], device=logits.device)
    entropy = functional.cross_entropy(logits, expected, weights, ignore_index=IGNORE)
    return entropy + DICE_WEIGHT * dice_loss(logits, expected)


def dice_loss(logits: Tensor, expected: Tensor) -> Tensor:
    """Return 1 - Dice coefficient (Milletari et al., 2016) over the batch, mean of the classes that it shows."""
    known = (expected != IGNORE)[:, None]
    one_hot = functional.one_hot(expected.clamp(max=len(CLASSES)), len(CLASSES) + 1)[..., :-1]
    one_hot = one_hot.permute(0, 3, 1, 2) * known
    probabilities = logits.softmax(1) * known
    overlap, total = (probabilities * one_hot).sum((0, 2, 3)), (probabilities + one_hot).sum((0, 2, 3))
    is_shown = one_hot.sum((0, 2, 3)) > 50
    return (1 - 2 * overlap[is_shown] / total[is_shown]).mean()


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_training_parser(__doc__ or "", steps=3200)
    parser.add_argument(
        "--relabel-at", type=int, nargs="+", default=[900, 1900], help="steps before which masks are predicted anew"
    )
    return parser.parse_args()


def prepare_training(options: argparse.Namespace) -> Training:
    """Start from scratch, from an interrupted run's checkpoint, or from another run's averaged weights."""
    network = DetectorNetwork(len(CLASSES))
    if options.tune:
        network.load_state_dict(torch.load(options.tune, weights_only=True)["average"])
        return Training(network, options.work / options.to, options.steps, TUNING_PEAK_RATE)
    return Training(network, options.work / options.to, options.steps, PEAK_RATE)


def main() -> None:
    """Train the detector."""
    options = parse_arguments()
    set_up_torch(SEED)
    photographs = load_photographs(options.data, options.work)
    training = prepare_training(options)
    for number, relabel_at in enumerate(options.relabel_at):
        if training.step < relabel_at:
            training.run(DetectorBatches(photographs, options.steps, options.seed), compute_loss, relabel_at)
        masks = training.checkpoint.with_suffix(f".masks-{number + 1}.pickle")
        photographs = relabel(photographs, training.average, masks)
    training.run(DetectorBatches(photographs, options.steps, options.seed), compute_loss, options.steps)


if __name__ == "__main__":
    main()
