"""The backbone: a Swin transformer (Liu et al., 2021), as GroundingDINO has it."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.layers import Alive, Linear, Norm, by_parts
from lookalike.adapters.grounding_dino.shape import Shape

PATCH = 4
APART = -100.0
"""Added where two cells of a shifted window are no neighbours in the picture."""


class Swin(nn.Module):
    """Maps at 1/8, 1/16 and 1/32 of a picture's size."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = shape.swin_widths
        self.patch_embed = Patches(widths[0])
        last = len(widths) - 1
        self.layers = nn.ModuleList(
            Stage(width, depth, heads, shape.window, stage < last)
            for stage, (width, depth, heads) in enumerate(zip(widths, shape.swin_depths, shape.swin_heads, strict=True))
        )
        for stage in range(1, len(widths)):
            self.add_module(f"norm{stage}", Norm(widths[stage]))

    def forward(self, pixels: Tensor, alive: Alive) -> list[Tensor]:
        """Of normalised RGB (b, 3, h, w): maps (b, h', w', width)."""
        cells, found = self.patch_embed(pixels), []
        for number, stage in enumerate(self.layers):
            for block in stage.blocks:
                alive()
                cells = block(cells)
            if number:
                found.append(getattr(self, f"norm{number}")(cells))
            cells = stage.downsample(cells)
        return found


class Patches(nn.Module):
    """Squares of pixels as cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)
        self.norm = Norm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[-2:]
        pixels = F.pad(pixels, (0, -width % PATCH, 0, -height % PATCH)).to(self.proj.weight.dtype)
        return self.norm(self.proj(pixels).permute(0, 2, 3, 1).contiguous())


class Stage(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, window: int, shrinks: bool) -> None:
        super().__init__()
        shifts = [0 if number % 2 == 0 else window // 2 for number in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, window, shift) for shift in shifts)
        self.downsample = Merging(width) if shrinks else nn.Identity()


class Merging(nn.Module):
    """Four cells become one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = Linear(4 * width, 2 * width, bias=False)
        self.norm = Norm(4 * width)

    def forward(self, cells: Tensor) -> Tensor:
        cells = F.pad(cells, (0, 0, 0, cells.shape[2] % 2, 0, cells.shape[1] % 2))
        corners = [cells[:, down::2, across::2] for across in (0, 1) for down in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, -1)))


class Block(nn.Module):
    """Attention within windows, shifted in every other block, and a perceptron."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attn = WindowAttention(width, heads, window)
        self.mlp = nn.ModuleDict({"fc1": Linear(width, 4 * width), "fc2": Linear(4 * width, width)})

    def forward(self, cells: Tensor) -> Tensor:
        cells = cells + self._attended(self.norm1(cells))
        return cells + by_parts(lambda part: self.mlp["fc2"](F.gelu(self.mlp["fc1"](part))), self.norm2(cells))

    def _attended(self, cells: Tensor) -> Tensor:
        _, height, width, _ = cells.shape
        side, shift = self.window, self.shift
        cells = F.pad(cells, (0, 0, 0, -width % side, 0, -height % side))
        apart = None
        if shift:
            cells = cells.roll((-shift, -shift), (1, 2))
            apart = strangers(cells.shape[1], cells.shape[2], side, shift, cells.device, cells.dtype)
        rows, columns = cells.shape[1] // side, cells.shape[2] // side
        windows = cells.unflatten(2, (columns, side)).unflatten(1, (rows, side)).transpose(2, 3)
        found = self.attn(windows.reshape(-1, side * side, cells.shape[-1]), apart)
        found = found.view(*windows.shape).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        found = found.roll((shift, shift), (1, 2)) if shift else found
        return found[:, :height, :width]


class WindowAttention(nn.Module):
    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", torch.empty(window**2, window**2, dtype=torch.long))
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, windows: Tensor, apart: Tensor | None) -> Tensor:
        """Of (b * n, cells, width), `apart` (n, cells, cells) added between cells: the same shape."""
        query, key, value = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None].to(query.dtype)
        if apart is not None:
            bias = (bias + apart[:, None]).repeat(len(windows) // len(apart), 1, 1, 1)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(found.transpose(1, 2).flatten(2))


@lru_cache(maxsize=16)
def strangers(height: int, width: int, side: int, shift: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What is added between cells of shifted windows (windows, cells, cells): cells that met across an edge are kept apart."""
    down, across = (torch.zeros(length, dtype=torch.long) for length in (height, width))
    for axis in (down, across):
        axis[-side:-shift], axis[-shift:] = 1, 2
    regions = (3 * down[:, None] + across).unflatten(1, (-1, side)).unflatten(0, (-1, side))
    regions = regions.transpose(1, 2).reshape(-1, side * side)
    return ((regions[:, None] != regions[:, :, None]) * APART).to(device, dtype)
