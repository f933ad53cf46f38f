"""Detector and embedder behind an admission queue of limited length."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Busy
from lookalike.domain.model import Box, Detection, Vectors
from lookalike.domain.ports import Detector, Embedder
from lookalike.domain.stage_times import Stage, stage

log = logging.getLogger("lookalike.models")
DEADLINE_CHECK_SECONDS = 0.05
"""Interval at which a waiting request checks its deadline. A cancellation wakes it at once."""


class Models:
    """Detector and embedder. At most `max_waiting` requests, including those being served, are admitted.

    `max_concurrency` is the number of calls that run at once. It is above 1 for models that batch concurrent calls.
    """

    def __init__(self, detector: Detector, embedder: Embedder, max_waiting: int, max_concurrency: int = 1) -> None:
        self._detector, self._embedder, self.max_concurrency = detector, embedder, max_concurrency
        self._queue = AdmissionQueue(max_waiting, max_concurrency)
        self._warm_up_lock, self._is_warm = threading.Lock(), False

    @property
    def embedder(self) -> str:
        """Name of the embedder."""
        return self._embedder.name

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._embedder.dim

    @property
    def queue_length(self) -> int:
        """Number of requests that wait for the models or use them."""
        return self._queue.length

    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """Return the garments of an RGB photo. Set `thorough` for storage, to also get less certain detections.

        Raises `Busy` if the queue is full, and `Cancelled` or `DeadlineExceeded`.
        """
        with self._queue.admit(cancel):
            return self._detector.detect(image, cancel, thorough)

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Return the unit vectors (n, dim) of images. Raises the same as `detect`."""
        with self._queue.admit(cancel):
            return self._embedder.embed(images, cancel)

    def warm_up(self) -> None:
        """Run both models once per process, so that the first request does not wait for their initialization.

        A failed warm-up is tried again at the next call. Raises the same as `detect`.
        """
        with self._warm_up_lock:
            if not self._is_warm:
                image, cancel, start = Image.new("RGB", (224, 320), "gray"), CancelToken(), time.monotonic()
                self.detect(image, cancel)
                self.embed([image], cancel)
                log.info("Models warm", extra={"seconds": round(time.monotonic() - start, 3)})
                self._is_warm = True


def whole_photo_detection(photo: Image.Image) -> Detection:
    """Return a detection that covers the whole photo."""
    return Detection(Box(0, 0, photo.width, photo.height), None, None)


class AdmissionQueue:
    """Admission control: runs up to `max_concurrency` calls at once and rejects new ones when the queue is full.

    Waiting calls run in the order of their arrival. `max_waiting` limits the calls that wait or run.
    """

    def __init__(self, max_waiting: int, max_concurrency: int = 1) -> None:
        self._max_waiting, self._lock = max_waiting, threading.Lock()
        self._length, self._free_slots = 0, max_concurrency
        self._waiting: deque[threading.Event] = deque()

    @property
    def length(self) -> int:
        """Number of calls that wait or run."""
        return self._length

    @contextmanager
    def admit(self, cancel: CancelToken) -> Iterator[None]:
        """Wait for a free slot and hold it inside the context.

        Raises `Busy` at once if the queue is full, and the token's error if it is cancelled while waiting.
        """
        turn = self._enter()
        try:
            with stage(Stage.QUEUE), cancel.on_cancel(turn.set):
                while not turn.wait(DEADLINE_CHECK_SECONDS):
                    cancel.check()
                # the token's callback may have set the event instead of a free slot
                cancel.check()
            yield
        finally:
            self._leave(turn)

    def _enter(self) -> threading.Event:
        """Take a free slot or a place in the queue. Returns the event that is set once the call has a slot."""
        turn = threading.Event()
        with self._lock:
            if self._length >= self._max_waiting:
                raise Busy("Too many requests are waiting for the models: try again in a few seconds")
            self._length += 1
            self._waiting.append(turn)
            self._fill_free_slots()
        return turn

    def _leave(self, turn: threading.Event) -> None:
        with self._lock:
            self._length -= 1
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._free_slots += 1
                self._fill_free_slots()

    def _fill_free_slots(self) -> None:
        """Give free slots to the calls that wait the longest. Requires the lock."""
        while self._free_slots and self._waiting:
            self._free_slots -= 1
            self._waiting.popleft().set()
