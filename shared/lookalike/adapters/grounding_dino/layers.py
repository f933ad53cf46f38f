"""What several parts of the network share. Modules carry the checkpoint's names."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPES = 4
"""Of photos, for which what depends on nothing else is kept: some 50 MB each."""
AT_ONCE = 4096
"""Rows that a CPU takes through a perceptron at a time."""
Alive = Callable[[], None]
"""Called between layers; raises where nobody waits for the outcome any more."""


class Linear(nn.Linear):
    """Computes in the precision of its weights, whatever comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class Norm(nn.LayerNorm):
    """Computes in the precision of what comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class Perceptron(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(*pair) for pair in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu_()
        return self.layers[-1](x)


class Attention(nn.Module):
    """Multi-head attention, its projections named as torch's own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Of shapes (b, q, width), (b, k, width) twice, and (q, k), true where a query may look: (b, q, width)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        inputs = zip((query, key, value), weights, biases, strict=True)
        q, k, v = (self._split(F.linear(x.to(weight.dtype), weight, bias)) for x, weight, bias in inputs)
        return self.out_proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def by_parts(work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`work` of the rows (…, width): on a CPU of so many at a time that what is between its layers stays in the cache."""
    rows = x.flatten(0, -2)
    parts = rows.split(AT_ONCE) if x.device.type == "cpu" else [rows]
    return torch.cat([work(part) for part in parts]).view_as(x)


def feed_forward(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    """Linear, ReLU, linear."""
    return by_parts(lambda part: second(first(part).relu_()), x)


def logit(x: Tensor, least: float = 1e-3) -> Tensor:
    """The inverse of the sigmoid, of numbers kept `least` away from 0 and 1, as the published network has it."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=least) / (1 - x).clamp(min=least))


def waves(positions: Tensor, width: int, temperature: float) -> Tensor:
    """Sines and cosines in turn (…, width) of positions (…), which are fractions of a full turn."""
    steps = torch.arange(width, dtype=torch.float32, device=positions.device).div(2, rounding_mode="floor")
    angles = positions[..., None] * 2 * torch.pi / temperature ** (2 * steps / width)
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)
