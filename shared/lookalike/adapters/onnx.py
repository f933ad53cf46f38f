"""Shared by the built-in models: onnxruntime sessions, cancellable inference and image resizing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, RunOptions, SessionOptions
from PIL import Image

from lookalike.domain.cancel import CancelToken

Tensors = list[NDArray[Any]]


def open_session(weights: Path, threads: int) -> InferenceSession:
    """Open a CPU session that computes on `threads` threads. Call it after the server has forked."""
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # only fatal messages: a cancelled run would log an error otherwise
    options.log_severity_level = 4
    # the arena keeps the memory of the largest run, which a small instance does not have
    options.enable_cpu_mem_arena = False
    # idle threads sleep; by default they spin and slow the other functions on the machine
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])


def run_session(session: InferenceSession, inputs: Mapping[str, Any], cancel: CancelToken) -> Tensors:
    """Return the session's outputs. Raises the token's error as soon as it is cancelled."""
    cancel.check()
    options = RunOptions()

    def terminate() -> None:
        options.terminate = True

    with cancel.on_cancel(terminate):
        try:
            outputs: Tensors = session.run(None, dict(inputs), options)
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
