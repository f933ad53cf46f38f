"""Shared by the full models: device and precision, pixel normalization, and loading of checkpoints."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.domain.errors import Misconfigured

N = TypeVar("N", bound=nn.Module)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in 0 to 1. All full models were trained on pixels normalized with them."""
TRAINING_ONLY = "num_batches_tracked"
"""Counter of batch norms. Only training uses it, and older checkpoints do not contain it."""
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Engine:
    """Device that runs the models, and the data type of the layers that may be computed less precisely."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def start(cls, precision: Precision = "auto") -> "Engine":
        """Select the GPU if there is one. Call it after the server has forked: CUDA does not survive a fork."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(device, fastest_dtype(device) if precision == "auto" else getattr(torch, precision))

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.on_gpu else f"{torch.get_num_threads()} CPU threads"
        return f"{name}, {str(self.dtype).removeprefix('torch.')}"


def fastest_dtype(device: torch.device) -> torch.dtype:
    """Return the 16-bit type that this hardware multiplies faster than float32, or else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # private, but torch has no public function for it; without the instructions bfloat16 is slower than float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def normalize_pixels(images: NDArray[np.uint8], engine: Engine) -> Tensor:
    """Move RGB images (n, h, w, 3) to the device, normalized with ImageNet's mean and deviation: (n, 3, h, w)."""
    pixels = torch.from_numpy(images).to(engine.device).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values, device=engine.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((pixels - mean) / std).to(engine.dtype)


def load_network(build: Callable[[], N], file: Path, entry: str = "") -> N:
    """Build a network with the weights of a checkpoint file, which is memory-mapped.

    `entry` is the key of the state dict inside the file; without it, the file is the state dict.
    Raises `Misconfigured` if the file does not contain every weight of the network in its shape.
    """
    try:
        # tensors on the meta device have no memory, so no time is spent on random initial weights
        with torch.device("meta"):
            network = build()
        stored = read_state_dict(file, entry)
        needed = [name for name in network.state_dict() if not name.endswith(TRAINING_ONLY)]
        # assign: the parameters become the mapped tensors instead of copies
        network.load_state_dict({name: stored[name] for name in needed}, strict=False, assign=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise Misconfigured(
            f"{file} does not hold the weights of this model ({reason}): run `lookalike models fetch` to replace it"
        ) from error
    return network


def read_state_dict(file: Path, entry: str) -> Mapping[str, Tensor]:
    """Return the tensors of a checkpoint by name, without the prefix `module.` that distributed training adds.

    Only tensors are unpickled: a checkpoint cannot run code.
    """
    # files from before torch 1.6 are not zip archives and cannot be mapped
    content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    weights = content[entry] if entry else content
    return {name.removeprefix("module."): value for name, value in weights.items()}
