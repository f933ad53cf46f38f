"""Families of detectors by `model_type` of `config.json`: how class scores are computed, and the names of their graphs'
inputs and outputs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.domain.errors import Misconfigured

PIXEL_NAMES = ("pixel_values", "input", "images")
"""Names of the input with the pixels: of the Hugging Face exporters, and of RF-DETR's and other projects' own."""
MASK_INPUT = "pixel_mask"
LOGIT_NAMES = ("logits", "pred_logits", "labels")
BOX_NAMES = ("pred_boxes", "boxes", "dets")
MASK_NAMES = ("pred_masks", "masks")
"""Names of the outputs. RF-DETR's own export calls its class logits `labels` and its boxes `dets`."""


@dataclass(frozen=True, slots=True)
class Family:
    """How the post-processing of transformers reads the outputs of a family.

    `has_no_object`: softmax over the classes and a last class "no object"; the best class of each query counts. Else
    each class has a sigmoid of its own, and the best pairs of query and class count: `top_k` of them, or as many as
    there are queries.
    """

    has_no_object: bool
    top_k: int | None = None
    max_extra_classes: int = 0
    """Classes that a graph may have behind those of `id2label`, besides "no object"."""


SOFTMAX = Family(has_no_object=True)
SIGMOID = Family(has_no_object=False)
FAMILIES = {
    "detr": SOFTMAX,
    "yolos": SOFTMAX,
    "table_transformer": SOFTMAX,
    "rt_detr": SIGMOID,
    "rt_detr_v2": SIGMOID,
    "d_fine": SIGMOID,
    "lw_detr": SIGMOID,
    # RF-DETR trains one class more than it names
    "rf_detr": Family(has_no_object=False, max_extra_classes=1),
    "conditional_detr": Family(has_no_object=False, top_k=100),
    "deformable_detr": Family(has_no_object=False, top_k=100),
    "dab_detr": Family(has_no_object=False, top_k=100),
}
"""By `model_type`, with underscores. Sources: `post_process_object_detection` of each image processor."""


@dataclass(frozen=True, slots=True)
class GraphNames:
    """Names of a graph's inputs and outputs. `mask_input` and `masks` are `None` if the graph has none."""

    pixels: str
    mask_input: str | None
    logits: str
    boxes: str
    masks: str | None


def read_family(config: Mapping[str, Any], location: str) -> Family:
    """Return the family of `model_type` in `config.json`. Raises `Misconfigured` if it is missing or not supported."""
    model_type = str(config.get("model_type") or "")
    family = FAMILIES.get(model_type.replace("-", "_"))
    if family is None:
        supported = ", ".join(sorted(FAMILIES))
        problem = (
            f"the model_type {model_type!r} is not a supported detector" if model_type else "there is no model_type"
        )
        raise Misconfigured(f"{location}/config.json: {problem}; supported: {supported}")
    return family


def name_graph(inputs: Collection[str], outputs: Collection[str], network: str) -> GraphNames:
    """Find the inputs and outputs of a detector's graph by their names. `network` names the file in messages.

    Raises `Misconfigured` if one is missing, or the graph has an input that nothing here can fill.
    """
    pixels = _find(PIXEL_NAMES, inputs, f"{network} has no input for pixels")
    if unknown := sorted(set(inputs) - {pixels, MASK_INPUT}):
        raise Misconfigured(
            f"{network} has the input {unknown[0]!r}, which is unknown; export the model without its post-processing, "
            f"with pixel_values and {MASK_INPUT} only"
        )
    if "scores" in outputs:
        raise Misconfigured(
            f"{network} contains its post-processing (output 'scores'); export the model without it, so that its "
            "outputs are logits and pred_boxes"
        )
    return GraphNames(
        pixels,
        MASK_INPUT if MASK_INPUT in inputs else None,
        _find(LOGIT_NAMES, outputs, f"{network} has no output for class logits"),
        _find(BOX_NAMES, outputs, f"{network} has no output for boxes"),
        next((name for name in MASK_NAMES if name in outputs), None),
    )


def _find(names: Collection[str], existing: Collection[str], problem: str) -> str:
    found = next((name for name in names if name in existing), None)
    if found is None:
        raise Misconfigured(f"{problem} ({' or '.join(names)}); it has: {', '.join(sorted(existing))}")
    return found
