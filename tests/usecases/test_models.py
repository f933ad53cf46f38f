"""Models: concurrency limit, admission queue and warm-up."""

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


class BarrierDetector(FakeDetector):
    """Returns only when `count` calls run at the same time."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(count, timeout=10)

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        self._barrier.wait()
        return super().detect(image, cancel, thorough)


class CountingEmbedder(FakeEmbedder):
    """Counts its calls."""

    calls = 0

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        self.calls += 1
        return super().embed(images, cancel)


def test_models_run_up_to_max_concurrency_calls_at_once() -> None:
    models = Models(BarrierDetector(4), FakeEmbedder(), max_waiting=4, max_concurrency=4)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: models.detect(PHOTO, CancelToken()), range(4))) == [[]] * 4


def test_concurrent_warm_ups_run_the_models_once() -> None:
    detector, embedder = FakeDetector(), CountingEmbedder()
    models = Models(detector, embedder, max_waiting=8)
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(models.warm_up) for _ in range(8)]:
            future.result(10)
    assert len(detector.thorough_calls) == embedder.calls == 1


def test_failed_warm_up_is_tried_again() -> None:
    models = Models(FakeDetector(), FakeEmbedder(), max_waiting=0)
    for _ in range(2):
        with pytest.raises(Busy):
            models.warm_up()
