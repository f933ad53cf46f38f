"""GroundingDINO (Liu et al., 2023, arXiv:2303.05499) for inference: finds what a text prompt names.

Attribute names are keys of the published checkpoint. The results equal those of IDEA-Research/GroundingDINO. Three
things are computed differently:

- Photos of a batch have one size, so no padding is masked.
- The prompt is encoded once and reused.
- Cross attention multiplies the projections of the few text tokens first (see `CrossAttention`).

Shapes: b photos, s cells of all feature maps, t text tokens, q queries.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lookalike.adapters.grounding_dino.config import EMBED_DIM, HEADS, LEVELS, ModelConfig
from lookalike.adapters.grounding_dino.deformable import (
    DeformableAttention,
    MapSizes,
    ReferencePoints,
    reference_points_of_boxes,
)
from lookalike.adapters.grounding_dino.layers import (
    MLP,
    Attention,
    CancelCheck,
    LayerNorm,
    Linear,
    feed_forward,
    logit,
    sine_encoding,
)
from lookalike.adapters.grounding_dino.positions import (
    cell_reference_points,
    encode_boxes,
    encode_cell_positions,
    propose_boxes,
)
from lookalike.adapters.grounding_dino.swin import Swin
from lookalike.adapters.grounding_dino.text import Bert, Prompt

TEXT_HEADS = HEADS // 2
"""Heads of the attention between text tokens, and between text and image."""
TEXT_TEMPERATURE = 10000
"""Temperature of the sine encoding of token positions, as in IDEA-Research/GroundingDINO."""


@dataclass(frozen=True, slots=True, eq=False)
class TextFeatures:
    """Encoded prompt: features (t, EMBED_DIM), position encodings (t, EMBED_DIM) and attention mask (t, t)."""

    prompt: Prompt
    features: Tensor
    positions: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "TextFeatures":
        """Return a copy on the device."""
        return TextFeatures(self.prompt, *(part.to(device) for part in (self.features, self.positions, self.mask)))


@dataclass(frozen=True, slots=True, eq=False)
class EncoderOutput:
    """Fused image features (b, s, EMBED_DIM) and text features (b, t, EMBED_DIM)."""

    image_features: Tensor
    text_features: Tensor
    sizes: MapSizes


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """Input of the decoder: content (b, q, EMBED_DIM) and boxes (b, q, 4), as logits of center and size."""

    content: Tensor
    boxes: Tensor


class GroundingDino(nn.Module):
    """The whole network. It is built without weights: use `pytorch.load_network`, then `prepare`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.feat_map = Linear(config.text_width, EMBED_DIM)
        self.backbone = nn.ModuleList([Swin(config)])
        self.input_proj = nn.ModuleList(input_projections(config.swin_widths[1:]))
        self.transformer = Transformer(config)
        self.bbox_embed = nn.ModuleList([MLP(EMBED_DIM, EMBED_DIM, EMBED_DIM, 4)])

    def prepare(self, dtype: torch.dtype) -> "GroundingDino":
        """Make the loaded network ready for inference and return it.

        The image layers compute in `dtype`. Text, boxes and scores stay in float32: they take little of the time.
        """
        transformer = self.transformer
        for module in transformer.modules():
            if isinstance(module, DeformableAttention):
                module.group_offsets_by_axis()
        for part in (self.backbone, self.input_proj, transformer.encoder.layers, transformer.decoder.layers):
            part.to(dtype)
        return self.eval().requires_grad_(False)

    def encode_prompt(self, prompt: Prompt) -> TextFeatures:
        """Encode the prompt with BERT. The result may be used for any number of photos."""
        features = self.feat_map(self.bert(prompt))
        return TextFeatures(prompt, features, sine_encoding(prompt.positions, EMBED_DIM, TEXT_TEMPERATURE), prompt.mask)

    def forward(self, pixels: Tensor, text: TextFeatures, check_cancelled: CancelCheck) -> tuple[Tensor, Tensor]:
        """Detect in normalized RGB photos (b, 3, h, w).

        Returns the score of each query for each token (b, q, t), 0 to 1, and the queries' boxes (b, q, 4): center and
        size as fractions of the photo.
        """
        encoded = self.encode(self.extract_features(pixels, check_cancelled), text, check_cancelled)
        logits, boxes = self.decode(self.select_queries(encoded), encoded, check_cancelled)
        return logits.sigmoid(), boxes

    def extract_features(self, pixels: Tensor, check_cancelled: CancelCheck) -> list[Tensor]:
        """Run the backbone: four maps (b, EMBED_DIM, h', w'), each with half the resolution of the one before."""
        maps = [cells.permute(0, 3, 1, 2) for cells in self.backbone[0](pixels, check_cancelled)]
        maps = [*maps, maps[-1]]
        projected = [layer[0](cells) for layer, cells in zip(self.input_proj, maps, strict=True)]
        # group norm is slow on the permuted memory layout
        return [layer[1](cells.contiguous()) for layer, cells in zip(self.input_proj, projected, strict=True)]

    def encode(self, maps: list[Tensor], text: TextFeatures, check_cancelled: CancelCheck) -> EncoderOutput:
        """Run the encoder, which fuses image and text features."""
        sizes = tuple((cells.shape[2], cells.shape[3]) for cells in maps)
        cells = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)
        return self.transformer.encoder(cells, text, self._cell_positions(sizes, cells), sizes, check_cancelled)

    def _cell_positions(self, sizes: MapSizes, cells: Tensor) -> Tensor:
        """Return encodings of each cell's position and map (s, EMBED_DIM), in the precision of the cells."""
        encodings = encode_cell_positions(sizes, cells.device)
        pairs = zip(encodings, self.transformer.level_embed, strict=True)
        return torch.cat([encoding + level for encoding, level in pairs]).to(cells.dtype)

    def select_queries(self, encoded: EncoderOutput) -> Queries:
        """Select the cells with the best score for any token; their boxes become the decoder's queries."""
        transformer = self.transformer
        proposals, is_valid = propose_boxes(encoded.sizes, encoded.image_features.device)
        cells = transformer.enc_output_norm(transformer.enc_output(encoded.image_features * is_valid[:, None]))
        logits = (cells @ encoded.text_features.transpose(1, 2)).amax(-1)
        best = logits.topk(len(transformer.tgt_embed.weight), dim=1).indices
        selected = cells.gather(1, best[..., None].expand(-1, -1, EMBED_DIM))
        boxes = transformer.enc_out_bbox_embed(selected) + proposals[best]
        # the content is learned, not taken from the cells: `embed_init_tgt` of the published configuration
        return Queries(transformer.tgt_embed.weight.expand(len(best), -1, -1), boxes)

    def decode(self, queries: Queries, encoded: EncoderOutput, check_cancelled: CancelCheck) -> tuple[Tensor, Tensor]:
        """Run the decoder: the queries' logits for each token (b, q, t), and their boxes (b, q, 4) as in `forward`."""
        decoder, box_head = self.transformer.decoder, self.bbox_embed[0]
        content, boxes = queries.content, queries.boxes.sigmoid()
        for number, layer in enumerate(decoder.layers):
            check_cancelled()
            content = layer(content, decoder.ref_point_head(encode_boxes(boxes)), boxes, encoded)
            if number < len(decoder.layers) - 1:
                boxes = (box_head(content) + logit(boxes)).sigmoid()
        # The final norm applies only to the output: the boxes between layers are refined without it.
        content = decoder.norm(content)
        return content @ encoded.text_features.transpose(1, 2), (box_head(content) + logit(boxes)).sigmoid()


def input_projections(widths: list[int]) -> list[nn.Module]:
    """Return layers from the backbone's maps to EMBED_DIM. Extra ones halve the smallest map's resolution."""
    convolutions = [nn.Conv2d(width, EMBED_DIM, 1) for width in widths]
    convolutions += [nn.Conv2d(widths[-1], EMBED_DIM, 3, 2, 1) for _ in range(LEVELS - len(widths))]
    return [nn.Sequential(convolution, nn.GroupNorm(32, EMBED_DIM)) for convolution in convolutions]


class Transformer(nn.Module):
    """Holds the encoder, the decoder and the weights between them; `GroundingDino` runs them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.level_embed = nn.Parameter(torch.empty(LEVELS, EMBED_DIM))
        self.tgt_embed = nn.Embedding(config.queries, EMBED_DIM)
        self.enc_output, self.enc_output_norm = Linear(EMBED_DIM, EMBED_DIM), LayerNorm(EMBED_DIM)
        self.enc_out_bbox_embed = MLP(EMBED_DIM, EMBED_DIM, EMBED_DIM, 4)
        self.encoder, self.decoder = Encoder(config), Decoder(config)


class Encoder(nn.Module):
    """Feature enhancer: each layer fuses image and text, then refines each of them by itself."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fusion_layers = nn.ModuleList(FusionLayer(config) for _ in range(config.encoder_layers))
        self.text_layers = nn.ModuleList(TextLayer(config) for _ in range(config.encoder_layers))
        self.layers = nn.ModuleList(ImageLayer(config) for _ in range(config.encoder_layers))

    def forward(
        self, cells: Tensor, text: TextFeatures, positions: Tensor, sizes: MapSizes, check_cancelled: CancelCheck
    ) -> EncoderOutput:
        """Fuse cells (b, s, EMBED_DIM) with position encodings (s, EMBED_DIM), and the text."""
        tokens = text.features.expand(len(cells), -1, -1)
        references = cell_reference_points(sizes, cells.device)
        for fusion_layer, text_layer, image_layer in zip(
            self.fusion_layers, self.text_layers, self.layers, strict=True
        ):
            check_cancelled()
            cells, tokens = fusion_layer(cells, tokens)
            tokens = text_layer(tokens, text)
            check_cancelled()
            cells = image_layer(cells, positions, references)
        return EncoderOutput(cells.float(), tokens, sizes)


class FusionLayer(nn.Module):
    """Attention between image cells and text tokens, both ways. In float32, since there are few tokens."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layer_norm_v, self.layer_norm_l = LayerNorm(EMBED_DIM), LayerNorm(EMBED_DIM)
        self.attn = CrossAttention(config.feed_forward // 2)
        self.gamma_v, self.gamma_l = nn.Parameter(torch.empty(EMBED_DIM)), nn.Parameter(torch.empty(EMBED_DIM))

    def forward(self, cells: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map cells (b, s, EMBED_DIM) and tokens (b, t, EMBED_DIM) to the same shapes."""
        dtype = cells.dtype
        cells, tokens = self.layer_norm_v(cells.float()), self.layer_norm_l(tokens)
        cell_update, token_update = self.attn(cells, tokens, self.gamma_v)
        return (cells + cell_update).to(dtype), tokens + self.gamma_l * token_update


class CrossAttention(nn.Module):
    """Bidirectional attention between many cells and few tokens (`BiMultiHeadAttention` of the reference).

    The score of cell x and token y is (Qx)·(Ky) = x·(QᵀKy). QᵀKy is computed for the few tokens, so the many cells need
    no query projection. In the same way the output projection is applied to the tokens' values before they are summed.
    """

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.v_proj, self.l_proj = Linear(EMBED_DIM, inner), Linear(EMBED_DIM, inner)
        self.values_v_proj, self.values_l_proj = Linear(EMBED_DIM, inner), Linear(EMBED_DIM, inner)
        self.out_v_proj, self.out_l_proj = Linear(inner, EMBED_DIM), Linear(inner, EMBED_DIM)

    def forward(self, cells: Tensor, tokens: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updates of the cells (b, s, EMBED_DIM), times gamma, and of the tokens (b, t, EMBED_DIM)."""
        keys, bias = self._token_keys(tokens)
        scores = torch.baddbmm(bias[:, None], cells, keys.transpose(1, 2))
        cell_weights = scores.unflatten(-1, (TEXT_HEADS, -1)).softmax(-1).flatten(2)
        values = self._token_values(tokens) * gamma
        cell_update = torch.baddbmm(self.out_v_proj.bias * gamma, cell_weights, values)
        attended = (scores.transpose(1, 2).softmax(-1) @ cells).unflatten(1, (TEXT_HEADS, -1))
        return cell_update, self._project_attended(attended)

    def _token_keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return QᵀKy for each head and token (b, heads * t, EMBED_DIM), and the bias of its score (b, heads * t)."""
        keys = self.l_proj(tokens).unflatten(-1, (TEXT_HEADS, -1))
        weight, bias = split_heads(self.v_proj.weight), split_heads(self.v_proj.bias)
        scale = keys.shape[-1] ** -0.5
        projected = torch.einsum("bthd,hdc->bhtc", keys, weight).flatten(1, 2)
        return projected * scale, torch.einsum("bthd,hd->bht", keys, bias).flatten(1) * scale

    def _token_values(self, tokens: Tensor) -> Tensor:
        """Return the projected value of each head and token (b, heads * t, EMBED_DIM)."""
        values = self.values_l_proj(tokens).unflatten(-1, (TEXT_HEADS, -1))
        return torch.einsum("bthd,hdc->bhtc", values, split_heads(self.out_v_proj.weight.T)).flatten(1, 2)

    def _project_attended(self, attended: Tensor) -> Tensor:
        """Apply value and output projections to the weighted cell sums of each token (b, heads, t, EMBED_DIM)."""
        weight, bias = split_heads(self.values_v_proj.weight), split_heads(self.values_v_proj.bias)
        values = torch.einsum("bhtc,hdc->bthd", attended, weight) + bias
        return self.out_l_proj(values.flatten(2))


def split_heads(weight: Tensor) -> Tensor:
    """Split rows (inner, ·) by head: (heads, inner / heads, ·)."""
    return weight.unflatten(0, (TEXT_HEADS, -1))


class TextLayer(nn.Module):
    """Self-attention of text tokens within their phrase."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner = config.feed_forward // 2
        self.self_attn = Attention(EMBED_DIM, TEXT_HEADS)
        self.linear1, self.linear2 = Linear(EMBED_DIM, inner), Linear(inner, EMBED_DIM)
        self.norm1, self.norm2 = LayerNorm(EMBED_DIM), LayerNorm(EMBED_DIM)

    def forward(self, tokens: Tensor, text: TextFeatures) -> Tensor:
        """Map tokens (b, t, EMBED_DIM) to the same shape."""
        positioned = tokens + text.positions
        tokens = self.norm1(tokens + self.self_attn(positioned, positioned, tokens, text.mask))
        return self.norm2(tokens + feed_forward(tokens, self.linear1, self.linear2))


class ImageLayer(nn.Module):
    """Deformable self-attention of image cells."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = DeformableAttention()
        self.linear1, self.linear2 = Linear(EMBED_DIM, config.feed_forward), Linear(config.feed_forward, EMBED_DIM)
        self.norm1, self.norm2 = LayerNorm(EMBED_DIM), LayerNorm(EMBED_DIM)

    def forward(self, cells: Tensor, positions: Tensor, references: ReferencePoints) -> Tensor:
        """Map cells (b, s, EMBED_DIM) to the same shape."""
        cells = self.norm1(cells + self.self_attn(cells + positions, cells, references))
        return self.norm2(cells + feed_forward(cells, self.linear1, self.linear2))


class Decoder(nn.Module):
    """Holds the decoder's layers; `GroundingDino.decode` runs them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = LayerNorm(EMBED_DIM)
        self.ref_point_head = MLP(2 * EMBED_DIM, EMBED_DIM, EMBED_DIM)


class DecoderLayer(nn.Module):
    """Attention of queries to each other, to the text, and to image cells around their boxes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn, self.norm2 = Attention(EMBED_DIM, HEADS), LayerNorm(EMBED_DIM)
        self.ca_text, self.catext_norm = Attention(EMBED_DIM, HEADS), LayerNorm(EMBED_DIM)
        self.cross_attn, self.norm1 = DeformableAttention(), LayerNorm(EMBED_DIM)
        self.linear1, self.linear2 = Linear(EMBED_DIM, config.feed_forward), Linear(config.feed_forward, EMBED_DIM)
        self.norm3 = LayerNorm(EMBED_DIM)

    def forward(self, content: Tensor, positions: Tensor, boxes: Tensor, encoded: EncoderOutput) -> Tensor:
        """Map queries (b, q, EMBED_DIM) with position encodings of this shape and boxes (b, q, 4) to the same shape."""
        positioned = content + positions
        content = self.norm2(content + self.self_attn(positioned, positioned, content))
        text = encoded.text_features
        content = self.catext_norm(content + self.ca_text(content + positions, text, text))
        references = reference_points_of_boxes(boxes, encoded.sizes)
        content = self.norm1(content + self.cross_attn(content + positions, encoded.image_features, references))
        return self.norm3(content + feed_forward(content, self.linear1, self.linear2))
