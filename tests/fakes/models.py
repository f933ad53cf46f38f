"""Models that know everything at once: colours are garments, and vectors."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box, Detection, Vectors


class FakeDetector:
    """Finds what it was told to, in every photo. `asked`: whether thoroughly, of each call so far."""

    def __init__(self, *found: Detection) -> None:
        self.detections = list(found)
        self.thorough_calls: list[bool] = []

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        cancel.check()
        self.thorough_calls.append(thorough)
        return list(self.detections)


class FakeEmbedder:
    """The mean colour, as a direction."""

    name, dim = "fake-1", 3

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        cancel.check()
        means = [np.asarray(image.convert("RGB"), np.float32).reshape(-1, 3).mean(0) + 1 for image in images]
        rows = np.array(means, np.float32).reshape(-1, 3)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def make_detection(x: float = 0, label: str = "top", score: float = 0.9) -> Detection:
    """A box of 20 x 30 pixels at x."""
    return Detection(Box(x, 0, x + 20, 30), label, score)
