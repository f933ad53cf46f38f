"""Another embedder: DINOv2 ViT-S/14 (Oquab et al., 2023), 384 numbers. The example of how one joins: see the README.

It learned to tell pictures apart without labels, and so sees more of cut, cloth and pattern than a classifier does.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.adapters.batching import Alive
from lookalike.adapters.pytorch import Engine, load

WIDTH, HEADS, DEPTH, PATCH = 384, 6, 12, 14
GRID = 37
"""Patches to a side that the checkpoint has places for."""
OFFSET = 0.1
"""Added to the grid before places are interpolated, as facebookresearch/dinov2 does."""


class DinoV2(nn.Module):
    """Modules carry the checkpoint's names."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + GRID**2, WIDTH))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, pixels: Tensor, alive: Alive) -> Tensor:
        """Of normalised RGB (n, 3, h, w), sides multiples of 14: (n, 384)."""
        patches = self.patch_embed["proj"](pixels)
        places = self._places(*patches.shape[-2:])
        tokens = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], 1) + places
        for block in self.blocks:
            alive()
            tokens = block(tokens)
        return self.norm(tokens[:, 0])

    def _places(self, height: int, width: int) -> Tensor:
        if height == width == GRID:
            return self.pos_embed
        there = self.pos_embed[:, 1:].float().unflatten(1, (GRID, GRID)).permute(0, 3, 1, 2)
        scale = ((height + OFFSET) / GRID, (width + OFFSET) / GRID)
        here = F.interpolate(there, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], here.to(self.pos_embed.dtype)], 1)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6), nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": torch.empty(WIDTH)}) for _ in range(2))
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)})

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.attn["qkv"](self.norm1(tokens)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.ls1["gamma"] * self.attn["proj"](found)
        inner = F.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return tokens + self.ls2["gamma"] * self.mlp["fc2"](inner)


def open_network(weights: Path, engine: Engine) -> DinoV2:
    """Ready to run. Raises as `pytorch.load` does."""
    return load(DinoV2, weights).eval().requires_grad_(False).to(engine.device, engine.dtype)
