"""The prompt: its words, who of them may look at whom, and what BERT makes of them."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.layers import Linear, Norm
from lookalike.adapters.grounding_dino.shape import Shape

SPECIAL = ("[CLS]", "[SEP]", ".", "?")
"""What ends a phrase of the prompt."""
LONGEST = 256


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Word pieces (t,), their places in their phrases (t,), and which may look at which (t, t). Ends of phrases in `ends`."""

    text: str
    ids: Tensor
    places: Tensor
    mask: Tensor
    ends: list[int]


class Words:
    """Text to word pieces and back, as `bert-base-uncased` has them."""

    def __init__(self, vocabulary: Path) -> None:
        self._pieces = BertWordPieceTokenizer.from_file(str(vocabulary), lowercase=True)
        self._special = {self._pieces.token_to_id(word) for word in SPECIAL}

    def prompt(self, text: str) -> Prompt:
        """Phrases end with a dot. Raises `ValueError` if it has more than 256 word pieces."""
        text = text.lower().strip()
        text = text if text.endswith(".") else f"{text}."
        ids: list[int] = self._pieces.encode(text).ids
        if len(ids) > LONGEST:
            raise ValueError(f"The prompt has {len(ids)} word pieces, of at most {LONGEST}")
        ends = [place for place, one in enumerate(ids) if one in self._special]
        return Prompt(text, torch.tensor(ids), places(ends), mask(ends), ends)

    def decode(self, ids: list[int]) -> str:
        return str(self._pieces.decode(ids, skip_special_tokens=False))


def places(ends: list[int]) -> Tensor:
    """The place of each piece in its phrase (t,)."""
    found = torch.zeros(ends[-1] + 1, dtype=torch.long)
    for before, end in pairwise(ends[:-1]):
        found[before + 1 : end + 1] = torch.arange(end - before)
    return found


def mask(ends: list[int]) -> Tensor:
    """True where a piece may look at another (t, t): within its phrase."""
    found = torch.eye(ends[-1] + 1, dtype=torch.bool)
    for before, end in pairwise(ends[:-1]):
        found[before + 1 : end + 1, before + 1 : end + 1] = True
    return found


class Bert(nn.Module):
    """`bert-base-uncased` without its pooler, which nothing here asks for."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(BertLayer(shape) for _ in range(shape.text_layers))

    def forward(self, prompt: Prompt) -> Tensor:
        """Of shape (t, text width)."""
        words = self.embeddings(prompt)
        for layer in self.encoder.layer:
            words = layer(words, prompt.mask)
        return words


class Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocabulary, shape.text_width)
        self.position_embeddings = nn.Embedding(512, shape.text_width)
        self.token_type_embeddings = nn.Embedding(2, shape.text_width)
        self.LayerNorm = Norm(shape.text_width, eps=1e-12)

    def forward(self, prompt: Prompt) -> Tensor:
        words = self.word_embeddings(prompt.ids) + self.position_embeddings(prompt.places)
        return self.LayerNorm(words + self.token_type_embeddings.weight[0])


class BertLayer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.text_width
        self.heads = shape.text_heads
        self.attention = nn.Module()
        self.attention.self = nn.ModuleDict({name: Linear(width, width) for name in ("query", "key", "value")})
        self.attention.output = nn.ModuleDict({"dense": Linear(width, width), "LayerNorm": Norm(width, eps=1e-12)})
        self.intermediate = nn.ModuleDict({"dense": Linear(width, shape.text_feed_forward)})
        self.output = nn.ModuleDict(
            {"dense": Linear(shape.text_feed_forward, width), "LayerNorm": Norm(width, eps=1e-12)}
        )

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (self._split(part(words)) for part in self.attention.self.values())
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        found = self.attention.output["dense"](found.transpose(0, 1).flatten(1))
        words = self.attention.output["LayerNorm"](words + found)
        found = self.output["dense"](F.gelu(self.intermediate["dense"](words)))
        return self.output["LayerNorm"](words + found)

    def _split(self, words: Tensor) -> Tensor:
        return words.unflatten(-1, (self.heads, -1)).transpose(0, 1)
