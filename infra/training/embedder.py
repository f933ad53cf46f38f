"""Train the embedder: category features by classification and contrast, garment features by contrast of views."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from infra.training.augment import Matrix, Random, vary_lighting
from infra.training.data import IGNORE, Bytes, Photographs, Sample, load_photographs, make_training_parser
from infra.training.labels import CLASSES, FLAT_KINDS, FOLDERS, SEED
from infra.training.loop import DEVICE, Batch, Training, autocast, set_up_torch
from infra.training.network import DetectorNetwork, EmbedderTraining
from infra.training.relabel import relabel
from lookalike.domain.model import GARMENT_KINDS

SIDE, LABELS = 160, 59
"""Pixels per side of a training view, and labels of the street data set."""
FLAT, WORN = 32, 14
"""Flat-lay and worn garments of a batch, each in two views."""
PEAK_RATE, TUNING_PEAK_RATE, LABEL_SMOOTHING, LOGIT_SCALE = 1e-3, 5e-4, 0.1, 16.0
STREET_WEIGHT, WORN_WEIGHT, CATEGORY_WEIGHT, INSTANCE_WEIGHT, MEMORY_BANK_WEIGHT = 0.3, 0.5, 0.2, 0.3, 0.3
"""Weights of the losses beside the flat-lay classification: street labels, categories of worn garments, and the three
contrastive losses."""
TEMPERATURE, INSTANCE_TEMPERATURE = 0.15, 0.08
"""Temperatures of the contrastive losses, of category features and of garment features."""
MIN_SHARE, LIGHTING_STRENGTH = 0.004, 0.8
"""Smallest worn garment that is used, as a share of its photo, and the strength of `vary_lighting`."""


@dataclass(slots=True)
class Garment:
    """A garment's image (H, W, 3) and mask (H, W) of 0 and 255.

    `folder` is the number of its flat-lay category and `label` its street label; the one that does not apply is -1.
    `kind` is its class.
    """

    image: Bytes
    alpha: Bytes
    kind: int
    folder: int = -1
    label: int = -1


def flat_garment(sample: Sample) -> Garment:
    """Return the garment of a flat-lay photo, with unknown pixels. Without a mask, all pixels are unknown."""
    kind = CLASSES.index(FLAT_KINDS[sample.folder])
    is_garment = (sample.mask == kind) | (sample.mask == IGNORE)
    return Garment(sample.image, np.asarray(is_garment * 255, np.uint8), kind, FOLDERS.index(sample.folder))


def worn_garments(sample: Sample) -> list[Garment]:
    """Return the garments of a street photo: one for each street label, or for each kind where only a mask is known."""
    numbers = sample.mask if sample.labels is None else sample.labels
    garments = []
    for number in np.unique(numbers[(sample.mask >= 1) & (sample.mask <= len(GARMENT_KINDS))]).tolist():
        is_garment = numbers == number
        if is_garment.mean() >= MIN_SHARE:
            kind = int(sample.mask[is_garment][0])
            garments.append(worn_garment(sample, is_garment, kind, -1 if sample.labels is None else number))
    return garments


def worn_garment(sample: Sample, is_garment: NDArray[np.bool_], kind: int, label: int) -> Garment:
    """Return the garment with these pixels (H, W), class and street label, cropped with a margin."""
    rows, columns = np.flatnonzero(is_garment.any(1)), np.flatnonzero(is_garment.any(0))
    margin = (rows[-1] - rows[0] + columns[-1] - columns[0]) // 8 + 2
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    window = np.s_[top : rows[-1] + margin, left : columns[-1] + margin]
    return Garment(sample.image[window].copy(), np.asarray(is_garment[window] * 255, np.uint8), kind, label=label)


def balanced_odds(classes: Sequence[int]) -> NDArray[np.float64]:
    """Return odds by which frequent classes are drawn less often than their share, and rare ones more often."""
    odds = np.bincount(classes)[np.asarray(classes)] ** -0.5
    return np.asarray(odds / odds.sum(), np.float64)


class EmbedderBatches:
    """Composes batches of two random views of each garment: all first views, then all second views."""

    def __init__(self, photographs: Photographs, seed: int) -> None:
        self.seed = seed
        self.flat = [flat_garment(sample) for sample in photographs.flat]
        self.worn = [garment for sample in photographs.street for garment in worn_garments(sample)]
        self.flat_odds = balanced_odds([garment.folder for garment in self.flat])
        self.worn_odds = balanced_odds([garment.kind for garment in self.worn])

    def __call__(self, step: int) -> tuple[np.ndarray, ...]:
        """Compose the batch of a step: images, category numbers, street labels, classes, and flat-lay garment numbers."""
        random = np.random.default_rng([self.seed, step])
        flat = random.choice(len(self.flat), FLAT, replace=False, p=self.flat_odds)
        worn = random.choice(len(self.worn), WORN, replace=False, p=self.worn_odds)
        garments = [self.flat[index] for index in flat] + [self.worn[index] for index in worn]
        pixels = np.stack([garment_view(random, garment) for garment in garments * 2])
        names = "folder", "label", "kind"
        numbers = (np.array([getattr(garment, name) for garment in garments * 2], np.int64) for name in names)
        return pixels, *numbers, np.tile(flat, 2)


def garment_view(random: Random, garment: Garment) -> Bytes:
    """Return a random RGBA view (SIDE, SIDE, 4): usually cut out, sometimes with its surroundings."""
    has_surroundings = random.random() < 0.2 or garment.alpha.mean() < 255 * 0.03
    alpha = np.full_like(garment.alpha, 255) if has_surroundings else vary_outline(random, garment.alpha)
    alpha = crop_randomly(random, alpha) if random.random() < 0.4 else alpha
    matrix = random_framing(random, alpha)
    colors = cv2.warpAffine(
        vary_lighting(random, garment.image, LIGHTING_STRENGTH), matrix, (SIDE, SIDE), flags=cv2.INTER_AREA
    )
    cover = erase_rectangle(random, np.asarray(cv2.warpAffine(alpha, matrix, (SIDE, SIDE)), np.uint8))
    colors = np.where(cover[..., None] > 0, colors, 255)
    return np.concatenate([colors, cover[..., None]], 2).astype(np.uint8)


def vary_outline(random: Random, alpha: Bytes) -> Bytes:
    """Dilate or erode the mask, like an inaccurate detection."""
    size = int(random.integers(1, max(2, alpha.shape[1] // 24)))
    change = cv2.dilate if random.random() < 0.5 else cv2.erode
    changed = np.asarray(change(alpha, np.ones((size, size), np.uint8)), np.uint8)
    return changed if changed.any() else alpha


def crop_randomly(random: Random, alpha: Bytes) -> Bytes:
    """Clear up to a fifth of the garment's box at each side of the mask, like a closer photo."""
    kept = np.zeros_like(alpha)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    vertical, horizontal = random.uniform(0, 0.2, 2) * len(rows), random.uniform(0, 0.2, 2) * len(columns)
    kept_rows = slice(int(rows[0] + vertical[0]), int(rows[-1] - vertical[1]) + 1)
    kept_columns = slice(int(columns[0] + horizontal[0]), int(columns[-1] - horizontal[1]) + 1)
    kept[kept_rows, kept_columns] = alpha[kept_rows, kept_columns]
    return kept if kept.any() else alpha


def random_framing(random: Random, alpha: Bytes) -> Matrix:
    """Return an affine map (2, 3) of the garment's box onto the view: rotated, scaled, stretched, moved, mirrored."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    factor = SIDE / max(height, width) * np.exp(random.uniform(-0.15, 0.3))
    stretch, mirror = np.exp(random.uniform(-0.1, 0.1)), random.choice([-1.0, 1.0])
    angle = np.radians(random.normal(0, 10) + 90 * (random.random() < 0.08) * random.integers(1, 4))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.diag([factor * stretch * mirror, factor / stretch])
    center = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2
    shift = SIDE / 2 + random.uniform(-0.07, 0.07, 2) * SIDE
    return np.column_stack([linear, shift - linear @ center])


def erase_rectangle(random: Random, alpha: Bytes) -> Bytes:
    """Sometimes clear a rectangle of the mask, in place, as if something covered the garment."""
    if random.random() < 0.3:
        height, width = (random.uniform(0.15, 0.45, 2) * SIDE).astype(int)
        top, left = int(random.integers(0, SIDE - height)), int(random.integers(0, SIDE - width))
        alpha[top : top + height, left : left + width] = 0
    return alpha


def compute_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Return the weighted sum of the classification losses and the contrastive losses."""
    assert isinstance(network, EmbedderTraining)
    pixels, folders, labels, kinds, numbers = batch
    with autocast():
        category, instance, cosines, logits = (part.float() for part in network(pixels))
    flat = folders >= 0
    loss = functional.cross_entropy(cosines[flat] * LOGIT_SCALE, folders[flat], label_smoothing=LABEL_SMOOTHING)
    loss = loss + STREET_WEIGHT * street_label_loss(logits, labels)
    loss = loss + WORN_WEIGHT * worn_category_loss(cosines[~flat], kinds[~flat])
    loss = loss + CATEGORY_WEIGHT * contrastive_loss(category[flat], folders[flat], TEMPERATURE)
    garments = torch.arange(len(pixels) // 2, device=pixels.device).repeat(2)
    loss = loss + INSTANCE_WEIGHT * contrastive_loss(instance, garments, INSTANCE_TEMPERATURE)
    return loss + MEMORY_BANK_WEIGHT * memory_bank_loss(network, instance[flat], numbers)


def street_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of garments with a street label; 0 if the batch has none."""
    total = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


def worn_category_loss(cosines: Tensor, kinds: Tensor) -> Tensor:
    """Return the mean -log probability that a worn garment has a flat-lay category of its kind.

    Garments of kinds without a category do not count. `cosines` (n, folders) are those to the flat-lay categories, `kinds` (n,) are classes.
    """
    is_of_kind = torch.tensor([[FLAT_KINDS[folder] == kind for folder in FOLDERS] for kind in CLASSES])
    allowed = is_of_kind.to(kinds.device)[kinds]
    log_probabilities = (cosines * LOGIT_SCALE).log_softmax(1).masked_fill(~allowed, -1e4).logsumexp(1)
    has_category = allowed.any(1)
    return -(log_probabilities * has_category).sum() / has_category.sum().clamp(min=1)


def memory_bank_loss(network: EmbedderTraining, vectors: Tensor, numbers: Tensor) -> Tensor:
    """Contrast garment vectors (n, GARMENT) with the memory bank (Wu et al., 2018), and update the bank."""
    # rows of zeros are garments that no batch has contained yet
    is_stored = network.bank[numbers].any(1)
    # cloned: the update below would change a tensor that the gradient needs
    log_probabilities = (vectors @ network.bank.clone().T / INSTANCE_TEMPERATURE).log_softmax(1)
    own = log_probabilities.gather(1, numbers[:, None])[:, 0]
    loss = -(own * is_stored).sum() / is_stored.sum().clamp(min=1)
    network.remember(vectors.detach(), numbers)
    return loss


def contrastive_loss(vectors: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss (Khosla et al., 2020) of unit vectors (n, dim) with classes (n,)."""
    is_self = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    log_probabilities = (vectors @ vectors.T / temperature).masked_fill(is_self, -1e4).log_softmax(1)
    is_positive = (classes[:, None] == classes[None]) & ~is_self
    return -((log_probabilities * is_positive).sum(1) / is_positive.sum(1).clamp(min=1)).mean()


def tuned_network(checkpoint: Path, garments: int) -> EmbedderTraining:
    """Return an embedder with the averaged weights of another run, except those of another shape."""
    network = EmbedderTraining(len(FOLDERS), LABELS, garments)
    initial, stored = network.state_dict(), torch.load(checkpoint, weights_only=True)["average"]
    usable = {name: value for name, value in stored.items() if value.shape == initial[name].shape}
    network.load_state_dict(initial | usable)
    return network


def prepare_training(options: argparse.Namespace, garments: int) -> Training:
    """Start from the pretrained backbone, an interrupted run's checkpoint, or another run's averaged weights."""
    checkpoint = options.work / options.to
    if options.tune:
        return Training(tuned_network(options.tune, garments), checkpoint, options.steps, TUNING_PEAK_RATE)
    network = EmbedderTraining(len(FOLDERS), LABELS, garments)
    return Training(network, checkpoint, options.steps, PEAK_RATE)


def relabel_with_detector(photographs: Photographs, checkpoint: Path, work: Path) -> Photographs:
    """Return the photos with the masks that the detector of the checkpoint predicts."""
    detector = DetectorNetwork(len(CLASSES))
    detector.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    return relabel(photographs, detector.to(DEVICE), work / f"{checkpoint.stem}.masks.pickle")


def main() -> None:
    """Train the embedder."""
    parser = make_training_parser(__doc__ or "", steps=2200)
    parser.add_argument("--detector", type=Path, required=True, metavar="CHECKPOINT", help="it cuts out the garments")
    options = parser.parse_args()
    set_up_torch(SEED)
    photographs = load_photographs(options.data, options.work)
    photographs = relabel_with_detector(photographs, options.detector, options.work)
    training = prepare_training(options, len(photographs.flat))
    training.run(EmbedderBatches(photographs, options.seed), compute_loss, options.steps)


if __name__ == "__main__":
    main()
