"""Backbone of GroundingDINO: a Swin transformer (Liu et al., 2021, arXiv:2103.14030).

Attribute names are keys of the published checkpoint. Feature maps are (b, h, w, width), channels last.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.config import ModelConfig
from lookalike.adapters.grounding_dino.layers import CancelCheck, LayerNorm, Linear, apply_in_chunks

PATCH = 4
"""Pixels per side of a patch, which becomes one cell."""
MASKED = -100.0
"""Attention bias between cells of a shifted window that are not neighbors in the photo (Swin's value)."""


class Swin(nn.Module):
    """Extracts feature maps at 1/8, 1/16 and 1/32 of a photo's resolution."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = config.swin_widths
        self.patch_embed = PatchEmbedding(widths[0])
        last = len(widths) - 1
        stages = enumerate(zip(widths, config.swin_depths, config.swin_heads, strict=True))
        self.layers = nn.ModuleList(
            Stage(width, depth, heads, config.window, has_downsampling=number < last)
            for number, (width, depth, heads) in stages
        )
        for stage in range(1, len(widths)):
            self.add_module(f"norm{stage}", LayerNorm(widths[stage]))

    def forward(self, pixels: Tensor, check_cancelled: CancelCheck) -> list[Tensor]:
        """Map normalized RGB (b, 3, h, w) to feature maps (b, h', w', width), the finest first."""
        cells, maps = self.patch_embed(pixels), []
        for number, stage in enumerate(self.layers):
            for block in stage.blocks:
                check_cancelled()
                cells = block(cells)
            if number:
                maps.append(getattr(self, f"norm{number}")(cells))
            cells = stage.downsample(cells)
        return maps


class PatchEmbedding(nn.Module):
    """Embeds non-overlapping patches of pixels as cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)
        self.norm = LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (b, 3, h, w), padded to multiples of the patch, to (b, h / 4, w / 4, width)."""
        height, width = pixels.shape[-2:]
        pixels = F.pad(pixels, (0, -width % PATCH, 0, -height % PATCH)).to(self.proj.weight.dtype)
        return self.norm(self.proj(pixels).permute(0, 2, 3, 1).contiguous())


class Stage(nn.Module):
    """Blocks of one resolution, and the downsampling after them. `Swin` runs them."""

    def __init__(self, width: int, depth: int, heads: int, window: int, has_downsampling: bool) -> None:
        super().__init__()
        shifts = [0 if number % 2 == 0 else window // 2 for number in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, window, shift) for shift in shifts)
        self.downsample = PatchMerging(width) if has_downsampling else nn.Identity()


class PatchMerging(nn.Module):
    """Merges each 2 x 2 cells into one cell of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = Linear(4 * width, 2 * width, bias=False)
        self.norm = LayerNorm(4 * width)

    def forward(self, cells: Tensor) -> Tensor:
        """Map (b, h, w, width) to (b, ceil(h / 2), ceil(w / 2), 2 * width)."""
        cells = F.pad(cells, (0, 0, 0, cells.shape[2] % 2, 0, cells.shape[1] % 2))
        corners = [cells[:, y::2, x::2] for x in (0, 1) for y in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, -1)))


class Block(nn.Module):
    """Attention within windows, shifted in every other block, and a feed-forward network."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.mlp = nn.ModuleDict({"fc1": Linear(width, 4 * width), "fc2": Linear(4 * width, width)})

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (b, h, w, width) to the same shape."""
        cells = cells + self._attend_in_windows(self.norm1(cells))
        return cells + apply_in_chunks(lambda chunk: self.mlp["fc2"](F.gelu(self.mlp["fc1"](chunk))), self.norm2(cells))

    def _attend_in_windows(self, cells: Tensor) -> Tensor:
        _, height, width, _ = cells.shape
        side, shift = self.window, self.shift
        cells = F.pad(cells, (0, 0, 0, -width % side, 0, -height % side))
        mask = None
        if shift:
            # Rolling the map shifts the windows. Cells that wrap around the edge are masked.
            cells = cells.roll((-shift, -shift), (1, 2))
            mask = shifted_window_mask(cells.shape[1], cells.shape[2], side, shift, cells.device, cells.dtype)
        rows, columns = cells.shape[1] // side, cells.shape[2] // side
        windows = cells.unflatten(2, (columns, side)).unflatten(1, (rows, side)).transpose(2, 3)
        attended = self.attn(windows.reshape(-1, side * side, cells.shape[-1]), mask)
        attended = attended.view(*windows.shape).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        attended = attended.roll((shift, shift), (1, 2)) if shift else attended
        return attended[:, :height, :width]


class WindowAttention(nn.Module):
    """Multi-head self-attention in windows, with a learned bias for each relative position."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", torch.empty(window**2, window**2, dtype=torch.long))
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Map windows (b * n, cells, width) to the same shape. `mask` (n, cells, cells) is added to the scores."""
        query, key, value = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None].to(query.dtype)
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(len(windows) // len(mask), 1, 1, 1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(attended.transpose(1, 2).flatten(2))


@lru_cache(maxsize=16)
def shifted_window_mask(
    height: int, width: int, side: int, shift: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return the attention bias (windows, cells, cells) of a rolled map: `MASKED` between cells that wrapped around.

    As in the Swin implementation, cells are numbered by region, and only cells of the same region attend to each other.
    """
    rows, columns = (torch.zeros(length, dtype=torch.long) for length in (height, width))
    for axis in (rows, columns):
        axis[-side:-shift], axis[-shift:] = 1, 2
    regions = (3 * rows[:, None] + columns).unflatten(1, (-1, side)).unflatten(0, (-1, side))
    regions = regions.transpose(1, 2).reshape(-1, side * side)
    return ((regions[:, None] != regions[:, :, None]) * MASKED).to(device, dtype)
