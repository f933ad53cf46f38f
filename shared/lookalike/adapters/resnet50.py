"""The full embedder: ResNet50 as the original system has it (ImageNet-1k V1, pooled, 2,048 numbers).

The example of how another embedder joins: the README's "Another embedder" goes through this file.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet50

from lookalike.adapters.batching import Alive, Batcher
from lookalike.adapters.pytorch import Engine, load, normalised
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import ORIGINAL_DIM, ORIGINAL_EMBEDDER, Vectors

SHORTER, SIDE = 256, 224
"""The shorter side after shrinking, and the square cut out of the middle: torchvision's `IMAGENET1K_V1` preset."""
BATCH = 32

Bytes = NDArray[np.uint8]


class ResNet50Embedder:
    """Unit rows. One instance may be used from several threads; crops that wait at the same time go through together."""

    dim = ORIGINAL_DIM

    def __init__(
        self, weights: Path, engine: Engine, turn: threading.Lock, wait: float = 0.0, name: str = ORIGINAL_EMBEDDER
    ) -> None:
        self.name = name
        self._engine = engine
        self._network = prepared(weights, engine)
        self._batcher: Batcher[Bytes, Vectors] = Batcher(self._run, BATCH, wait, turn, torch.OutOfMemoryError)

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Unit rows (n, dim) of RGB photos or RGBA cut-outs, in their order."""
        rows = self._batcher.all([framed(image) for image in images], None, cancel)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    @torch.inference_mode()
    def _run(self, pictures: list[Bytes], alive: Alive) -> list[Vectors]:
        pixels = normalised(np.stack(pictures), self._engine)
        rows = self._network(pixels.contiguous(memory_format=torch.channels_last), alive)
        return list(nn.functional.normalize(rows.float()).cpu().numpy())


class Folded(nn.Module):
    """ResNet50 without its classifier, each batch norm folded into the convolution before it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        fold(network)
        self.stem = nn.Sequential(network.conv1, network.relu, network.maxpool)
        self.blocks = nn.ModuleList(block for stage in range(1, 5) for block in getattr(network, f"layer{stage}"))

    def forward(self, pixels: Tensor, alive: Alive) -> Tensor:
        """Of normalised RGB (n, 3, side, side): (n, 2048)."""
        maps = self.stem(pixels)
        for block in self.blocks:
            alive()
            maps = block(maps)
        return maps.mean((2, 3))


def prepared(weights: Path, engine: Engine) -> Folded:
    network = Folded(load(resnet50, weights).eval().requires_grad_(False))
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


def framed(image: Image.Image) -> Bytes:
    """RGB (side, side, 3): the shorter side shrunk, the middle cut out, white where a cut-out is transparent."""
    picture = on_white(image)
    factor = SHORTER / min(picture.size)
    size = max(SHORTER, int(picture.width * factor)), max(SHORTER, int(picture.height * factor))
    left, top = (round((side - SIDE) / 2) for side in size)
    shrunk = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(shrunk.crop((left, top, left + SIDE, top + SIDE)), np.uint8)


def on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white
