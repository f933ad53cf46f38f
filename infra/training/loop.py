"""What both trainings share: the optimiser's schedule, averaged weights, checkpoints, repeatable batches."""

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
AVERAGE, DECAY = 0.998, 0.03
SAVE_EVERY, REPORT_EVERY = 250, 50


class Composer(Protocol):
    """Makes the batch of a step, always the same one for the same step."""

    def __call__(self, step: int) -> tuple[np.ndarray, ...]: ...


class Batches(Dataset[Batch]):
    """The composer's batches as tensors."""

    def __init__(self, compose: Composer, steps: int) -> None:
        self.compose, self.steps = compose, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        return tuple(torch.from_numpy(part) for part in self.compose(step))


def batches(compose: Composer, start: int, steps: int) -> Iterator[tuple[int, Batch]]:
    """Numbered batches from `start` on, made in a process beside."""
    order = range(start, steps)
    loader = DataLoader(Batches(compose, steps), None, sampler=order, num_workers=1, prefetch_factor=6)
    return zip(order, loader, strict=True)


def rate(step: int, steps: int, peak: float) -> float:
    """One cycle: up over the first twentieth, down along a cosine to a hundredth."""
    warm = max(1, steps // 20)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))))


class Training:
    """A network on its way: `network` is trained; `average`, its exponential average, is what counts."""

    def __init__(self, network: nn.Module, checkpoint: Path, steps: int, peak: float) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self.average = deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(parameter_groups(network, DECAY), lr=peak)
        self.checkpoint, self.steps, self.peak, self.step = checkpoint, steps, peak, 0
        if checkpoint.exists():
            self.resume()

    def resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def save(self) -> None:
        names = ("network", "average", "optimiser")
        state = {name: getattr(self, name).state_dict() for name in names} | {"step": self.step}
        fresh = self.checkpoint.with_suffix(".part")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def run(self, compose: Composer, loss_of: Callable[[nn.Module, Batch], Tensor], until: int) -> None:
        """Train up to step `until`; saves on the way and at the end."""
        begin, losses = time.time(), []
        self.network.train()
        for step, batch in batches(compose, self.step, until):
            losses.append(self.update(step, loss_of, batch))
            if self.step % SAVE_EVERY == 0 or self.step == until:
                self.save()
            if self.step % REPORT_EVERY == 0:
                seconds = time.time() - begin
                print(f"step {self.step} loss {np.mean(losses):.4f} seconds {seconds:.0f}", flush=True)
                losses.clear()

    def update(self, step: int, loss_of: Callable[[nn.Module, Batch], Tensor], batch: Batch) -> float:
        """One step of the optimiser; the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate(step, self.steps, self.peak)
        loss = loss_of(self.network, batch)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step = step + 1
        follow(self.average, self.network, min(AVERAGE, (1 + step) / (10 + step)))
        return loss.item()


def parameter_groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices alone."""
    matrices = [value for value in network.parameters() if value.ndim > 1]
    vectors = [value for value in network.parameters() if value.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the average towards the network's present state."""
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        old.mul_(keep).add_(new, alpha=1 - keep) if old.is_floating_point() else old.copy_(new)


def start(seed: int) -> None:
    """Seeds, and as many threads as there are cores."""
    torch.manual_seed(seed)
    torch.set_num_threads(max(1, torch.get_num_threads()))


def autocast() -> torch.autocast:
    """bfloat16 where the processor is fast at it (AMX); the losses stay float32."""
    return torch.autocast("cpu", torch.bfloat16)
