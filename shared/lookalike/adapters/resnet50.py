"""The full embedder: ResNet50 as the original system has it (ImageNet-1k V1, pooled, 2,048 numbers)."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet50

from lookalike.adapters.batching import Alive
from lookalike.adapters.pytorch import Engine, load


class ResNet50(nn.Module):
    """torchvision's without its classifier, each batch norm folded into the convolution before it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        fold(network)
        self.stem = nn.Sequential(network.conv1, network.relu, network.maxpool)
        self.blocks = nn.ModuleList(block for stage in range(1, 5) for block in getattr(network, f"layer{stage}"))

    def forward(self, pixels: Tensor, alive: Alive) -> Tensor:
        """Of normalised RGB (n, 3, side, side): (n, 2048)."""
        maps = self.stem(pixels.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            alive()
            maps = block(maps)
        return maps.mean((2, 3))


def open_network(weights: Path, engine: Engine) -> ResNet50:
    """Ready to run. Raises as `pytorch.load` does."""
    network = ResNet50(load(resnet50, weights).eval().requires_grad_(False))
    return network.to(engine.device, engine.dtype, memory_format=torch.channels_last)


def fold(module: nn.Module) -> None:
    """Replace each convolution and the batch norm that follows it by one convolution, throughout."""
    parts = dict(module.named_children())
    for (name, part), (after, norm) in zip(parts.items(), [*parts.items()][1:], strict=False):
        if isinstance(part, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(part, norm))
            setattr(module, after, nn.Identity())
    for part in parts.values():
        fold(part)
