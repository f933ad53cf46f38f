"""Families of embedders by `model_type` of `config.json`, and the files that each of them consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.adapters.folder_models.files import (
    CONFIG_FILE,
    PREPROCESSOR_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    find_network,
    read_json,
    require_network,
    with_external_data,
)
from lookalike.domain.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class TextFamily:
    """How a family's processor prepares texts.

    `outputs` are the network's outputs that may be the embedding, best first. `has_mask`: whether padding is hidden
    from the network. SigLIP was trained on texts with visible padding.
    """

    outputs: tuple[str, ...]
    max_tokens: int
    pad_token: str
    has_mask: bool
    is_canonicalized: bool
    """Whether texts lose case and punctuation before they become tokens."""


@dataclass(frozen=True, slots=True)
class EmbedderFamily:
    """Where a family's network is, what it returns and how its images are prepared."""

    network: str
    """Name of the ONNX file without suffix and variant."""
    outputs: tuple[str, ...]
    """Outputs that may be the embedding, best first. Of `last_hidden_state`, the first token (CLS) is the embedding."""
    processor: str
    """Image processor of a description that does not name one."""
    text: TextFamily | None = None


CLIP_TEXT = TextFamily(("text_embeds",), 77, "<|endoftext|>", has_mask=True, is_canonicalized=False)
SIGLIP_TEXT = TextFamily(("text_embeds", "pooler_output"), 64, "</s>", has_mask=False, is_canonicalized=True)
DINO_OUTPUTS = ("pooler_output", "last_hidden_state")
FAMILIES = {
    "clip": EmbedderFamily("vision_model", ("image_embeds",), "CLIPImageProcessor", CLIP_TEXT),
    "siglip": EmbedderFamily("vision_model", ("image_embeds", "pooler_output"), "SiglipImageProcessor", SIGLIP_TEXT),
    "dinov2": EmbedderFamily("model", DINO_OUTPUTS, "BitImageProcessor"),
    "dinov2_with_registers": EmbedderFamily("model", DINO_OUTPUTS, "BitImageProcessor"),
    "dinov3_vit": EmbedderFamily("model", DINO_OUTPUTS, "DINOv3ViTImageProcessor"),
    "dinov3_convnext": EmbedderFamily("model", DINO_OUTPUTS, "DINOv3ViTImageProcessor"),
}
"""By `model_type`. Checkpoints of SigLIP 2 with a fixed resolution have the type `siglip`.

The embedding is what `get_image_features`, `get_text_features` or `pooler_output` of transformers returns.
"""


@dataclass(frozen=True, slots=True)
class EmbedderFiles:
    """The files of one embedder, by their paths inside `folder`. `text_network` is `None` if there is no text model."""

    folder: Path
    model_type: str
    config: Mapping[str, Any]
    network: str
    text_network: str | None

    @property
    def family(self) -> EmbedderFamily:
        """The family of the model."""
        return FAMILIES[self.model_type]

    def list_names(self) -> list[str]:
        """Return every file that vectors depend on."""
        names = [CONFIG_FILE, PREPROCESSOR_FILE, *with_external_data(self.folder, self.network)]
        if self.text_network:
            names += [TOKENIZER_FILE, *with_external_data(self.folder, self.text_network)]
            names += [TOKENIZER_CONFIG_FILE] * (self.folder / TOKENIZER_CONFIG_FILE).is_file()
        return names


def find_embedder_files(folder: Path, variant: str) -> EmbedderFiles:
    """Find the files of the embedder in a folder.

    A text model without the variant is taken without it. Raises `Misconfigured` if a file is missing, or if the
    model's type is not supported.
    """
    config = read_json(folder, CONFIG_FILE)
    model_type = str(config.get("model_type"))
    if model_type not in FAMILIES:
        raise Misconfigured(_unknown_type(folder, model_type))
    family = FAMILIES[model_type]
    network, text_network = require_network(folder, family.network, variant), None
    if family.text:
        text_network = find_network(folder, "text_model", variant) or find_network(folder, "text_model", "")
    required = [PREPROCESSOR_FILE, *([TOKENIZER_FILE] if text_network else [])]
    if missing := [name for name in required if not (folder / name).is_file()]:
        raise Misconfigured(f"{folder} has no {missing[0]}")
    return EmbedderFiles(folder, model_type, config, network, text_network)


def _unknown_type(folder: Path, model_type: str) -> str:
    if model_type == "siglip2":
        return f"{folder}: SigLIP 2 with variable resolution (NaFlex) is not supported; use a fixed-resolution export"
    return f"{folder}: the model type {model_type} is not a supported embedder; supported: {', '.join(FAMILIES)}"
