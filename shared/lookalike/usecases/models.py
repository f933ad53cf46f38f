"""The models as the use cases see them, with a bounded queue before them."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Busy
from lookalike.domain.model import Box, Detection, Vectors
from lookalike.domain.ports import Detector, Embedder

log = logging.getLogger("lookalike.models")
CANCEL_CHECK_SECONDS = 0.05
"""Seconds after which one who waits looks whether it was cancelled."""


class Models:
    """A detector and an embedder. At most `places` requests wait for them, or are served by them, at once.

    `at_once`: how many the models take at a time. Those that take several bring them together themselves.
    """

    def __init__(self, detector: Detector, embedder: Embedder, max_waiting: int, max_concurrency: int = 1) -> None:
        self._detector, self._embedder, self.max_concurrency = detector, embedder, max_concurrency
        self._turnstile = AdmissionQueue(max_waiting, max_concurrency)
        self._warming, self._is_warm = threading.Lock(), False

    @property
    def embedder(self) -> str:
        return self._embedder.name

    @property
    def dim(self) -> int:
        return self._embedder.dim

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """With `thorough`, also what is less sure: for what is stored."""
        with self._turnstile.admit(cancel):
            return self._detector.detect(image, cancel, thorough)

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Shape (n, dim), unit rows."""
        with self._turnstile.admit(cancel):
            return self._embedder.embed(images, cancel)

    def warm_up(self) -> None:
        """Run both, if that was not done yet, so that the first request finds them ready."""
        with self._warming:
            if not self._is_warm:
                self._run_once()
                self._is_warm = True

    def _run_once(self) -> None:
        photo, cancel, began = Image.new("RGB", (224, 320), "grey"), CancelToken(), time.monotonic()
        self.detect(photo, cancel)
        self.embed([photo], cancel)
        log.info("Models warm", extra={"seconds": round(time.monotonic() - began, 3)})


def whole_photo_detection(photo: Image.Image) -> Detection:
    """The whole photo as if it were a garment."""
    return Detection(Box(0, 0, photo.width, photo.height), None, None)


class AdmissionQueue:
    """Lets `at_once` through at a time, and refuses at once whoever would find no place to wait."""

    def __init__(self, max_waiting: int, max_concurrency: int = 1) -> None:
        self._places = threading.Semaphore(max_waiting)
        self._turn = threading.Semaphore(max_concurrency)

    @contextmanager
    def admit(self, cancel: CancelToken) -> Iterator[None]:
        """Raises `Busy`, or the token's error while waiting."""
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting for the models; come again in a moment")
        try:
            while not self._turn.acquire(timeout=CANCEL_CHECK_SECONDS):
                cancel.check()
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()
