"""Decoding of photos, with a limit on the memory of all decoded photos together."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.usecases.admission import AdmissionQueue

MAX_MEGAPIXELS = 48
"""Megapixels of the photos that are decoded at a time. A larger photo is processed alone.

A stored photo and its cut-outs take up to 20 bytes for each pixel (measured), so this limits them to 1 GB.
"""
MAX_WAITING = 10_000
"""More than the requests of a process; CONCURRENCY limits them."""


class PhotoReader:
    """Decodes photos for the requests of a process."""

    def __init__(self) -> None:
        self._queue = AdmissionQueue(MAX_WAITING, MAX_MEGAPIXELS)

    @contextmanager
    def open_photo(self, data: bytes, cancel: CancelToken, min_side: int | None = None) -> Iterator[Image.Image]:
        """Decode a photo and keep it inside the context. Waits while the photos of other requests take the memory.

        Raises the same as `images.read_image`, and the token's error if it is cancelled while waiting.
        """
        megapixels = ceil(images.decoded_pixels(data, min_side) / 1e6)
        with self._queue.admit(cancel, megapixels):
            yield images.read_image(data, min_side)
