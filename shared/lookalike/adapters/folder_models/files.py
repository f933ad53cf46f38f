"""Files of a model folder: where the exporters put the ONNX networks, and the JSON files beside them."""

import json
from pathlib import Path
from typing import Any

from lookalike.domain.errors import Misconfigured

CONFIG_FILE, PREPROCESSOR_FILE = "config.json", "preprocessor_config.json"
TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
NETWORK_FOLDERS = ("onnx/", "")
"""Folders that may contain the networks, in order of preference."""


def find_network(folder: Path, stem: str, variant: str) -> str | None:
    """Return the path of a network inside the folder, such as `onnx/vision_model_int8.onnx`, or `None`.

    `stem` is `vision_model`, `text_model` or `model`; `variant` is the suffix of quantized files, or empty.
    """
    name = f"{stem}_{variant}.onnx" if variant else f"{stem}.onnx"
    return next((f"{inside}{name}" for inside in NETWORK_FOLDERS if (folder / inside / name).is_file()), None)


def require_network(folder: Path, stem: str, variant: str) -> str:
    """Return the same as `find_network`. Raises `Misconfigured` with the variants that exist if there is none."""
    if found := find_network(folder, stem, variant):
        return found
    wanted = f"onnx/{stem}_{variant}.onnx" if variant else f"onnx/{stem}.onnx"
    existing = list_variants(folder, stem)
    hint = f"; variants in the folder: {', '.join(existing)} (option --variant)" if existing else ""
    raise Misconfigured(f"{folder} has no {wanted}{hint}")


def list_variants(folder: Path, stem: str) -> list[str]:
    """Return the variants of a network that are in the folder, without the plain one."""
    prefix = f"{stem}_"
    paths = [path for inside in NETWORK_FOLDERS for path in (folder / inside).glob(f"{prefix}*.onnx")]
    return sorted({path.stem.removeprefix(prefix) for path in paths})


def with_external_data(folder: Path, network: str) -> list[str]:
    """Return the path of a network and of the files beside it that hold its weights.

    Networks above 2 GB keep their weights in `<name>.onnx_data`, `<name>.onnx_data_1`… or `<name>.onnx.data`.
    """
    path = folder / network
    data = [*path.parent.glob(f"{path.name}_data*"), *path.parent.glob(f"{path.name}.data")]
    return [network, *sorted(part.relative_to(folder).as_posix() for part in data)]


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object. Raises `Misconfigured` if the file is missing or is not a JSON object."""
    path = folder / name
    if not path.is_file():
        raise Misconfigured(f"{folder} has no {name}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise Misconfigured(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise Misconfigured(f"{path} is not a JSON object")
    return content
