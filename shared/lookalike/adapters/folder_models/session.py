"""The graph of a detector: its inputs and outputs, and runs of it on a GPU or the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.adapters.onnx import CUDA_PROVIDER, RunCounter, Tensors, fastest_providers, open_session, run_session
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured

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
    """A graph that is ready to run. Safe to use from several threads, which share its threads and its memory.

    Raises `Misconfigured` if onnxruntime cannot load it.
    """

    def __init__(self, network: Path, threads: int, runs: RunCounter) -> None:
        self._runs = runs
        try:
            self._session = open_session(network, threads, fastest_providers())
        except Exception as error:
            # onnxruntime has an exception type for each kind of damage, without a common base class
            raise Misconfigured(f"{network} cannot be loaded: {str(error).splitlines()[0]}") from error
        self.inputs = _ports(network, self._session.get_inputs())
        self.outputs = _ports(network, self._session.get_outputs())

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return "cuda" if self._session.get_providers()[0] == CUDA_PROVIDER else "cpu"

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str], cancel: CancelToken) -> Tensors:
        """Return the named outputs. Converts inputs to the types of the graph.

        Raises the token's error as soon as it is cancelled.
        """
        converted = {name: np.asarray(value, self.inputs[name].dtype) for name, value in inputs.items()}
        with self._runs.count_run():
            return run_session(self._session, converted, cancel, outputs)


def _ports(network: Path, nodes: Sequence[Any]) -> dict[str, Port]:
    if unknown := [node.type for node in nodes if node.type not in TYPES]:
        raise Misconfigured(f"{network} has a tensor of the unsupported type {unknown[0]}")
    return {node.name: Port(_shape(node.shape), TYPES[node.type]) for node in nodes}


def _shape(dimensions: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in dimensions)
