"""Embedder of a model folder, on onnxruntime: CLIP, SigLIP, SigLIP 2, DINOv2 and DINOv3."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.adapters.folder_models.embedder_files import EmbedderFiles, find_embedder_files
from lookalike.adapters.folder_models.files import PREPROCESSOR_FILE, read_json
from lookalike.adapters.folder_models.network import FolderNetwork
from lookalike.adapters.folder_models.preprocessing import Preprocessing, parse_preprocessing
from lookalike.adapters.folder_models.text import TextEncoder, open_text_encoder
from lookalike.adapters.onnx import RunCounter
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Vectors

GPU_BATCH = 16
"""Images per run on a GPU."""
PIXELS = "pixel_values"


class FolderEmbedder:
    """Embeds images with the network of a model folder. Safe to use from several threads.

    `dim` 0 runs the network once to measure the length of its vectors.
    """

    def __init__(self, network: FolderNetwork, preprocessing: Preprocessing, name: str, dim: int = 0) -> None:
        self._network, self._preprocessing, self.name = network, preprocessing, name
        network.check_inputs({PIXELS})
        self._batch = network.batch_size(PIXELS, GPU_BATCH)
        _check_input_size(network, preprocessing.output_size)
        self.dim = dim or self._run([Image.new("RGB", (64, 64), "gray")], CancelToken()).shape[1]

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Return unit vectors (n, dim) of RGB photos or RGBA cut-outs, in their order."""
        cancel.check()
        starts = range(0, len(images), self._batch)
        batches = [self._run(images[start : start + self._batch], cancel) for start in starts]
        return unit_rows(np.concatenate([np.zeros((0, self.dim), np.float32), *batches]))

    def _run(self, images: Sequence[Image.Image], cancel: CancelToken) -> NDArray[np.float32]:
        pixels = []
        for image in images:
            cancel.check()
            pixels.append(self._preprocessing.apply(image))
        return self._network.run({PIXELS: np.stack(pixels)}, cancel)


class FolderTextEmbedder(FolderEmbedder):
    """Embeds images and texts. Both kinds of vectors can be compared."""

    def __init__(
        self, network: FolderNetwork, preprocessing: Preprocessing, text: TextEncoder, name: str, dim: int = 0
    ) -> None:
        super().__init__(network, preprocessing, name, dim)
        self._text = text

    def embed_texts(self, texts: Sequence[str], cancel: CancelToken) -> Vectors:
        """Return unit vectors (n, dim) of texts, in their order. Texts that are too long are cut off."""
        cancel.check()
        rows = self._text.encode(texts, cancel)
        return unit_rows(rows) if len(rows) else np.zeros((0, self.dim), np.float32)


def open_embedder(
    folder: Path, variant: str, name: str, dim: int = 0, runs: RunCounter | None = None, threads: int = 0
) -> FolderEmbedder:
    """Open the embedder in a folder; a `FolderTextEmbedder` if the folder has a text model.

    `threads` 0 uses all cores. Raises `Misconfigured` if a file is missing or invalid, or a library is not installed.
    """
    files = find_embedder_files(folder, variant)
    counter, count = runs or RunCounter(), threads or os.cpu_count() or 1
    preprocessing = parse_preprocessing(read_json(folder, PREPROCESSOR_FILE), files.family.processor)
    network = FolderNetwork(folder / files.network, files.family.outputs, count, counter)
    if not files.text_network:
        return FolderEmbedder(network, preprocessing, name, dim)
    return FolderTextEmbedder(network, preprocessing, open_text_encoder(files, count, counter), name, dim)


def require_pinned(files: EmbedderFiles, pinned: Mapping[str, str]) -> None:
    """Raise `Misconfigured` if the embedder would read a file that the manifest does not pin."""
    if missing := sorted(set(files.list_names()) - set(pinned)):
        raise Misconfigured(
            f"{files.folder}/{missing[0]} is not in lookalike.json: run `lookalike models add {files.folder}` again"
        )


def unit_rows(rows: NDArray[np.floating[Any]]) -> Vectors:
    """Scale rows (n, dim) to length 1. Rows of zeros stay zero."""
    wide = rows.astype(np.float32)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9), np.float32)


def _check_input_size(network: FolderNetwork, size: tuple[int, int]) -> None:
    expected = network.input_shape(PIXELS)[2:]
    if any(isinstance(side, int) and side != actual for side, actual in zip(expected, size, strict=False)):
        raise Misconfigured(
            f"{network.path} reads images of {expected[0]} x {expected[1]} pixels, "
            f"but {PREPROCESSOR_FILE} makes them {size[0]} x {size[1]}"
        )
