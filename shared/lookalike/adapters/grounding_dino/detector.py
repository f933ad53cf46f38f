"""Full garment detector: GroundingDINO SwinT-OGC with a prompt, thresholds and tiling of the original system."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lookalike.adapters.batching import Batcher, CancelCheck
from lookalike.adapters.grounding_dino.config import SWIN_T, ModelConfig
from lookalike.adapters.grounding_dino.merging import TileDetection, merge_detections
from lookalike.adapters.grounding_dino.network import GroundingDino
from lookalike.adapters.grounding_dino.phrases import PROMPT, best_phrase, garment_kind
from lookalike.adapters.grounding_dino.text import Prompt, Tokenizer
from lookalike.adapters.grounding_dino.tiling import Tile, network_size, split_into_tiles
from lookalike.adapters.pytorch import Engine, load_network, normalize_pixels
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Box, Detection

THRESHOLD, THOROUGH_THRESHOLD = 0.3, 0.15
"""Minimum scores of a detection: by default, and with `thorough`. Both are the original system's."""
GPU_BATCH = 8
"""Images of a batch on a GPU."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class RawOutput:
    """The network's output for one image.

    `scores` (q, t): of each query for each token, 0 to 1. `boxes` (q, 4): center and size as fractions of the image.
    """

    scores: Tensor
    boxes: Tensor


class GroundingDinoDetector:
    """The port `Detector`. Safe to use from several threads: on a GPU, images of one size share batches.

    Raises `Misconfigured` if the prompt is too long, or the checkpoint does not fit `config`.
    """

    def __init__(
        self,
        checkpoint: Path,
        vocabulary: Path,
        engine: Engine,
        device_lock: threading.Lock,
        prompt: str = PROMPT,
        max_delay: float = 0.0,
        config: ModelConfig = SWIN_T,
    ) -> None:
        self._engine, self._tokenizer = engine, Tokenizer(vocabulary)
        self._prompt = self._tokenize(prompt)
        network = load_network(lambda: GroundingDino(config), checkpoint, "model").prepare(engine.dtype)
        with torch.inference_mode():
            self._text = network.encode_prompt(self._prompt).to(engine.device)
        # BERT holds two thirds of the weights and is not needed again: the prompt never changes
        del network.bert
        self._network = network.to(engine.device)
        # a batch takes a CPU as long as its images one by one, which return the first result earlier
        max_batch = GPU_BATCH if engine.on_gpu else 1
        self._batcher: Batcher[Bytes, RawOutput] = Batcher(
            self._run_batch, max_batch, max_delay, device_lock, torch.OutOfMemoryError
        )

    def _tokenize(self, prompt: str) -> Prompt:
        try:
            return self._tokenizer.tokenize(prompt)
        except ValueError as error:
            raise Misconfigured(f"PROMPT: {error}; shorten the setting") from error

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """Return what the prompt names in an RGB photo, best score first. `thorough` lowers the threshold."""
        tiles = split_into_tiles(image)
        inputs = [resize_for_network(tile.image) for tile in tiles]
        # the tiles of a photo have one size, so they may share a batch
        outputs = self._batcher.run_all(inputs, inputs[0].shape, cancel)
        threshold = THOROUGH_THRESHOLD if thorough else THRESHOLD
        detections = [
            detection
            for number, (tile, output) in enumerate(zip(tiles, outputs, strict=True))
            for detection in self._tile_detections(tile, number, output, threshold)
        ]
        merged = merge_detections(detections)
        return [clipped for detection in merged if (clipped := clip_to_photo(detection, image.size))]

    def _tile_detections(self, tile: Tile, number: int, output: RawOutput, threshold: float) -> list[TileDetection]:
        is_kept = output.scores.amax(1) > threshold
        detections = []
        for scores, box in zip(output.scores[is_kept], output.boxes[is_kept], strict=True):
            label = garment_kind(best_phrase(scores, self._prompt, self._tokenizer))
            detections.append(TileDetection(box_in_photo(tile, box), label, float(scores.max()), number))
        return [detection for detection in detections if detection.box.x2 - detection.box.x1 >= tile.min_width]

    @torch.inference_mode()
    def _run_batch(self, images: list[Bytes], check_cancelled: CancelCheck) -> list[RawOutput]:
        pixels = normalize_pixels(np.stack(images), self._engine)
        scores, boxes = self._network(pixels, self._text, check_cancelled)
        return [RawOutput(*pair) for pair in zip(scores.float().cpu(), boxes.float().cpu(), strict=True)]


def resize_for_network(image: Image.Image) -> Bytes:
    """Return RGB pixels (h, w, 3) at the network's input size."""
    size = network_size(*image.size)
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR), np.uint8)


def box_in_photo(tile: Tile, box: Tensor) -> Box:
    """Convert a box (4,), center and size as fractions of the tile, to corners in pixels of the photo."""
    x, y, width, height = (box.double() * torch.tensor([*tile.image.size] * 2)).tolist()
    x, y = x + tile.left, y + tile.top
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def clip_to_photo(detection: TileDetection, size: Sequence[int]) -> Detection | None:
    """Clip a detection to the photo's width and height. Returns `None` if it lies in the padding."""
    width, height = size
    box = detection.box
    clipped = Box(max(box.x1, 0), max(box.y1, 0), min(box.x2, width), min(box.y2, height))
    return Detection(clipped, detection.label, detection.score) if clipped.area >= 1 else None
