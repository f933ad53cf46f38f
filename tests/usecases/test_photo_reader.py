"""Photo reader: the pixels of all photos that are decoded at a time are limited."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, InvalidImage
from lookalike.usecases.photo_reader import MAX_MEGAPIXELS, PhotoReader

LARGE = images.jpeg(Image.new("RGB", (5000, 5000)))
SMALL = images.jpeg(Image.new("RGB", (50, 40)))


def test_two_large_photos_are_not_decoded_at_the_same_time() -> None:
    assert MAX_MEGAPIXELS < 2 * 25
    reader, token = PhotoReader(), CancelToken()
    with reader.open_photo(LARGE, CancelToken()) as image:
        assert image.size == (5000, 5000)
        with reader.open_photo(SMALL, CancelToken()) as other:
            assert other.size == (50, 40)
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Cancelled), reader.open_photo(LARGE, token):
            raise AssertionError("the second photo must not be decoded")
    with reader.open_photo(LARGE, CancelToken()):
        pass


def test_photo_decoded_at_a_smaller_size_counts_with_that_size() -> None:
    assert images.decoded_pixels(LARGE, 1000) == 1250**2 == images.read_image(LARGE, 1000).width ** 2
    reader = PhotoReader()
    with reader.open_photo(LARGE, CancelToken(), 1000), reader.open_photo(LARGE, CancelToken()):
        pass


def test_photos_that_cannot_be_decoded_release_their_memory() -> None:
    reader = PhotoReader()
    for data in (LARGE[:20_000], b"no image", LARGE[:20_000]):
        with pytest.raises(InvalidImage), reader.open_photo(data, CancelToken()):
            raise AssertionError("the photo is corrupt")
    with ThreadPoolExecutor(4) as pool:

        def read(_: int) -> int:
            with reader.open_photo(LARGE, CancelToken()) as image:
                return image.width

        assert list(pool.map(read, range(4))) == [5000] * 4
