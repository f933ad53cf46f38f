"""onnxruntime sessions of model folders: on CUDA if the installed onnxruntime has it, else on the CPU."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lookalike.adapters.onnx import Tensors, run_session
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Execution providers in order of preference."""
TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph. A dimension is `None` if it depends on the inputs."""

    shape: tuple[int | None, ...]
    dtype: type[np.generic]


class FolderSession:
    """A graph that is ready to run. Safe to use from several threads, which share its threads and its memory."""

    def __init__(self, network: Path) -> None:
        self._session = _open(network)
        self.inputs = _ports(network, self._session.get_inputs())
        self.outputs = _ports(network, self._session.get_outputs())

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return "cuda" if self._session.get_providers()[0] == PROVIDERS[0] else "cpu"

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str], cancel: CancelToken) -> Tensors:
        """Return the named outputs. Converts inputs to the types of the graph.

        Raises the token's error as soon as it is cancelled.
        """
        converted = {name: np.asarray(value, self.inputs[name].dtype) for name, value in inputs.items()}
        return run_session(self._session, converted, cancel, outputs)


def _open(network: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    options.inter_op_num_threads = 1
    # only fatal messages: a cancelled run would log an error otherwise
    options.log_severity_level = 4
    # idle threads sleep; by default they spin and slow the other work of the process
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    providers = [name for name in PROVIDERS if name in available]
    try:
        return onnxruntime.InferenceSession(str(network), options, providers=providers)
    except Exception as error:
        # onnxruntime's exceptions have no common type of their own
        raise Misconfigured(f"{network} is not a network that onnxruntime can load: {error}") from error


def _ports(network: Path, nodes: Sequence[Any]) -> dict[str, Port]:
    if unknown := [node.type for node in nodes if node.type not in TYPES]:
        raise Misconfigured(f"{network} has a tensor of the unsupported type {unknown[0]}")
    return {node.name: Port(_shape(node.shape), TYPES[node.type]) for node in nodes}


def _shape(dimensions: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in dimensions)
