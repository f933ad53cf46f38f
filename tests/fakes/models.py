"""Models without networks: a detector with fixed detections, and an embedder of colors."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box, Detection, Vectors


class FakeDetector:
    """Returns the same `detections` for every photo. `thorough_calls` has the flag `thorough` of each call."""

    def __init__(self, *detections: Detection) -> None:
        self.detections = list(detections)
        self.thorough_calls: list[bool] = []

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        cancel.check()
        self.thorough_calls.append(thorough)
        return list(self.detections)


class FakeEmbedder:
    """Embeds an image as its normalized mean RGB color."""

    name, dim = "fake-1", 3

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        cancel.check()
        # +1: black must have a direction, too
        means = [np.asarray(image.convert("RGB"), np.float32).reshape(-1, 3).mean(0) + 1 for image in images]
        rows = np.array(means, np.float32).reshape(-1, 3)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def make_detection(x: float = 0, label: str = "top", score: float = 0.9) -> Detection:
    """Return a detection of 20 x 30 pixels whose left edge is at x."""
    return Detection(Box(x, 0, x + 20, 30), label, score)
