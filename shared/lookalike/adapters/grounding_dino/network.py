"""GroundingDINO (Liu et al., 2023) for inference: what a prompt names is found in photos of one size.

The modules carry the names of the published checkpoint. Three things are done otherwise than in IDEA-Research/GroundingDINO,
to the same numbers: photos of a batch have one size, so nothing is masked; the text is encoded once for a prompt; and where
photo and text look at each other, the projections of the few words are multiplied together first.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.deformable import (
    DeformableAttention,
    Places,
    Sizes,
    places_of_boxes,
    sides,
)
from lookalike.adapters.grounding_dino.layers import (
    SHAPES,
    Alive,
    Attention,
    Linear,
    Norm,
    Perceptron,
    feed_forward,
    logit,
    waves,
)
from lookalike.adapters.grounding_dino.shape import HEADS, LEVELS, WIDTH, Shape
from lookalike.adapters.grounding_dino.swin import Swin
from lookalike.adapters.grounding_dino.text import Bert, Prompt

WORD_HEADS = HEADS // 2
"""Of attention between words, and between words and the photo."""
PROPOSAL, EDGE = 0.05, 0.01
"""Side of what is proposed at each cell of the finest map; cells nearer to the photo's edge propose nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """What the network needs of a prompt: its words (t, width) and their places as waves (t, width), who may look at whom (t, t)."""

    prompt: Prompt
    words: Tensor
    waves: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "Text":
        return Text(self.prompt, *(part.to(device) for part in (self.words, self.waves, self.mask)))


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The photo's cells (b, s, width) and the words (b, t, width), each having looked at the other."""

    cells: Tensor
    words: Tensor
    sizes: Sizes


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What is looked for: starting points (b, q, width), and boxes (b, q, 4) as logits of centre and size."""

    content: Tensor
    boxes: Tensor


class GroundingDino(nn.Module):
    """Made without weights: `pytorch.load` puts the checkpoint's in, `prepare` makes it ready."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.bert = Bert(shape)
        self.feat_map = Linear(shape.text_width, WIDTH)
        self.backbone = nn.ModuleList([Swin(shape)])
        self.input_proj = nn.ModuleList(projections(shape.swin_widths[1:]))
        self.transformer = Transformer(shape)
        self.bbox_embed = nn.ModuleList([Perceptron(WIDTH, WIDTH, WIDTH, 4)])

    def prepare(self, dtype: torch.dtype) -> "GroundingDino":
        """Ready to run, with weights in that precision where that is worth it: not of words, boxes and scores."""
        transformer = self.transformer
        for module in transformer.modules():
            if isinstance(module, DeformableAttention):
                module.part_axes()
        for part in (self.backbone, self.input_proj, transformer.encoder.layers, transformer.decoder.layers):
            part.to(dtype)
        return self.eval().requires_grad_(False)

    def read(self, prompt: Prompt) -> Text:
        """Once for a prompt."""
        words = self.feat_map(self.bert(prompt))
        return Text(prompt, words, waves(prompt.places, WIDTH, 10000), prompt.mask)

    def forward(self, pixels: Tensor, text: Text, alive: Alive) -> tuple[Tensor, Tensor]:
        """Of normalised RGB (b, 3, h, w): scores of each query and word (b, q, t), boxes (b, q, 4) as centre and size.

        Both are shares, 0 to 1: of certainty, and of the photo's width and height.
        """
        encoded = self.encode(self.look(pixels, alive), text, alive)
        fits, boxes = self.decode(self.ask(encoded), encoded, alive)
        return fits.sigmoid(), boxes

    def look(self, pixels: Tensor, alive: Alive) -> list[Tensor]:
        """The backbone: four maps (b, width, h', w'), each half as large as the one before."""
        maps = [cells.permute(0, 3, 1, 2) for cells in self.backbone[0](pixels, alive)]
        maps = [*maps, maps[-1]]
        projected = [layer[0](cells) for layer, cells in zip(self.input_proj, maps, strict=True)]
        return [layer[1](cells.contiguous()) for layer, cells in zip(self.input_proj, projected, strict=True)]

    def encode(self, maps: list[Tensor], text: Text, alive: Alive) -> Encoded:
        """Cells look at words and at each other."""
        sizes = tuple((cells.shape[2], cells.shape[3]) for cells in maps)
        cells = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)
        words = text.words.expand(len(cells), -1, -1)
        return self.transformer.encoder(cells, words, text, self._positions(sizes, cells), sizes, alive)

    def _positions(self, sizes: Sizes, like: Tensor) -> Tensor:
        """Where each cell is, and on which map (s, width)."""
        levels = [
            place + level
            for place, level in zip(positions(sizes, like.device), self.transformer.level_embed, strict=True)
        ]
        return torch.cat(levels).to(like.dtype)

    def ask(self, encoded: Encoded) -> Queries:
        """The cells that fit the words best become queries."""
        transformer = self.transformer
        proposals, inside = proposed(encoded.sizes, encoded.cells.device)
        cells = transformer.enc_output_norm(transformer.enc_output(encoded.cells * inside[:, None]))
        fits = (cells @ encoded.words.transpose(1, 2)).amax(-1)
        best = fits.topk(len(transformer.tgt_embed.weight), dim=1).indices
        chosen = cells.gather(1, best[..., None].expand(-1, -1, WIDTH))
        boxes = transformer.enc_out_bbox_embed(chosen) + proposals[best]
        return Queries(transformer.tgt_embed.weight.expand(len(best), -1, -1), boxes)

    def decode(self, queries: Queries, encoded: Encoded, alive: Alive) -> tuple[Tensor, Tensor]:
        """What each query found: how it fits each word (b, q, t) as logits, and its box as `forward` gives it."""
        decoder, box = self.transformer.decoder, self.bbox_embed[0]
        content, boxes = queries.content, queries.boxes.sigmoid()
        for number, layer in enumerate(decoder.layers):
            alive()
            content = layer(content, decoder.ref_point_head(box_waves(boxes)), boxes, encoded)
            if number < len(decoder.layers) - 1:
                boxes = (box(content) + logit(boxes)).sigmoid()
        found = decoder.norm(content)
        return found @ encoded.words.transpose(1, 2), (box(found) + logit(boxes)).sigmoid()


def projections(widths: list[int]) -> list[nn.Module]:
    """From the backbone's maps to the transformer's width; the last one halves the smallest map once more."""
    convolutions = [nn.Conv2d(width, WIDTH, 1) for width in widths]
    convolutions += [nn.Conv2d(widths[-1], WIDTH, 3, 2, 1) for _ in range(LEVELS - len(widths))]
    return [nn.Sequential(convolution, nn.GroupNorm(32, WIDTH)) for convolution in convolutions]


class Transformer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.level_embed = nn.Parameter(torch.empty(LEVELS, WIDTH))
        self.tgt_embed = nn.Embedding(shape.queries, WIDTH)
        self.enc_output, self.enc_output_norm = Linear(WIDTH, WIDTH), Norm(WIDTH)
        self.enc_out_bbox_embed = Perceptron(WIDTH, WIDTH, WIDTH, 4)
        self.encoder, self.decoder = Encoder(shape), Decoder(shape)


class Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fusion_layers = nn.ModuleList(Fusion(shape) for _ in range(shape.encoder_layers))
        self.text_layers = nn.ModuleList(WordLayer(shape) for _ in range(shape.encoder_layers))
        self.layers = nn.ModuleList(CellLayer(shape) for _ in range(shape.encoder_layers))

    def forward(self, cells: Tensor, words: Tensor, text: Text, here: Tensor, sizes: Sizes, alive: Alive) -> Encoded:
        places = grid(sizes, cells.device)
        for fusion, word_layer, layer in zip(self.fusion_layers, self.text_layers, self.layers, strict=True):
            alive()
            cells, words = fusion(cells, words)
            words = word_layer(words, text)
            alive()
            cells = layer(cells, here, places)
        return Encoded(cells.float(), words, sizes)


class Fusion(nn.Module):
    """Cells and words look at each other, in float32: there are so few words that this costs little."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer_norm_v, self.layer_norm_l = Norm(WIDTH), Norm(WIDTH)
        self.attn = CrossAttention(shape.feed_forward // 2)
        self.gamma_v, self.gamma_l = nn.Parameter(torch.empty(WIDTH)), nn.Parameter(torch.empty(WIDTH))

    def forward(self, cells: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Of shapes (b, s, width) and (b, t, width), which they keep."""
        dtype = cells.dtype
        cells, words = self.layer_norm_v(cells.float()), self.layer_norm_l(words)
        found_by_cells, found_by_words = self.attn(cells, words, self.gamma_v)
        return (cells + found_by_cells).to(dtype), words + self.gamma_l * found_by_words


class CrossAttention(nn.Module):
    """Attention both ways between many cells and few words.

    A cell's query times a word's key is the cell times (query weights times key): so the words are projected back
    to the cells' width, and the cells need no projection at all. The same holds of their values.
    """

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.v_proj, self.l_proj = Linear(WIDTH, inner), Linear(WIDTH, inner)
        self.values_v_proj, self.values_l_proj = Linear(WIDTH, inner), Linear(WIDTH, inner)
        self.out_v_proj, self.out_l_proj = Linear(inner, WIDTH), Linear(inner, WIDTH)

    def forward(self, cells: Tensor, words: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        """What cells found (b, s, width), times gamma, and what words found (b, t, width)."""
        keys, bias = self._keys(words)
        fits = torch.baddbmm(bias[:, None], cells, keys.transpose(1, 2))
        by_heads = fits.unflatten(-1, (WORD_HEADS, -1))
        values = self._values(words) * gamma
        found_by_cells = torch.baddbmm(self.out_v_proj.bias * gamma, by_heads.softmax(-1).flatten(2), values)
        looked = (fits.transpose(1, 2).softmax(-1) @ cells).unflatten(1, (WORD_HEADS, -1))
        return found_by_cells, self._read(looked)

    def _keys(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """For each head and word: what a cell is multiplied with (b, heads * t, width), and what is added (b, heads * t)."""
        keys = self.l_proj(words).unflatten(-1, (WORD_HEADS, -1))
        weight, bias = by_head(self.v_proj.weight), by_head(self.v_proj.bias)
        scale = keys.shape[-1] ** -0.5
        back = torch.einsum("bthd,hdc->bhtc", keys, weight).flatten(1, 2)
        return back * scale, torch.einsum("bthd,hd->bht", keys, bias).flatten(1) * scale

    def _values(self, words: Tensor) -> Tensor:
        """For each head and word: what a cell gets of it (b, heads * t, width)."""
        values = self.values_l_proj(words).unflatten(-1, (WORD_HEADS, -1))
        return torch.einsum("bthd,hdc->bhtc", values, by_head(self.out_v_proj.weight.T)).flatten(1, 2)

    def _read(self, looked: Tensor) -> Tensor:
        """What words make of the cells that they looked at (b, heads, t, width)."""
        weight, bias = by_head(self.values_v_proj.weight), by_head(self.values_v_proj.bias)
        found = torch.einsum("bhtc,hdc->bthd", looked, weight) + bias
        return self.out_l_proj(found.flatten(2))


def by_head(weight: Tensor) -> Tensor:
    """Rows (inner, ·) as (heads, inner / heads, ·)."""
    return weight.unflatten(0, (WORD_HEADS, -1))


class WordLayer(nn.Module):
    """Words look at the words of their phrase."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = shape.feed_forward // 2
        self.self_attn = Attention(WIDTH, WORD_HEADS)
        self.linear1, self.linear2 = Linear(WIDTH, inner), Linear(inner, WIDTH)
        self.norm1, self.norm2 = Norm(WIDTH), Norm(WIDTH)

    def forward(self, words: Tensor, text: Text) -> Tensor:
        placed = words + text.waves
        words = self.norm1(words + self.self_attn(placed, placed, words, text.mask))
        return self.norm2(words + feed_forward(words, self.linear1, self.linear2))


class CellLayer(nn.Module):
    """Cells look at cells."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = DeformableAttention()
        self.linear1, self.linear2 = Linear(WIDTH, shape.feed_forward), Linear(shape.feed_forward, WIDTH)
        self.norm1, self.norm2 = Norm(WIDTH), Norm(WIDTH)

    def forward(self, cells: Tensor, here: Tensor, places: Places) -> Tensor:
        cells = self.norm1(cells + self.self_attn(cells + here, cells, places))
        return self.norm2(cells + feed_forward(cells, self.linear1, self.linear2))


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(QueryLayer(shape) for _ in range(shape.decoder_layers))
        self.norm = Norm(WIDTH)
        self.ref_point_head = Perceptron(2 * WIDTH, WIDTH, WIDTH)


class QueryLayer(nn.Module):
    """Queries look at each other, at the words, and at cells around their boxes."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn, self.norm2 = Attention(WIDTH, HEADS), Norm(WIDTH)
        self.ca_text, self.catext_norm = Attention(WIDTH, HEADS), Norm(WIDTH)
        self.cross_attn, self.norm1 = DeformableAttention(), Norm(WIDTH)
        self.linear1, self.linear2 = Linear(WIDTH, shape.feed_forward), Linear(shape.feed_forward, WIDTH)
        self.norm3 = Norm(WIDTH)

    def forward(self, content: Tensor, here: Tensor, boxes: Tensor, encoded: Encoded) -> Tensor:
        placed = content + here
        content = self.norm2(content + self.self_attn(placed, placed, content))
        content = self.catext_norm(content + self.ca_text(content + here, encoded.words, encoded.words))
        places = places_of_boxes(boxes, encoded.sizes)
        content = self.norm1(content + self.cross_attn(content + here, encoded.cells, places))
        return self.norm3(content + feed_forward(content, self.linear1, self.linear2))


@lru_cache(maxsize=SHAPES)
def positions(sizes: Sizes, device: torch.device) -> tuple[Tensor, ...]:
    """Waves of the place of each cell in its map: a tensor (h * w, width) a map, down before across."""
    found = []
    for height, width in sizes:
        down, across = (torch.arange(1, side + 1, device=device) / (side + 1e-6) for side in (height, width))
        waved = [waves(axis, WIDTH // 2, 20) for axis in (down, across)]
        whole = [waved[0][:, None].expand(height, width, -1), waved[1].expand(height, width, -1)]
        found.append(torch.cat(whole, -1).flatten(0, 1))
    return tuple(found)


@lru_cache(maxsize=SHAPES)
def grid(sizes: Sizes, device: torch.device) -> Places:
    """Cells look from their own middles."""
    middles = middles_of(sizes, device)
    return Places(sizes, (middles[..., None] * sides(sizes, device) + 0.5)[None])


def middles_of(sizes: Sizes, device: torch.device) -> Tensor:
    """The middle of each cell of all maps (s, 2), x before y, as shares of the photo."""
    found = []
    for height, width in sizes:
        down, across = ((torch.arange(side, device=device) + 0.5) / side for side in (height, width))
        y, x = torch.meshgrid(down, across, indexing="ij")
        found.append(torch.stack([x, y], -1).flatten(0, 1))
    return torch.cat(found)


@lru_cache(maxsize=SHAPES)
def proposed(sizes: Sizes, device: torch.device) -> tuple[Tensor, Tensor]:
    """A box at each cell (s, 4) as logits, infinite near the photo's edge; and which cells are not near it (s,)."""
    squares = [torch.full((height * width, 2), PROPOSAL * 2**level) for level, (height, width) in enumerate(sizes)]
    boxes = torch.cat([middles_of(sizes, device), torch.cat(squares).to(device)], 1)
    inside = ((boxes > EDGE) & (boxes < 1 - EDGE)).all(1)
    return torch.where(inside[:, None], torch.log(boxes / (1 - boxes)), torch.inf), inside


def box_waves(boxes: Tensor) -> Tensor:
    """Boxes (b, q, 4) as waves (b, q, 2 * width): y, x, width, height."""
    x, y, width, height = waves(boxes, WIDTH // 2, 10000).unbind(-2)
    return torch.cat([y, x, width, height], -1)
