"""Embedder around a torch network: crops images to squares, batches them and returns unit vectors."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from lookalike.adapters.batching import Batcher, CancelCheck
from lookalike.adapters.pytorch import Engine, normalize_pixels
from lookalike.domain.cancel import CancelToken
from lookalike.domain.compositing import composite_on_white
from lookalike.domain.model import Vectors

SHORTER_SIDE, CROP_SIDE = 256, 224
"""Pixels of the shorter side after resizing, and of the center crop, as in torchvision's preset for ImageNet."""
MAX_BATCH = 32

Bytes = NDArray[np.uint8]
Network = Callable[[Tensor, CancelCheck], Tensor]
"""Maps normalized RGB (n, 3, side, side) to vectors (n, dim). It calls the check between its layers."""


class CropEmbedder:
    """The port `Embedder` around a torch network. Safe to use from several threads.

    Images of concurrent calls share batches. `name` is stored with every vector: another network or other weights
    need another name.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        dim: int,
        engine: Engine,
        device_lock: threading.Lock,
        max_delay: float = 0.0,
    ) -> None:
        self.name, self.dim = name, dim
        self._network, self._engine = network, engine
        self._batcher: Batcher[Bytes, Vectors] = Batcher(
            self._embed_batch, MAX_BATCH, max_delay, device_lock, torch.OutOfMemoryError
        )

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Return unit vectors (n, dim) of RGB photos or RGBA cut-outs, in their order."""
        vectors = self._batcher.run_all([crop_to_square(image) for image in images], None, cancel)
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    @torch.inference_mode()
    def _embed_batch(self, crops: list[Bytes], check_cancelled: CancelCheck) -> list[Vectors]:
        vectors = self._network(normalize_pixels(np.stack(crops), self._engine), check_cancelled)
        return list(nn.functional.normalize(vectors.float()).cpu().numpy())


def crop_to_square(image: Image.Image) -> Bytes:
    """Resize so that the shorter side has 256 pixels and crop the center: RGB (224, 224, 3).

    Transparent parts of a cut-out become white.
    """
    opaque = composite_on_white(image)
    factor = SHORTER_SIDE / min(opaque.size)
    # truncated, as torchvision's Resize does; CenterCrop rounds
    size = max(SHORTER_SIDE, int(opaque.width * factor)), max(SHORTER_SIDE, int(opaque.height * factor))
    left, top = (round((side - CROP_SIDE) / 2) for side in size)
    resized = opaque.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + CROP_SIDE, top + CROP_SIDE)), np.uint8)
