"""What the built-in models share: sessions of onnxruntime, cancellable runs, pictures as tensors."""

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
    """A session with `threads` threads that sleep between runs. Make it after forking."""
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])


def run(session: InferenceSession, inputs: Mapping[str, Any], cancel: CancelToken) -> Tensors:
    """The session's outputs. Raises the token's error as soon as it is cancelled."""
    cancel.check()
    options = RunOptions()

    def stop() -> None:
        options.terminate = True

    with cancel.on_cancel(stop):
        try:
            outputs: Tensors = session.run(None, dict(inputs), options)
        except Exception:
            cancel.check()
            raise
    cancel.check()
    return outputs


def resized(image: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    """The picture's pixels at that size: uint8 (height, width, channels)."""
    shrunk = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(shrunk, np.uint8)
