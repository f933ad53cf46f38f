"""An ONNX network of a model folder, of which one output is the embedding."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.onnx import CPU_PROVIDER, RunCounter, fastest_providers, open_session, run_session
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured

HIDDEN_STATE = "last_hidden_state"
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
"""Types of inputs that exporters use."""


class FolderNetwork:
    """A session whose embedding is the first of `outputs` that the network has. Safe to use from several threads."""

    def __init__(self, path: Path, outputs: Sequence[str], threads: int, runs: RunCounter) -> None:
        self.path, self._runs = path, runs
        try:
            self._session = open_session(path, threads, fastest_providers())
        except Exception as error:
            # onnxruntime has an exception type for each kind of damage, without a common base class
            raise Misconfigured(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from error
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        names = [one.name for one in self._session.get_outputs()]
        self._output = next((name for name in outputs if name in names), "")
        if not self._output:
            raise Misconfigured(
                f"{path} has the outputs {', '.join(names)}, none of which is {' or '.join(outputs)}: "
                "export the model with its embedding"
            )
        self._position = names.index(self._output)

    def check_inputs(self, known: set[str]) -> None:
        """Raise `Misconfigured` if the network needs an input or a type that is unknown."""
        if unknown := sorted(set(self._inputs) - known):
            raise Misconfigured(f"{self.path} has the input {unknown[0]}, which this family does not have")
        for one in self._inputs.values():
            if one.type not in DTYPES:
                raise Misconfigured(
                    f"{self.path}: the input {one.name} has the type {one.type}, which is not supported"
                )

    def input_shape(self, name: str) -> list[int | str | None]:
        """Return the shape of an input; sizes that are not fixed are names. Raises `Misconfigured` if there is none."""
        if name not in self._inputs:
            raise Misconfigured(f"{self.path} has no input {name}")
        return list(self._inputs[name].shape)

    def batch_size(self, name: str, on_gpu: int) -> int:
        """Return how many items a run takes: `on_gpu` on a GPU, else 1.

        On a CPU, larger batches are not faster. Quantized networks often scale activations over the whole batch, so that
        the vector of an image would depend on the images beside it. Raises `Misconfigured` if the network takes only
        batches of another size.
        """
        fixed = self.input_shape(name)[0]
        if isinstance(fixed, int) and fixed != 1:
            raise Misconfigured(f"{self.path} takes only batches of {fixed}: export it with a dynamic batch size")
        return on_gpu if self._session.get_providers()[0] != CPU_PROVIDER and fixed != 1 else 1

    def run(self, inputs: Mapping[str, NDArray[Any]], cancel: CancelToken) -> NDArray[np.float32]:
        """Return the embeddings (n, dim), not normalized. Inputs that the network does not have are left out.

        Raises the token's error as soon as it is cancelled.
        """
        known = {name: self._cast(name, value) for name, value in inputs.items() if name in self._inputs}
        with self._runs.count_run():
            output = run_session(self._session, known, cancel)[self._position]
        rows = output[:, 0] if self._output == HIDDEN_STATE else output
        return np.asarray(rows, np.float32)

    def _cast(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        return value.astype(DTYPES[self._inputs[name].type], copy=False)
