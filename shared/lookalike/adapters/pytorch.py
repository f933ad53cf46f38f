"""What the full models share: where and how precisely torch computes, and how a checkpoint gets into a network."""

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
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in ImageNet: what both networks were trained on is normalised by them."""
COUNTERS = "num_batches_tracked"
"""What training alone needs, and older checkpoints lack."""
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A device, and the precision in which it computes what need not be exact."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def start(cls, precision: Precision = "auto") -> "Engine":
        """The GPU if there is one. Only after the host's fork: CUDA does not survive one."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(device, best_dtype(device) if precision == "auto" else getattr(torch, precision))

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.on_gpu else f"{torch.get_num_threads()} CPU threads"
        return f"{name}, {str(self.dtype).removeprefix('torch.')}"


def best_dtype(device: torch.device) -> torch.dtype:
    """The lower precision that this hardware multiplies faster, or float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def normalised(pictures: NDArray[np.uint8], engine: Engine) -> Tensor:
    """RGB (n, h, w, 3) as the networks want it, on the device: (n, 3, h, w)."""
    pixels = torch.from_numpy(pictures).to(engine.device).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (torch.tensor(part, device=engine.device)[:, None, None] for part in (MEAN, DEVIATION))
    return ((pixels - mean) / deviation).to(engine.dtype)


def load(build: Callable[[], N], file: Path, part: str = "") -> N:
    """A network with the weights of a checkpoint, which is mapped, not read: no memory is filled with random numbers before.

    `part` names the entry of the file that holds them. Raises `Misconfigured` if the file is no such checkpoint.
    """
    try:
        with torch.device("meta"):
            network = build()
        there = weights_in(file, part)
        wanted = [name for name in network.state_dict() if not name.endswith(COUNTERS)]
        network.load_state_dict({name: there[name] for name in wanted}, strict=False, assign=True)
    except Exception as error:
        raise Misconfigured(f"{file} does not hold the weights that are expected: {_first_line(error)}") from error
    return network


def weights_in(file: Path, part: str) -> Mapping[str, Tensor]:
    """By name, without the prefix that distributed training leaves. Only tensors are read: a pickle could run code."""
    # files from before torch 1.6 are no zip archives and cannot be mapped
    content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    weights = content[part] if part else content
    return {name.removeprefix("module."): value for name, value in weights.items()}


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
