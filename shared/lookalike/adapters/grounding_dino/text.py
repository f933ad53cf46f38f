"""Prompts of GroundingDINO: word pieces, phrase positions, attention mask, and BERT (Devlin et al., 2019)."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.config import ModelConfig
from lookalike.adapters.grounding_dino.layers import LayerNorm, Linear

BOUNDARY_TOKENS = ("[CLS]", "[SEP]", ".", "?")
"""Tokens that separate the phrases of a prompt, as `specical_tokens` in IDEA-Research/GroundingDINO."""
MAX_TOKENS = 256
"""Tokens of the longest prompt that the published network was trained for, with `[CLS]` and `[SEP]`."""
MAX_POSITIONS, NORM_EPS = 512, 1e-12
"""Position embeddings and layer norm epsilon of bert-base-uncased."""


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A tokenized prompt.

    `token_ids` (t,). `positions` (t,): each token's position in its phrase. `mask` (t, t): true where a token may
    attend to another. `boundaries`: ascending positions of the first token, the tokens between phrases, and the last.
    """

    text: str
    token_ids: Tensor
    positions: Tensor
    mask: Tensor
    boundaries: list[int]


class Tokenizer:
    """Word piece tokenizer of bert-base-uncased."""

    def __init__(self, vocabulary: Path) -> None:
        self._pieces = BertWordPieceTokenizer.from_file(str(vocabulary), lowercase=True)
        self._boundary_ids = {self._pieces.token_to_id(token) for token in BOUNDARY_TOKENS}

    def tokenize(self, text: str) -> Prompt:
        """Tokenize a prompt, whose phrases end with a dot. Raises `ValueError` if it has more than 256 tokens."""
        text = text.lower().strip()
        text = text if text.endswith(".") else f"{text}."
        ids: list[int] = self._pieces.encode(text).ids
        if len(ids) > MAX_TOKENS:
            raise ValueError(f"The prompt has {len(ids)} word pieces; the limit is {MAX_TOKENS}")
        boundaries = [position for position, token in enumerate(ids) if token in self._boundary_ids]
        return Prompt(text, torch.tensor(ids), phrase_positions(boundaries), phrase_mask(boundaries), boundaries)

    def decode(self, ids: list[int]) -> str:
        """Join word pieces to text."""
        return str(self._pieces.decode(ids, skip_special_tokens=False))


def phrase_positions(boundaries: list[int]) -> Tensor:
    """Return the position of each token in its phrase (t,)."""
    positions = torch.zeros(boundaries[-1] + 1, dtype=torch.long)
    # `[SEP]`, the last boundary, keeps position 0 and attends only to itself, as in IDEA-Research/GroundingDINO
    for before, end in pairwise(boundaries[:-1]):
        positions[before + 1 : end + 1] = torch.arange(end - before)
    return positions


def phrase_mask(boundaries: list[int]) -> Tensor:
    """Return a mask (t, t) that is true where both tokens belong to the same phrase."""
    mask = torch.eye(boundaries[-1] + 1, dtype=torch.bool)
    for before, end in pairwise(boundaries[:-1]):
        mask[before + 1 : end + 1, before + 1 : end + 1] = True
    return mask


class Bert(nn.Module):
    """bert-base-uncased without its pooler, which GroundingDINO does not use."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(BertLayer(config) for _ in range(config.text_layers))

    def forward(self, prompt: Prompt) -> Tensor:
        """Return the token features (t, text_width)."""
        tokens = self.embeddings(prompt)
        for layer in self.encoder.layer:
            tokens = layer(tokens, prompt.mask)
        return tokens


class Embeddings(nn.Module):
    """Sum of word, position and token type embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.text_width)
        self.position_embeddings = nn.Embedding(MAX_POSITIONS, config.text_width)
        self.token_type_embeddings = nn.Embedding(2, config.text_width)
        self.LayerNorm = LayerNorm(config.text_width, eps=NORM_EPS)

    def forward(self, prompt: Prompt) -> Tensor:
        """Return the embedded tokens (t, text_width)."""
        embedded = self.word_embeddings(prompt.token_ids) + self.position_embeddings(prompt.positions)
        return self.LayerNorm(embedded + self.token_type_embeddings.weight[0])


class BertLayer(nn.Module):
    """Post-norm transformer layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, inner = config.text_width, config.text_feed_forward
        self.heads = config.text_heads
        self.attention = nn.Module()
        self.attention.self = nn.ModuleDict({name: Linear(width, width) for name in ("query", "key", "value")})
        self.attention.output = nn.ModuleDict(
            {"dense": Linear(width, width), "LayerNorm": LayerNorm(width, eps=NORM_EPS)}
        )
        self.intermediate = nn.ModuleDict({"dense": Linear(width, inner)})
        self.output = nn.ModuleDict({"dense": Linear(inner, width), "LayerNorm": LayerNorm(width, eps=NORM_EPS)})

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map tokens (t, text_width) to the same shape. `mask` (t, t) is true where a token may attend to another."""
        query, key, value = (self._split_heads(layer(tokens)) for layer in self.attention.self.values())
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended = self.attention.output["dense"](attended.transpose(0, 1).flatten(1))
        tokens = self.attention.output["LayerNorm"](tokens + attended)
        hidden = self.output["dense"](F.gelu(self.intermediate["dense"](tokens)))
        return self.output["LayerNorm"](tokens + hidden)

    def _split_heads(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(0, 1)
