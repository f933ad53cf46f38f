"""ResNet50 (He et al., 2016) as in the original system: ImageNet-1k V1 weights, 2,048 pooled features."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet50

from lookalike.adapters.batching import CancelCheck
from lookalike.adapters.pytorch import Engine, load_network


class ResNet50(nn.Module):
    """torchvision's network without its classifier. Batch norms are folded into the convolutions before them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        fold_batch_norms(network)
        self.stem = nn.Sequential(network.conv1, network.relu, network.maxpool)
        self.blocks = nn.ModuleList(block for stage in range(1, 5) for block in getattr(network, f"layer{stage}"))

    def forward(self, pixels: Tensor, check_cancelled: CancelCheck) -> Tensor:
        """Return pooled features (n, 2048) of normalized RGB (n, 3, side, side)."""
        features = self.stem(pixels.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            check_cancelled()
            features = block(features)
        return features.mean((2, 3))


def open_network(weights: Path, engine: Engine) -> ResNet50:
    """Load the checkpoint, ready for inference. Raises `Misconfigured` as `load_network` does."""
    network = ResNet50(load_network(resnet50, weights).eval().requires_grad_(False))
    # convolutions are faster on channels-last tensors, on CPUs and on GPUs
    return network.to(engine.device, engine.dtype, memory_format=torch.channels_last)


def fold_batch_norms(module: nn.Module) -> None:
    """Replace each convolution that a batch norm follows with one equivalent convolution, recursively and in place."""
    children = dict(module.named_children())
    for (name, child), (next_name, norm) in zip(children.items(), [*children.items()][1:], strict=False):
        if isinstance(child, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, norm))
            setattr(module, next_name, nn.Identity())
    for child in children.values():
        fold_batch_norms(child)
