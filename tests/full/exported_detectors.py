"""Tiny detectors of transformers with random weights, exported to folders as the Hugging Face exporters write them."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

LABELS = ("shirt, blouse", "pants", "sleeve", "dress", "shoe")
KINDS = {"shirt, blouse": "top", "pants": "trousers", "sleeve": None, "dress": "dress", "shoe": "shoes"}
COMMON = {"id2label": dict(enumerate(LABELS)), "num_queries": 12, "d_model": 32}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
TRANSFORMER = {
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "dropout": 0.0,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
}
HYBRID = {
    **COMMON,
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [16, 24, 32],
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
}


@dataclass(frozen=True)
class Recipe:
    """How a tiny detector is made. `has_mask_input`: the graph has the input `pixel_mask`."""

    model: str
    processor: str
    make_config: Any
    has_mask_input: bool = False
    has_masks: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def detr_config(**options: Any) -> Any:
    """Return the configuration of a tiny DETR."""
    resnet = transformers.ResNetConfig(**RESNET, out_features=["stage1", "stage2", "stage3", "stage4"])
    return transformers.DetrConfig(backbone_config=resnet, **{**COMMON, **TRANSFORMER, **options})


def segmentation_config() -> Any:
    """Return the configuration of a tiny DETR with masks. The mask head needs 8 attention heads."""
    return detr_config(d_model=64, encoder_attention_heads=8, decoder_attention_heads=8)


def conditional_config() -> Any:
    """Return the configuration of a tiny Conditional DETR."""
    resnet = transformers.ResNetConfig(**RESNET, out_features=["stage1", "stage2", "stage3", "stage4"])
    return transformers.ConditionalDetrConfig(backbone_config=resnet, **{**COMMON, **TRANSFORMER})


def yolos_config() -> Any:
    """Return the configuration of a tiny YOLOS."""
    return transformers.YolosConfig(
        id2label=COMMON["id2label"],
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=[64, 96],
        patch_size=16,
        num_detection_tokens=12,
    )


def rt_detr_config() -> Any:
    """Return the configuration of a tiny RT-DETR."""
    resnet = transformers.RTDetrResNetConfig(**RESNET, out_features=["stage2", "stage3", "stage4"])
    return transformers.RTDetrConfig(backbone_config=resnet, **HYBRID)


def rt_detr_v2_config() -> Any:
    """Return the configuration of a tiny RT-DETR v2."""
    resnet = transformers.RTDetrResNetConfig(**RESNET, out_features=["stage2", "stage3", "stage4"])
    return transformers.RTDetrV2Config(backbone_config=resnet, **HYBRID)


def d_fine_config() -> Any:
    """Return the configuration of a tiny D-FINE."""
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 24],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 24, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        embedding_size=8,
        out_features=["stage2", "stage3", "stage4"],
    )
    return transformers.DFineConfig(backbone_config=backbone, **HYBRID)


EDGES = {"size": {"shortest_edge": 96, "longest_edge": 160}}
SQUARE = {"size": {"height": 96, "width": 128}}
RECIPES = {
    "detr": Recipe("DetrForObjectDetection", "DetrImageProcessor", detr_config, True, options=EDGES),
    "detr padded": Recipe(
        "DetrForObjectDetection",
        "DetrImageProcessor",
        detr_config,
        True,
        options={**EDGES, "pad_size": {"height": 160, "width": 192}},
    ),
    "detr segmentation": Recipe(
        "DetrForSegmentation", "DetrImageProcessor", segmentation_config, True, True, options=EDGES
    ),
    "yolos": Recipe("YolosForObjectDetection", "YolosImageProcessor", yolos_config, options=EDGES),
    "conditional detr": Recipe(
        "ConditionalDetrForObjectDetection", "ConditionalDetrImageProcessor", conditional_config, True, options=EDGES
    ),
    "rt-detr": Recipe("RTDetrForObjectDetection", "RTDetrImageProcessor", rt_detr_config, options=SQUARE),
    "rt-detr v2": Recipe("RTDetrV2ForObjectDetection", "RTDetrImageProcessor", rt_detr_v2_config, options=SQUARE),
    "d-fine": Recipe("DFineForObjectDetection", "RTDetrImageProcessor", d_fine_config, options=SQUARE),
}


@dataclass(frozen=True)
class ExportedDetector:
    """A model of the library with its image processor, and the folder to which it was exported."""

    model: Any
    processor: Any
    folder: Path
    has_masks: bool


class _Exported(nn.Module):
    """Gives the exporter the outputs in a fixed order."""

    def __init__(self, model: Any, has_masks: bool) -> None:
        super().__init__()
        self.model, self.has_masks = model, has_masks

    def forward(self, pixel_values: Tensor, pixel_mask: Tensor | None = None) -> tuple[Tensor, ...]:
        masks = {} if pixel_mask is None else {"pixel_mask": pixel_mask}
        output = self.model(pixel_values=pixel_values, **masks)
        outputs = (output.logits, output.pred_boxes)
        return (*outputs, output.pred_masks) if self.has_masks else outputs


def export_detector(recipe: Recipe, folder: Path, seed: int = 1) -> ExportedDetector:
    """Make the detector of a recipe and export it."""
    torch.manual_seed(seed)
    model = getattr(transformers, recipe.model)(recipe.make_config()).eval()
    spread_predictions(model)
    processor = getattr(transformers, recipe.processor)(**recipe.options)
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "onnx").mkdir()
    export_network(recipe, model, folder / "onnx" / "model.onnx")
    return ExportedDetector(model, processor, folder, recipe.has_masks)


@torch.no_grad()
def spread_predictions(model: nn.Module) -> None:
    """Enlarge the random weights: an untrained model predicts almost the same for every query and every photo."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # RT-DETR initializes these near 0, so that nothing of the photo is left after some layers
            nn.init.ones_(module.weight)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
        if parameter.ndim == 2 and "backbone" not in name:
            nn.init.normal_(parameter, std=1.5 / parameter.shape[1] ** 0.5)
        if "query" in name or "detection_tokens" in name:
            nn.init.normal_(parameter, std=1.5)
        if name.endswith(".bias") and ("class_" in name or "bbox" in name):
            nn.init.normal_(parameter, std=0.3)


def export_network(recipe: Recipe, model: Any, path: Path) -> None:
    """Export with dynamic height and width, with the exporter that optimum uses."""
    # another size than that of the tests: fixed sizes in the graph would show
    pixels, mask = torch.rand(1, 3, 96, 128), torch.ones(1, 96, 128, dtype=torch.int64)
    names = ["pixel_values", "pixel_mask"] if recipe.has_mask_input else ["pixel_values"]
    arguments = (pixels, mask) if recipe.has_mask_input else (pixels,)
    outputs = ["logits", "pred_boxes", *(["pred_masks"] if recipe.has_masks else [])]
    axes = {"pixel_values": {0: "batch", 2: "height", 3: "width"}, "pixel_mask": {0: "batch", 1: "height", 2: "width"}}
    with warnings.catch_warnings():
        # the exporter warns about constants and about itself
        warnings.simplefilter("ignore")
        torch.onnx.export(
            # the exporter restores the mode that it finds, in the whole model
            _Exported(model, recipe.has_masks).eval(),
            arguments,
            str(path),
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: axes[name] for name in names},
            opset_version=17,
            dynamo=False,
        )


def set_variant(folder: Path, **options: Any) -> None:
    """Change values of `preprocessor_config.json`."""
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))
