"""DINOv2 ViT-S/14 (Oquab et al., 2023, arXiv:2304.07193): an alternative embedder with 384 numbers.

It was trained without labels, so its vectors describe cut, fabric and pattern more than a classifier's do.
docs/models.md uses this module as the example of a new embedder.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.adapters.batching import CancelCheck
from lookalike.adapters.pytorch import Engine, load_network

EMBED_DIM, HEADS, DEPTH, PATCH = 384, 6, 12, 14
"""Numbers of a token, attention heads, blocks, and pixels of a patch's side, as in the published ViT-S/14."""
GRID = 37
"""Patches per side in the checkpoint's position embeddings (518 pixels)."""
GRID_OFFSET = 0.1
"""Added to the grid size before interpolating positions: `interpolate_offset` in facebookresearch/dinov2."""


class DinoV2(nn.Module):
    """Vision transformer. Attribute names are the keys of the published checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(1, 1, EMBED_DIM))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + GRID**2, EMBED_DIM))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, EMBED_DIM, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(EMBED_DIM, eps=1e-6)

    def forward(self, pixels: Tensor, check_cancelled: CancelCheck) -> Tensor:
        """Return class tokens (n, 384) of normalized RGB (n, 3, h, w). Sides must be multiples of 14."""
        patches = self.patch_embed["proj"](pixels)
        positions = self._positions(*patches.shape[-2:])
        class_tokens = self.cls_token.expand(len(pixels), -1, -1)
        tokens = torch.cat([class_tokens, patches.flatten(2).transpose(1, 2)], 1) + positions
        for block in self.blocks:
            check_cancelled()
            tokens = block(tokens)
        return self.norm(tokens[:, 0])

    def _positions(self, height: int, width: int) -> Tensor:
        """Return the position embeddings (1, 1 + height * width, 384), interpolated to that grid."""
        if height == width == GRID:
            return self.pos_embed
        stored = self.pos_embed[:, 1:].float().unflatten(1, (GRID, GRID)).permute(0, 3, 1, 2)
        scale = ((height + GRID_OFFSET) / GRID, (width + GRID_OFFSET) / GRID)
        resized = F.interpolate(stored, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], resized.to(self.pos_embed.dtype)], 1)


class Block(nn.Module):
    """Pre-norm transformer block with LayerScale (Touvron et al., 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(EMBED_DIM, eps=1e-6), nn.LayerNorm(EMBED_DIM, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(EMBED_DIM, 3 * EMBED_DIM), "proj": nn.Linear(EMBED_DIM, EMBED_DIM)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": torch.empty(EMBED_DIM)}) for _ in range(2))
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(EMBED_DIM, 4 * EMBED_DIM), "fc2": nn.Linear(4 * EMBED_DIM, EMBED_DIM)}
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, t, 384) to the same shape."""
        query, key, value = self.attn["qkv"](self.norm1(tokens)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.ls1["gamma"] * self.attn["proj"](attended)
        hidden = F.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return tokens + self.ls2["gamma"] * self.mlp["fc2"](hidden)


def open_network(weights: Path, engine: Engine) -> DinoV2:
    """Load the checkpoint, ready for inference. Raises `Misconfigured` as `load_network` does."""
    return load_network(DinoV2, weights).eval().requires_grad_(False).to(engine.device, engine.dtype)
