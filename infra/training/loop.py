"""Training loop of both networks: learning rate, averaged weights, checkpoints and repeatable batches."""

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Batch = tuple[Tensor, ...]
AVERAGE_DECAY, WEIGHT_DECAY = 0.9985, 0.03
SAVE_EVERY, REPORT_EVERY = 250, 50
"""Steps between checkpoints, and between printed reports."""
MAX_GRADIENT_NORM = 5.0
BACKBONE_RATE = 0.3
"""Learning rate of the pretrained backbone, as a share of that of the heads."""
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class BatchComposer(Protocol):
    """Composes the batch of a step. The same step always has the same batch."""

    def __call__(self, step: int) -> tuple[np.ndarray, ...]:
        """Return the arrays of the batch."""
        ...


class Batches(Dataset[Batch]):
    """Data set of composed batches, as tensors."""

    def __init__(self, compose: BatchComposer, steps: int) -> None:
        self.compose, self.steps = compose, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        return tuple(torch.from_numpy(part) for part in self.compose(step))


def numbered_batches(compose: BatchComposer, start: int, steps: int) -> Iterator[tuple[int, Batch]]:
    """Yield step numbers from `start` and their batches, which a second process composes."""
    order = range(start, steps)
    loader = DataLoader(Batches(compose, steps), None, sampler=order, num_workers=1, prefetch_factor=6)
    return zip(order, loader, strict=True)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the learning rate of a step: linear warm-up over 5 %, then cosine decay to 1 % of `peak`."""
    warm = max(1, steps // 20)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))))


class Training:
    """A training run. `average` is the exponential moving average of `network`, and its result.

    Continues from `checkpoint` if the file exists.
    """

    def __init__(self, network: nn.Module, checkpoint: Path, steps: int, peak: float) -> None:
        self.network = network.to(DEVICE, memory_format=torch.channels_last)
        self.average = deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(parameter_groups(network), lr=peak)
        self.checkpoint, self.steps, self.peak, self.step = checkpoint, steps, peak, 0
        if checkpoint.exists():
            self.resume()

    def resume(self) -> None:
        """Restore the state of the checkpoint."""
        state = torch.load(self.checkpoint, map_location=DEVICE, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def save(self) -> None:
        """Write the checkpoint. An interrupted write leaves the previous one intact."""
        names = ("network", "average", "optimizer")
        state = {name: getattr(self, name).state_dict() for name in names} | {"step": self.step}
        partial = self.checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def run(self, compose: BatchComposer, compute_loss: Callable[[nn.Module, Batch], Tensor], until: int) -> None:
        """Train until step `until`. Writes checkpoints and prints the mean loss."""
        started, losses = time.time(), []
        self.network.train()
        for step, batch in numbered_batches(compose, self.step, until):
            losses.append(self.update(step, compute_loss, batch))
            if self.step % SAVE_EVERY == 0 or self.step == until:
                self.save()
            if self.step % REPORT_EVERY == 0:
                seconds = time.time() - started
                print(f"step {self.step} loss {np.mean(losses):.4f} seconds {seconds:.0f}", flush=True)
                losses.clear()

    def update(self, step: int, compute_loss: Callable[[nn.Module, Batch], Tensor], batch: Batch) -> float:
        """Take one optimizer step and return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(step, self.steps, self.peak)
        loss = compute_loss(self.network, tuple(part.to(DEVICE) for part in batch))
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.step = step + 1
        # a young average follows quickly, so that the random initial weights are soon forgotten
        update_average(self.average, self.network, min(AVERAGE_DECAY, (1 + step) / (10 + step)))
        return loss.item()


def parameter_groups(network: nn.Module) -> list[dict[str, object]]:
    """Return the optimizer's parameter groups, each with its share of the learning rate.

    Weight decay applies to matrices and filters only.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in network.named_parameters():
        if value.requires_grad:
            share = BACKBONE_RATE if "backbone." in name else 1.0
            groups.setdefault((share, WEIGHT_DECAY if value.ndim > 1 else 0.0), []).append(value)
    return [{"params": values, "share": share, "weight_decay": decay} for (share, decay), values in groups.items()]


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Set the average to decay * average + (1 - decay) * network, in place."""
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        old.mul_(decay).add_(new, alpha=1 - decay) if old.is_floating_point() else old.copy_(new)


def set_up_torch(seed: int) -> None:
    """Seed torch's generator."""
    torch.manual_seed(seed)


def autocast() -> torch.autocast:
    """Compute in bfloat16, which GPUs and processors with AMX multiply faster. Losses must be computed in float32."""
    return torch.autocast(DEVICE.type, torch.bfloat16)
