"""Small model folders in the exporters' layout, with random weights of a fixed seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, PATCH, DIM = 32, 8, 16
"""Pixels per side of the network's input and of a patch, and length of the vectors."""
WORDS = "a an the red blue black green summer winter dress shirt boots trousers hat bag of with and leather wool photo"
CLIP_IMAGE = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_resize": True,
    "do_center_crop": True,
    "resample": 3,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def write_clip(folder: Path, seed: int = 0, has_texts: bool = True) -> Path:
    """Write a tiny CLIP model: `image_embeds` of the pixels, and `text_embeds` of the words."""
    config = {"model_type": "clip", "projection_dim": DIM, "text_config": {"max_position_embeddings": 20}}
    write_json(folder / "config.json", config)
    write_json(folder / "preprocessor_config.json", CLIP_IMAGE)
    save(image_network(seed), folder / "onnx" / "vision_model.onnx")
    if has_texts:
        save(text_network(seed), folder / "onnx" / "text_model.onnx")
        write_tokenizer(folder)
    return folder


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def update_json(path: Path, **changes: Any) -> None:
    """Change entries of a JSON object in a file."""
    write_json(path, json.loads(path.read_text()) | changes)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a network and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def image_network(
    seed: int = 0, output: str = "image_embeds", batch: str | int = "batch", pixels: str = "pixel_values"
) -> onnx.ModelProto:
    """Return a network that embeds patches of pixels (batch, 3, SIDE, SIDE): one convolution and one projection."""
    random = np.random.default_rng(seed)
    weights = {
        "patches": random.normal(size=(8, 3, PATCH, PATCH)) / PATCH,
        "projection": random.normal(size=(8 * (SIDE // PATCH) ** 2, DIM)),
    }
    nodes = [
        helper.make_node("Conv", [pixels, "patches"], ["convolved"], strides=[PATCH, PATCH]),
        helper.make_node("Tanh", ["convolved"], ["active"]),
        helper.make_node("Flatten", ["active"], ["flat"]),
        helper.make_node("MatMul", ["flat", "projection"], [output]),
    ]
    inputs = [helper.make_tensor_value_info(pixels, TensorProto.FLOAT, [batch, 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, DIM])]
    return make_model(nodes, inputs, outputs, weights)


def text_network(seed: int = 0, dim: int = DIM) -> onnx.ModelProto:
    """Return a network that sums random vectors of the tokens that are not padding."""
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["tokens"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["tokens", "column"], ["visible"]),
        helper.make_node("ReduceSum", ["visible", "middle"], ["text_embeds"], keepdims=0),
    ]
    shape = ["batch", "tokens_in_text"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["batch", dim])]
    weights = {"embedding": np.random.default_rng(seed).normal(size=(400, dim))}
    axes = {"last": np.array([2]), "middle": np.array([1])}
    return make_model(nodes, inputs, outputs, weights, axes)


def make_model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, Any],
    axes: dict[str, Any] | None = None,
) -> onnx.ModelProto:
    """Return a checked model of the nodes."""
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    tensors += [numpy_helper.from_array(value.astype(np.int64), name) for name, value in (axes or {}).items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return model


def write_tokenizer(folder: Path, lowercases: bool = True) -> None:
    """Train a small byte pair encoding and write it with CLIP's special tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE(unk_token=end, end_of_word_suffix="</w>"))
    if lowercases:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[start, end], end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator([WORDS, "abcdefghijklmnopqrstuvwxyz0123456789 , . ! - '"], trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{start} $A {end}", special_tokens=ids)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"pad_token": end, "tokenizer_class": "CLIPTokenizer"})
