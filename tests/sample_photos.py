"""Photographs of the sample closet, as images for tests."""

import random
from functools import cache

from PIL import Image

from lookalike.batch.sample_closet import closet_photos
from lookalike.images import read_image


def sample_photo(seed: int = 1, outfit: bool = False) -> Image.Image:
    """Return a photograph of one garment, another one for each seed, or of an outfit of several garments."""
    photos = _shuffled(outfit)
    return photos[seed % len(photos)].copy()


@cache
def _shuffled(outfit: bool) -> list[Image.Image]:
    paths = [path for path in closet_photos() if path.stem.startswith("outfit") is outfit]
    random.Random(1).shuffle(paths)
    return [read_image(path.read_bytes()) for path in paths]
