"""The full detector: GroundingDINO SwinT-OGC finds what its prompt names, as the original system has it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lookalike.adapters.batching import Alive, Batcher
from lookalike.adapters.grounding_dino.merging import Find, merge
from lookalike.adapters.grounding_dino.network import GroundingDino
from lookalike.adapters.grounding_dino.phrases import PROMPT, best_phrase, label
from lookalike.adapters.grounding_dino.shape import SWIN_T, Shape
from lookalike.adapters.grounding_dino.text import Prompt, Words
from lookalike.adapters.grounding_dino.tiling import Tile, network_size, tiles
from lookalike.adapters.pytorch import Engine, load, normalised
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Box, Detection

THRESHOLD, THOROUGH = 0.3, 0.15
"""Score from which a box counts, and from which it does when photos are stored: the original's."""
BATCH = 8

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What the network says of one picture: scores of queries and words (q, t), boxes (q, 4) as centre and size, in shares."""

    scores: Tensor
    boxes: Tensor


class GroundingDinoDetector:
    """One instance may be used from several threads. On a GPU, pictures of one size that wait at the same time go through together."""

    def __init__(
        self,
        checkpoint: Path,
        vocabulary: Path,
        engine: Engine,
        turn: threading.Lock,
        prompt: str = PROMPT,
        wait: float = 0.0,
        shape: Shape = SWIN_T,
    ) -> None:
        self._engine, self._words = engine, Words(vocabulary)
        self._prompt = self._understood(prompt)
        network = load(lambda: GroundingDino(shape), checkpoint, "model").prepare(engine.dtype)
        with torch.inference_mode():
            self._text = network.read(self._prompt).to(engine.device)
        # the prompt is known for good now, and what reads it is two thirds of all weights
        del network.bert
        self._network = network.to(engine.device)
        # a CPU works on one picture as fast as on several, and answers the first one earlier
        most = BATCH if engine.on_gpu else 1
        self._batcher: Batcher[Bytes, Output] = Batcher(self._run, most, wait, turn, torch.OutOfMemoryError)

    def _understood(self, prompt: str) -> Prompt:
        try:
            return self._words.prompt(prompt)
        except ValueError as error:
            raise Misconfigured(f"PROMPT: {error}") from error

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """What the prompt names in a photo, best score first; with `thorough`, also what is less sure."""
        parts = tiles(image)
        pictures = [shrunk(tile.picture) for tile in parts]
        # the tiles of a photo have one size
        outputs = self._batcher.all(pictures, pictures[0].shape, cancel)
        lowest = THOROUGH if thorough else THRESHOLD
        seen = [self._finds(*pair, number, lowest) for number, pair in enumerate(zip(parts, outputs, strict=True))]
        merged = merge([find for finds in seen for find in finds])
        return [detection for find in merged if (detection := inside(find, image.size))]

    def _finds(self, tile: Tile, output: Output, number: int, lowest: float) -> list[Find]:
        sure = output.scores.amax(1) > lowest
        pairs = zip(output.scores[sure], output.boxes[sure], strict=True)
        finds = [Find(box_in(tile, box), self._label(scores), float(scores.max()), number) for scores, box in pairs]
        return [find for find in finds if find.box.x2 - find.box.x1 >= tile.narrowest]

    def _label(self, scores: Tensor) -> str:
        return label(best_phrase(scores, self._prompt, self._words))

    @torch.inference_mode()
    def _run(self, pictures: list[Bytes], alive: Alive) -> list[Output]:
        pixels = normalised(np.stack(pictures), self._engine)
        scores, boxes = self._network(pixels, self._text, alive)
        return [Output(*pair) for pair in zip(scores.float().cpu(), boxes.float().cpu(), strict=True)]


def shrunk(picture: Image.Image) -> Bytes:
    """Pixels (h, w, 3) at the size for the network."""
    size = network_size(*picture.size)
    return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR), np.uint8)


def box_in(tile: Tile, box: Tensor) -> Box:
    """A box as centre and size in shares of the tile, in pixels of the photo."""
    x, y, width, height = (box.double() * torch.tensor([*tile.picture.size] * 2)).tolist()
    x, y = x + tile.left, y + tile.top
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def inside(find: Find, size: Sequence[int]) -> Detection | None:
    """The find cut at the photo's edges, or none if it lies in the padding."""
    width, height = size
    box = Box(max(find.box.x1, 0), max(find.box.y1, 0), min(find.box.x2, width), min(find.box.y2, height))
    return Detection(box, find.label, find.score) if box.area >= 1 else None
