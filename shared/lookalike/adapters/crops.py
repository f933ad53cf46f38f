"""What torch's embedders share: crops framed alike, brought together, normalised, and rows of length 1."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from lookalike.adapters.batching import Alive, Batcher
from lookalike.adapters.pytorch import Engine, normalised
from lookalike.domain.cancel import CancelToken
from lookalike.domain.compositing import composite_on_white
from lookalike.domain.model import Vectors

SHORTER, SIDE = 256, 224
"""The shorter side after shrinking, and the square cut out of the middle: the usual preset of networks for ImageNet."""
BATCH = 32

Bytes = NDArray[np.uint8]
Network = Callable[[Tensor, Alive], Tensor]
"""Normalised RGB (n, 3, side, side) to rows (n, dim). Calls the second argument between its layers."""


class CropEmbedder:
    """The port `Embedder` around a network. One instance may be used from several threads.

    Crops that wait at the same time go through together. `name` stands on every vector: another network, or other
    weights, need another.
    """

    def __init__(
        self, network: Network, name: str, dim: int, engine: Engine, turn: threading.Lock, wait: float = 0.0
    ) -> None:
        self.name, self.dim = name, dim
        self._network, self._engine = network, engine
        self._batcher: Batcher[Bytes, Vectors] = Batcher(self._run, BATCH, wait, turn, torch.OutOfMemoryError)

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Unit rows (n, dim) of RGB photos or RGBA cut-outs, in their order."""
        rows = self._batcher.all([framed(image) for image in images], None, cancel)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    @torch.inference_mode()
    def _run(self, pictures: list[Bytes], alive: Alive) -> list[Vectors]:
        rows = self._network(normalised(np.stack(pictures), self._engine), alive)
        return list(nn.functional.normalize(rows.float()).cpu().numpy())


def framed(image: Image.Image) -> Bytes:
    """RGB (side, side, 3): the shorter side shrunk, the middle cut out, white where a cut-out is transparent."""
    picture = composite_on_white(image)
    factor = SHORTER / min(picture.size)
    size = max(SHORTER, int(picture.width * factor)), max(SHORTER, int(picture.height * factor))
    left, top = (round((side - SIDE) / 2) for side in size)
    shrunk = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(shrunk.crop((left, top, left + SIDE, top + SIDE)), np.uint8)
