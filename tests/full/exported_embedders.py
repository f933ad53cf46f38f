"""Tiny embedders of transformers with random weights, exported to folders as the Hugging Face exporters write them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from tests.full.tiny_tokenizers import clip_tokenizer, gemma_tokenizer, siglip_tokenizer

TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": 48, "patch_size": 8}
DINO = {**TOWER, "patch_size": 8}


@dataclass(frozen=True)
class ExportedEmbedder:
    """A model of the library with its processors, and the folder to which it was exported."""

    model: Any
    image_processor: Any
    tokenizer: Any
    folder: Path

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Return what the library makes of images: (n, 3, height, width)."""
        rgb = [image.convert("RGB") for image in images]
        return torch.cat([self.image_processor(image, return_tensors="pt").pixel_values for image in rgb])

    @torch.inference_mode()
    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the library's features of images, not normalized."""
        return image_features(self.model, self.pixels(images))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return the library's features of texts, not normalized, tokenized as the model's documentation says."""
        tokens = self.tokenizer(list(texts), padding="max_length", max_length=self.max_length, truncation=True)
        names = ("input_ids", "attention_mask") if isinstance(self.model, transformers.CLIPModel) else ("input_ids",)
        return self.model.get_text_features(**{name: torch.tensor(tokens[name]) for name in names})

    @property
    def max_length(self) -> int:
        """Tokens of every text."""
        return int(self.model.config.text_config.max_position_embeddings)


def image_features(model: Any, pixels: Tensor) -> Tensor:
    """Return what the library calls the features of images of a family."""
    if hasattr(model, "get_image_features"):
        return model.get_image_features(pixel_values=pixels)
    return model(pixel_values=pixels).pooler_output


class _Images(nn.Module):
    """The image model with the outputs of an export."""

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        if self.outputs == ("image_embeds",):
            return (self.model.get_image_features(pixel_values=pixel_values),)
        part = getattr(self.model, "vision_model", self.model)
        output = part(pixel_values=pixel_values)
        return tuple(getattr(output, name) for name in self.outputs)


class _ClipTexts(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)


class _SiglipTexts(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model.text_model(input_ids=input_ids)
        return output.last_hidden_state, output.pooler_output


def clip(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny CLIP model."""
    tokenizer = clip_tokenizer(folder)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": 77, "pad_token_id": 1, **ids}
    model = _make(transformers.CLIPModel, transformers.CLIPConfig(text, VISION, projection_dim=24))
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    _export_images(model, folder / "onnx" / "vision_model.onnx", ("image_embeds",))
    _export_texts(_ClipTexts(model), folder, ["input_ids", "attention_mask"], ["text_embeds"])
    return _save(ExportedEmbedder(model, processor, tokenizer, folder))


def siglip(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny SigLIP model."""
    processor = transformers.SiglipImageProcessor(size={"height": 48, "width": 48})
    return _siglip(folder, siglip_tokenizer(folder), processor)


def siglip2(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny SigLIP 2 model with a fixed resolution: SigLIP with the tokenizer of Gemma."""
    processor = transformers.SiglipImageProcessor(size={"height": 48, "width": 48}, resample=2)
    return _siglip(folder, gemma_tokenizer(), processor)


def _siglip(folder: Path, tokenizer: Any, processor: Any) -> ExportedEmbedder:
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": 64}
    model = _make(transformers.SiglipModel, transformers.SiglipConfig(text, VISION))
    _export_images(model, folder / "onnx" / "vision_model.onnx", ("last_hidden_state", "pooler_output"))
    _export_texts(_SiglipTexts(model), folder, ["input_ids"], ["last_hidden_state", "pooler_output"])
    return _save(ExportedEmbedder(model, processor, tokenizer, folder))


def dinov2(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny DINOv2 model. Its positions are interpolated, as those of the published ones at 224 pixels."""
    model = _make(transformers.Dinov2Model, transformers.Dinov2Config(**DINO, image_size=72))
    processor = transformers.BitImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 48, "width": 48}, image_mean=[0.485, 0.456, 0.406]
    )
    _export_images(model, folder / "onnx" / "model.onnx", ("last_hidden_state",))
    return _save(ExportedEmbedder(model, processor, None, folder))


def dinov2_with_registers(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny DINOv2 model with registers, with a processor that pads narrow images."""
    config = transformers.Dinov2WithRegistersConfig(**DINO, image_size=48, num_register_tokens=2)
    model = _make(transformers.Dinov2WithRegistersModel, config)
    processor = transformers.BitImageProcessor(size={"shortest_edge": 43}, crop_size={"height": 48, "width": 48})
    _export_images(model, folder / "onnx" / "model.onnx", ("last_hidden_state", "pooler_output"), dynamo=True)
    return _save(ExportedEmbedder(model, processor, None, folder))


def dinov3(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny DINOv3 transformer."""
    model = _make(transformers.DINOv3ViTModel, transformers.DINOv3ViTConfig(**DINO, num_register_tokens=2))
    processor = transformers.DINOv3ViTImageProcessorFast(size={"height": 48, "width": 48})
    _export_images(model, folder / "onnx" / "model.onnx", ("last_hidden_state", "pooler_output"), dynamo=True)
    return _save(ExportedEmbedder(model, processor, None, folder))


def dinov3_convnext(folder: Path) -> ExportedEmbedder:
    """Make and export a tiny DINOv3 convolutional network."""
    config = transformers.DINOv3ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    model = _make(transformers.DINOv3ConvNextModel, config)
    processor = transformers.DINOv3ViTImageProcessorFast(size={"height": 64, "width": 64})
    _export_images(model, folder / "onnx" / "model.onnx", ("last_hidden_state",), 64)
    return _save(ExportedEmbedder(model, processor, None, folder))


FAMILIES: dict[str, Callable[[Path], ExportedEmbedder]] = {
    "clip": clip,
    "siglip": siglip,
    "siglip2": siglip2,
    "dinov2": dinov2,
    "dinov2 with registers": dinov2_with_registers,
    "dinov3": dinov3,
    "dinov3 convnext": dinov3_convnext,
}
WITH_TEXTS = ("clip", "siglip", "siglip2")


def _make(kind: Any, config: Any) -> Any:
    """Return a model with random weights that are large enough for different inputs to have different vectors."""
    torch.manual_seed(3)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=1.2 / parameter[0].numel() ** 0.5)
    return model


def _save(exported: ExportedEmbedder) -> ExportedEmbedder:
    exported.model.config.save_pretrained(exported.folder)
    exported.image_processor.save_pretrained(exported.folder)
    if exported.tokenizer is not None:
        exported.tokenizer.save_pretrained(exported.folder)
    return exported


def _export_images(model: Any, path: Path, outputs: tuple[str, ...], side: int = 48, dynamo: bool = False) -> None:
    _export(_Images(model, outputs), (torch.rand(2, 3, side, side),), path, ["pixel_values"], outputs, dynamo)


def _export_texts(model: nn.Module, folder: Path, inputs: list[str], outputs: Sequence[str]) -> None:
    # as many tokens as a text has, since SigLIP has no causal mask that hides padding
    tokens = 64 if inputs == ["input_ids"] else 77
    ids, mask = torch.ones(2, tokens, dtype=torch.int64), torch.ones(2, tokens, dtype=torch.int64)
    _export(model, (ids, mask)[: len(inputs)], folder / "onnx" / "text_model.onnx", inputs, outputs)


def _export(
    model: nn.Module,
    arguments: tuple[Tensor, ...],
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamo: bool = False,
) -> None:
    """Export with a dynamic batch: with TorchScript as optimum does, or with `dynamo` from the captured graph."""
    path.parent.mkdir(exist_ok=True)
    if dynamo:
        batch = torch.export.Dim("batch", min=1, max=64)
        options: dict[str, Any] = {"dynamic_shapes": tuple({0: batch} for _ in arguments), "dynamo": True}
    else:
        axes = {name: {0: "batch"} for name in (*inputs, *outputs)}
        options = {"dynamic_axes": axes, "opset_version": 17, "dynamo": False}
    with warnings.catch_warnings():
        # the exporters warn about constants and about themselves
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, arguments, str(path), input_names=list(inputs), output_names=list(outputs), verbose=False, **options
        )
