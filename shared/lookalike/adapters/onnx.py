"""Shared by the built-in models: onnxruntime sessions, cancellable inference and image resizing."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, RunOptions, SessionOptions, get_available_providers
from PIL import Image

from lookalike.domain.cancel import CancelToken

Tensors = list[NDArray[Any]]
CPU_PROVIDER, CUDA_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"


class RunCounter:
    """Counts the runs of several networks that share the processor."""

    def __init__(self) -> None:
        self._lock, self._running = threading.Lock(), 0

    @contextmanager
    def count_run(self) -> Iterator[bool]:
        """Count a run inside the context. Yields whether it is the only one at its start."""
        with self._lock:
            self._running += 1
            is_alone = self._running == 1
        try:
            yield is_alone
        finally:
            with self._lock:
                self._running -= 1


class Network:
    """A network in a file. Safe to use from several threads.

    A run that starts alone computes on `threads` threads, which is fastest for one request. A run that starts beside
    others computes on its own thread, which is fastest for all of them together.
    """

    def __init__(self, weights: Path, threads: int, runs: RunCounter) -> None:
        self._weights, self._runs = weights, runs
        self._session = open_session(weights, threads)
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Any], cancel: CancelToken) -> Tensors:
        """Return the outputs. Raises the token's error as soon as it is cancelled."""
        with self._runs.count_run() as is_alone:
            return run_session(self._session if is_alone else self._get_single_threaded(), inputs, cancel)

    def _get_single_threaded(self) -> InferenceSession:
        # the lock keeps concurrent first calls from opening several
        with self._lock:
            return self._single_threaded

    @cached_property
    def _single_threaded(self) -> InferenceSession:
        return open_session(self._weights, 1)


def open_session(weights: Path, threads: int, providers: Sequence[str] = (CPU_PROVIDER,)) -> InferenceSession:
    """Open a session that computes on `threads` threads of the CPU, or on a GPU if `providers` has one first.

    Call it after the server has forked.
    """
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # only fatal messages: a cancelled run would log an error otherwise
    options.log_severity_level = 4
    # idle threads sleep; by default they spin and slow the other functions on the machine
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return InferenceSession(str(weights), options, providers=list(providers))


def fastest_providers() -> list[str]:
    """Return the execution providers for `open_session`: CUDA if onnxruntime was built with it, then the CPU.

    onnxruntime uses the CPU if the machine has no GPU.
    """
    return [name for name in (CUDA_PROVIDER, CPU_PROVIDER) if name in get_available_providers()]


def run_session(
    session: InferenceSession, inputs: Mapping[str, Any], cancel: CancelToken, names: Sequence[str] | None = None
) -> Tensors:
    """Return the session's outputs, or those of the given names. Raises the token's error as soon as it is cancelled."""
    cancel.check()
    options = RunOptions()

    def terminate() -> None:
        options.terminate = True

    with cancel.on_cancel(terminate):
        try:
            outputs: Tensors = session.run(names, dict(inputs), options)
        except Exception:
            # onnxruntime has no exception type of its own for a terminated run
            cancel.check()
            raise
    cancel.check()
    return outputs


def resize_to_array(image: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    """Return the image's pixels at that size: uint8 (height, width, channels)."""
    resized = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized, np.uint8)
