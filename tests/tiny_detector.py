"""A folder with a detector of constant boxes, whose class logits grow with the brightness of the photo."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = {0: "shirt, blouse", 1: "pants", 2: "sleeve"}
KINDS = {"shirt, blouse": "top", "pants": "trousers", "sleeve": None}
BOXES = ((0.5, 0.25, 0.4, 0.3), (0.5, 0.7, 0.5, 0.5), (0.2, 0.3, 0.2, 0.2))
"""Center and size as fractions, of a top, a pair of trousers and a sleeve."""
LOGITS = ((3.0, -4.0, -4.0, 0.0), (-4.0, 2.0, -4.0, 0.0), (-4.0, -4.0, 6.0, 0.0))
"""Class logits of the three queries, with "no object" as the last class."""
SQUARE = {"image_processor_type": "RTDetrImageProcessor", "size": {"height": 64, "width": 48}}
Shape = Sequence[int | str]


@dataclass(frozen=True)
class TinyDetector:
    """What the folder contains. The network adds `brightness` × the mean of its pixels to all logits but the last."""

    model_type: str = "detr"
    labels: Mapping[int, str] = field(default_factory=lambda: LABELS)
    boxes: Sequence[Sequence[float]] = BOXES
    logits: Sequence[Sequence[float]] = LOGITS
    masks: np.ndarray | None = None
    brightness: float = 0.0
    mask_shape: Shape | None = None
    """Shape of the input `pixel_mask`, if the network has one."""
    pixel_shape: Shape = ("batch", 3, "height", "width")
    element_type: int = TensorProto.FLOAT
    names: Mapping[str, str] = field(default_factory=dict)
    """Other names of inputs and outputs, by their usual names."""
    preprocessor: Mapping[str, Any] = field(default_factory=lambda: SQUARE)
    extra_input: str | None = None

    def write(self, folder: Path, network: str = "onnx/model.onnx") -> Path:
        """Write the folder and return it."""
        (folder / network).parent.mkdir(parents=True, exist_ok=True)
        onnx.save(self._model(), folder / network)
        config = {"model_type": self.model_type, "id2label": {str(key): name for key, name in self.labels.items()}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "preprocessor_config.json").write_text(json.dumps(self.preprocessor))
        return folder

    def _model(self) -> onnx.ModelProto:
        logits = np.array([self.logits])
        slopes = np.zeros_like(logits)
        slopes[..., :-1] = self.brightness
        constants = {"base": logits, "slopes": slopes, "corners": np.array([self.boxes])}
        nodes = [
            helper.make_node("ReduceMean", [self._name("pixel_values")], ["mean"], keepdims=0),
            helper.make_node("Mul", ["slopes", "mean"], ["change"]),
            helper.make_node("Add", ["base", "change"], [self._name("logits")]),
            helper.make_node("Identity", ["corners"], [self._name("pred_boxes")]),
        ]
        outputs = ["logits", "pred_boxes"]
        if self.masks is not None:
            constants["cells"] = self.masks[None]
            nodes.append(helper.make_node("Identity", ["cells"], [self._name("pred_masks")]))
            outputs.append("pred_masks")
        inputs = [helper.make_tensor_value_info(self._name("pixel_values"), self.element_type, self.pixel_shape)]
        if self.mask_shape:
            # unused inputs stay inputs
            inputs.append(helper.make_tensor_value_info("pixel_mask", TensorProto.INT64, self.mask_shape))
        if self.extra_input:
            inputs.append(helper.make_tensor_value_info(self.extra_input, TensorProto.INT64, [1, 2]))
        graph = helper.make_graph(
            nodes,
            "tiny",
            inputs,
            [helper.make_tensor_value_info(self._name(name), self.element_type, None) for name in outputs],
            [self._constant(name, value) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)

    def _name(self, usual: str) -> str:
        return self.names.get(usual, usual)

    def _constant(self, name: str, value: np.ndarray) -> onnx.TensorProto:
        return numpy_helper.from_array(value.astype(helper.tensor_dtype_to_np_dtype(self.element_type)), name)
