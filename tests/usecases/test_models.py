"""The models as the use cases see them."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Busy
from lookalike.domain.model import Detection, Vectors
from lookalike.usecases.models import Models
from tests.fakes.models import FakeDetector, FakeEmbedder

PHOTO = Image.new("RGB", (4, 4))


class Gathering(FakeDetector):
    """Answers only when so many ask at the same time."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(count, timeout=10)

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        self._barrier.wait()
        return super().detect(image, cancel, thorough)


class Counting(FakeEmbedder):
    calls = 0

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        self.calls += 1
        return super().embed(images, cancel)


def test_models_that_bring_requests_together_get_several_at_once() -> None:
    models = Models(Gathering(4), FakeEmbedder(), max_waiting=4, max_concurrency=4)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: models.detect(PHOTO, CancelToken()), range(4))) == [[]] * 4


def test_models_are_warmed_once_however_many_ask() -> None:
    detector, embedder = FakeDetector(), Counting()
    models = Models(detector, embedder, max_waiting=8)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(models.warm_up) for _ in range(8)]:
            done.result(10)
    assert len(detector.thorough_calls) == embedder.calls == 1


def test_a_failed_warming_is_tried_again() -> None:
    models = Models(FakeDetector(), FakeEmbedder(), max_waiting=0)
    for _ in range(2):
        with pytest.raises(Busy):
            models.warm_up()
