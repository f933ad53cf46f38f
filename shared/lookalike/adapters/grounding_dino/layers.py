"""Layers and functions shared by the parts of GroundingDINO. Attribute names are keys of the published checkpoint."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CACHED_SIZES = 4
"""Photo sizes whose position tensors are cached: about 50 MB each."""
CHUNK_ROWS = 4096
"""Rows that a CPU takes through a feed-forward network at a time: their activations fit in its cache."""
CancelCheck = Callable[[], None]
"""Called between layers. Raises if no caller waits for the result any more."""


class Linear(nn.Linear):
    """Linear layer that casts its input to the precision of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs)."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    """Layer norm that computes in the precision of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (…, width)."""
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class MLP(nn.Module):
    """Linear layers of the given widths, with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(*pair) for pair in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, first width) to (…, last width)."""
        for layer in self.layers[:-1]:
            x = layer(x).relu_()
        return self.layers[-1](x)


class Attention(nn.Module):
    """Multi-head attention with the parameter names of `nn.MultiheadAttention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend from queries (b, q, width) to keys and values (b, k, width): (b, q, width).

        `mask` (q, k) is true where a query may attend to a key.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        inputs = zip((query, key, value), weights, biases, strict=True)
        q, k, v = (self._split_heads(F.linear(x.to(weight.dtype), weight, bias)) for x, weight, bias in inputs)
        return self.out_proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def apply_in_chunks(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of rows to (…, width), on a CPU in chunks that fit in its cache. The shape stays the same."""
    rows = x.flatten(0, -2)
    chunks = rows.split(CHUNK_ROWS) if x.device.type == "cpu" else [rows]
    return torch.cat([function(chunk) for chunk in chunks]).view_as(x)


def feed_forward(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    """Apply a linear layer, ReLU and a second linear layer to (…, width)."""
    return apply_in_chunks(lambda chunk: second(first(chunk).relu_()), x)


def logit(x: Tensor, eps: float = 1e-3) -> Tensor:
    """Invert the sigmoid, with x and 1 - x of at least `eps`, as `inverse_sigmoid` in IDEA-Research/GroundingDINO."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def sine_encoding(positions: Tensor, width: int, temperature: float) -> Tensor:
    """Encode positions (…), in turns, as interleaved sines and cosines (…, width) (Vaswani et al., 2017)."""
    steps = torch.arange(width, dtype=torch.float32, device=positions.device).div(2, rounding_mode="floor")
    angles = positions[..., None] * 2 * torch.pi / temperature ** (2 * steps / width)
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)
