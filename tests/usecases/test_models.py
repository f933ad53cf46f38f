"""Models: concurrency limit, admission queue and warm-up."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Busy, Cancelled
from lookalike.domain.model import Detection, Vectors
from lookalike.usecases.models import AdmissionQueue, Models
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


def test_admission_queue_runs_one_call_at_a_time_and_rejects_when_full() -> None:
    queue, is_inside = AdmissionQueue(3), threading.Semaphore(1)
    release = threading.Event()
    rejected: list[str] = []

    def enter() -> None:
        try:
            with queue.admit(CancelToken()):
                assert is_inside.acquire(blocking=False), "two calls run at once"
                release.wait(5)
                is_inside.release()
        except Busy as error:
            rejected.append(error.code)

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
        thread.join(0.05)
    assert rejected == ["busy"] * 3
    release.set()
    for thread in threads:
        thread.join()


def test_call_waiting_in_the_admission_queue_can_be_cancelled() -> None:
    queue, token = AdmissionQueue(2), CancelToken()
    with queue.admit(CancelToken()):
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Cancelled), queue.admit(token):
            raise AssertionError("the cancelled call must not be admitted")
    # both slots are free again
    with queue.admit(CancelToken()):
        pass


def test_waiting_calls_run_in_the_order_of_their_arrival() -> None:
    queue, order = AdmissionQueue(20), list[int]()

    def enter(number: int) -> None:
        with queue.admit(CancelToken()):
            order.append(number)

    with ThreadPoolExecutor(10) as pool, queue.admit(CancelToken()):
        for number in range(10):
            pool.submit(enter, number)
            while queue.length < number + 2:
                time.sleep(0.001)
        # longer than the interval of deadline checks, which must not change the order
        time.sleep(0.15)
    assert order == list(range(10))


def test_cancelled_calls_give_their_slots_to_others() -> None:
    queue, tokens, done = AdmissionQueue(40, 2), [CancelToken() for _ in range(30)], list[int]()

    def enter(number: int) -> None:
        with suppress(Cancelled), queue.admit(tokens[number]):
            time.sleep(0.001)
            done.append(number)

    with ThreadPoolExecutor(30) as pool:
        futures = [pool.submit(enter, number) for number in range(30)]
        for token in tokens[::3]:
            token.cancel()
        for future in futures:
            future.result(10)
    assert queue.length == 0 and set(range(30)) - set(range(0, 30, 3)) <= set(done)
    with queue.admit(CancelToken()), queue.admit(CancelToken()):
        assert queue.length == 2
