"""Train the embedder: categories by classification and contrast, garments by contrast of their views."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from infra.training.augment import Matrix, Random, relight
from infra.training.data import (
    CLASSES,
    FLAT_KINDS,
    FOLDERS,
    IGNORE,
    SEED,
    Bytes,
    Photographs,
    Sample,
    arguments,
    load,
)
from infra.training.loop import Batch, Training, autocast, start
from infra.training.network import DetectorNetwork, EmbedderTraining
from infra.training.relabel import relabelled

SIDE, FLAT, WORN, LABELS = 192, 26, 6, 59
PEAK, TUNING_PEAK, SMOOTHING, SHARPNESS = 1.2e-3, 6e-4, 0.1, 16.0
CONTRAST, INSTANCE, RECALLED, STREET = 0.2, 0.3, 0.3, 0.3
WARMTH, INSTANCE_WARMTH = 0.15, 0.08
SMALLEST, LIGHT = 0.004, 0.8


@dataclass(slots=True)
class Garment:
    """A garment's picture (H, W, 3) and its pixels (H, W; 0 or 255); its folder, street label, or -1."""

    image: Bytes
    alpha: Bytes
    folder: int = -1
    label: int = -1


def flat_garment(sample: Sample) -> Garment:
    """The garment of a flat-lay photo, doubtful pixels included; the whole photo where no mask is known."""
    kind = CLASSES.index(FLAT_KINDS[sample.folder])
    here = (sample.mask == kind) | (sample.mask == IGNORE)
    return Garment(sample.image, np.asarray(here * 255, np.uint8), FOLDERS.index(sample.folder))


def worn_garments(sample: Sample) -> list[Garment]:
    """The garments of a street photo, each with some of what surrounds it."""
    assert sample.labels is not None
    labels = [label for label in np.unique(sample.labels) if (sample.labels == label).mean() >= SMALLEST]
    kinds = {label: int(sample.mask[sample.labels == label][0]) for label in labels}
    return [worn_garment(sample, int(label)) for label in labels if 1 <= kinds[label] <= 10]


def worn_garment(sample: Sample, label: int) -> Garment:
    assert sample.labels is not None
    here = sample.labels == label
    rows, columns = np.flatnonzero(here.any(1)), np.flatnonzero(here.any(0))
    margin = (rows[-1] - rows[0] + columns[-1] - columns[0]) // 8 + 2
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    window = np.s_[top : rows[-1] + margin, left : columns[-1] + margin]
    return Garment(sample.image[window].copy(), np.asarray(here[window] * 255, np.uint8), label=label)


class EmbedderBatches:
    """Composes batches of garments, each seen twice: first all first views, then all second ones."""

    def __init__(self, photographs: Photographs) -> None:
        self.flat = [flat_garment(sample) for sample in photographs.flat]
        masked = [sample for sample in photographs.street if sample.labels is not None]
        self.worn = [garment for sample in masked for garment in worn_garments(sample)]
        counts = np.bincount([garment.folder for garment in self.flat]) ** 0.5
        odds = np.array([1 / counts[garment.folder] for garment in self.flat])
        self.odds = odds / odds.sum()

    def __call__(self, step: int) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng([SEED, step])
        flat = random.choice(len(self.flat), FLAT, replace=False, p=self.odds)
        worn = random.choice(len(self.worn), WORN, replace=False)
        picks = [self.flat[index] for index in flat] + [self.worn[index] for index in worn]
        pixels = np.stack([garment_view(random, garment) for garment in picks * 2])
        folders, labels = ([getattr(garment, name) for garment in picks * 2] for name in ("folder", "label"))
        return pixels, np.array(folders, np.int64), np.array(labels, np.int64), np.tile(flat, 2)


def garment_view(random: Random, garment: Garment) -> Bytes:
    """A random view (SIDE, SIDE, 4): mostly cut out, sometimes with all that surrounds it."""
    whole = random.random() < 0.2 or garment.alpha.mean() < 255 * 0.03
    alpha = np.full_like(garment.alpha, 255) if whole else rubbed(random, garment.alpha)
    alpha = clipped(random, alpha) if random.random() < 0.4 else alpha
    matrix = framing(random, alpha)
    colours = cv2.warpAffine(relight(random, garment.image, LIGHT), matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    cover = erased(random, np.asarray(cv2.warpAffine(alpha, matrix, (SIDE, SIDE)), np.uint8))
    colours = np.where(cover[..., None] > 0, colours, 255)
    return np.concatenate([colours, cover[..., None]], 2).astype(np.uint8)


def rubbed(random: Random, alpha: Bytes) -> Bytes:
    """The mask with its rim grown or eaten, as a detector would err."""
    size = int(random.integers(1, max(2, alpha.shape[1] // 24)))
    change = cv2.dilate if random.random() < 0.5 else cv2.erode
    rim = np.asarray(change(alpha, np.ones((size, size), np.uint8)), np.uint8)
    return rim if rim.any() else alpha


def clipped(random: Random, alpha: Bytes) -> Bytes:
    """The mask without what a closer shot would leave out: up to a fifth at each side of the garment's box."""
    kept = np.zeros_like(alpha)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    high, wide = random.uniform(0, 0.2, 2) * len(rows), random.uniform(0, 0.2, 2) * len(columns)
    down = slice(int(rows[0] + high[0]), int(rows[-1] - high[1]) + 1)
    across = slice(int(columns[0] + wide[0]), int(columns[-1] - wide[1]) + 1)
    kept[down, across] = alpha[down, across]
    return kept if kept.any() else alpha


def framing(random: Random, alpha: Bytes) -> Matrix:
    """An affine map (2, 3) of the garment's box into the square: turned, scaled, stretched, moved."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    factor = SIDE / max(height, width) * np.exp(random.uniform(-0.15, 0.3))
    stretch, mirror = np.exp(random.uniform(-0.1, 0.1)), random.choice([-1.0, 1.0])
    angle = np.radians(random.normal(0, 10) + 90 * (random.random() < 0.08) * random.integers(1, 4))
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turned @ np.diag([factor * stretch * mirror, factor / stretch])
    centre = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2
    shift = SIDE / 2 + random.uniform(-0.07, 0.07, 2) * SIDE
    return np.column_stack([linear, shift - linear @ centre])


def erased(random: Random, alpha: Bytes) -> Bytes:
    """At times without a rectangle of it, as if something lay over the garment."""
    if random.random() < 0.3:
        high, wide = (random.uniform(0.15, 0.45, 2) * SIDE).astype(int)
        top, left = int(random.integers(0, SIDE - high)), int(random.integers(0, SIDE - wide))
        alpha[top : top + high, left : left + wide] = 0
    return alpha


def loss_of(network: nn.Module, batch: Batch) -> Tensor:
    """Classification of folders and street labels, contrast of folders, of the batch's garments, of all garments."""
    assert isinstance(network, EmbedderTraining)
    pixels, folders, labels, numbers = batch
    with autocast():
        category, instance, cosines, logits = (part.float() for part in network(pixels))
    flat = folders >= 0
    loss = functional.cross_entropy(cosines[flat] * SHARPNESS, folders[flat], label_smoothing=SMOOTHING)
    loss = loss + STREET * functional.cross_entropy(logits[~flat], labels[~flat])
    loss = loss + CONTRAST * contrast(category[flat], folders[flat], WARMTH)
    garments = torch.arange(len(pixels) // 2).repeat(2)
    loss = loss + INSTANCE * contrast(instance, garments, INSTANCE_WARMTH)
    return loss + RECALLED * recalled(network, instance[flat], numbers)


def recalled(network: EmbedderTraining, rows: Tensor, numbers: Tensor) -> Tensor:
    """Contrast of garments (n, size) with every garment as it was last seen (Wu et al., 2018); remembers them anew."""
    seen = network.bank[numbers].any(1)
    likely = (rows @ network.bank.clone().T / INSTANCE_WARMTH).log_softmax(1)
    loss = -(likely.gather(1, numbers[:, None])[:, 0] * seen).sum() / seen.sum().clamp(min=1)
    network.remember(rows.detach(), numbers)
    return loss


def contrast(rows: Tensor, names: Tensor, warmth: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al., 2020) of unit rows (n, size): equal names attract."""
    alone = torch.eye(len(rows), dtype=torch.bool)
    likely = (rows @ rows.T / warmth).masked_fill(alone, -1e4).log_softmax(1)
    same = (names[:, None] == names[None]) & ~alone
    return -((likely * same).sum(1) / same.sum(1).clamp(min=1)).mean()


def fresh_network(work: Path, garments: int) -> EmbedderTraining:
    """The embedder, its backbone as the detector's training left it."""
    network = EmbedderTraining(len(FOLDERS), LABELS, garments)
    detector = DetectorNetwork(len(CLASSES))
    detector.load_state_dict(torch.load(work / "detector.pt", weights_only=True)["average"])
    network.embedder.backbone.load_state_dict(detector.backbone.state_dict())
    return network


def tuned_network(checkpoint: Path, garments: int) -> EmbedderTraining:
    """The embedder with the averaged weights of another run, as far as their shapes are the same."""
    network = EmbedderTraining(len(FOLDERS), LABELS, garments)
    fresh, known = network.state_dict(), torch.load(checkpoint, weights_only=True)["average"]
    fits = {name: value for name, value in known.items() if value.shape == fresh[name].shape}
    network.load_state_dict(fresh | fits)
    return network


def prepared(chosen: argparse.Namespace, garments: int) -> Training:
    """On the detector's backbone, from where it was interrupted, or from another run's averaged weights."""
    if chosen.tune:
        network = tuned_network(chosen.tune, garments)
        return Training(network, chosen.work / "embedder-tuned.pt", chosen.steps, TUNING_PEAK)
    return Training(fresh_network(chosen.work, garments), chosen.work / "embedder.pt", chosen.steps, PEAK)


def main() -> None:
    parser: argparse.ArgumentParser = arguments(__doc__ or "")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--tune", type=Path, metavar="CHECKPOINT", help="go on from its weights, with a fresh cycle")
    chosen = parser.parse_args()
    start(SEED)
    photographs = load(chosen.data, chosen.work)
    detector = DetectorNetwork(len(CLASSES))
    detector.load_state_dict(torch.load(chosen.work / "detector.pt", weights_only=True)["average"])
    photographs = relabelled(photographs, detector, chosen.work)
    training = prepared(chosen, len(photographs.flat))
    training.run(EmbedderBatches(photographs), loss_of, chosen.steps)


if __name__ == "__main__":
    main()
