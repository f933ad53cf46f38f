"""Detector and embedder behind an admission queue of limited length."""

import logging
import threading
import time
from collections.abc import Sequence

from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Box, Detection, Vectors
from lookalike.domain.ports import Detector, Embedder, TextEmbedder
from lookalike.usecases.admission import AdmissionQueue

log = logging.getLogger("lookalike.models")


class Models:
    """Detector and embedder. At most `max_waiting` requests, including those being served, are admitted.

    `max_concurrency` is the number of calls that run at once. It is above 1 for models that batch concurrent calls.
    `text_embedder` is the embedder again if it maps texts to vectors.
    """

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        max_waiting: int,
        max_concurrency: int = 1,
        text_embedder: TextEmbedder | None = None,
    ) -> None:
        self._detector, self._embedder = detector, embedder
        self.max_waiting, self.max_concurrency = max_waiting, max_concurrency
        self._text_embedder = text_embedder
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

    @property
    def embeds_texts(self) -> bool:
        """Whether `embed_texts` is available."""
        return self._text_embedder is not None

    def embed_texts(self, texts: Sequence[str], cancel: CancelToken) -> Vectors:
        """Return the unit vectors (n, dim) of texts. Raises the same as `detect`. Only if `embeds_texts`."""
        assert self._text_embedder is not None
        with self._queue.admit(cancel):
            return self._text_embedder.embed_texts(texts, cancel)

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
