"""The photos of a soak test, and how similar each stored garment is to each query.

The same models as the server's compute it beforehand, so a client knows which garments an answer must contain.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.batch.sample_closet import closet_photos
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Vectors
from lookalike.usecases.models import Models, whole_photo_detection
from tests.conftest import jpeg
from tests.sample_photos import sample_photo

OUTFIT_SHARE = 8
"""One photo in this many shows several garments, as far as there are so many."""
SIDE = 360
"""Pixels of the longer side: small, so that many photos fit into a minute."""


@dataclass(frozen=True, slots=True, eq=False)
class SoakPhoto:
    """A photo to upload. Clients store it under many names."""

    number: int
    data: bytes
    columns: tuple[int, ...]
    """Columns of `PhotoPool.similarities` of the garments that an upload stores, in their order."""
    queries: tuple[int, ...]
    """Rows of `PhotoPool.similarities` of the queries that find them: the photo, and each cut-out."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoPool:
    """All photos and queries."""

    photos: Sequence[SoakPhoto]
    queries: Sequence[bytes]
    query_vectors: Vectors
    similarities: NDArray[np.float32]
    """Cosine of query i and stored garment j."""


def make_pool(models: Models, count: int, seed: int) -> PhotoPool:
    """Choose photos of the sample closet, and compute their garments and the similarities."""
    photos: list[SoakPhoto] = []
    queries: list[bytes] = []
    stored: list[Vectors] = []
    for number, image in enumerate(_choose_images(count, seed)):
        data = jpeg(image)
        cut_outs = _cut_out_garments(models, images.read_image(data))
        columns = tuple(range(sum(map(len, stored)), sum(map(len, stored)) + len(cut_outs)))
        added = [data, *(images.png(cut_out) for cut_out in cut_outs)]
        photos.append(SoakPhoto(number, data, columns, tuple(range(len(queries), len(queries) + len(added)))))
        stored.append(models.embed(cut_outs, CancelToken()))
        queries += added
    query_vectors = np.concatenate([models.embed([_whole_photo(query)], CancelToken()) for query in queries])
    return PhotoPool(photos, queries, query_vectors, query_vectors @ np.concatenate(stored).T)


def _choose_images(count: int, seed: int) -> list[Image.Image]:
    names = [path.stem for path in closet_photos()]
    different_outfits = sum(name.startswith("outfit") for name in names)
    outfits = min(different_outfits, count // OUTFIT_SHARE)
    chosen = random.Random(seed).sample(range(len(names) - different_outfits), count - outfits)
    photos = [*(sample_photo(one) for one in chosen), *(sample_photo(one, outfit=True) for one in range(outfits))]
    for photo in photos:
        photo.thumbnail((SIDE, SIDE))
    return photos


def _cut_out_garments(models: Models, image: Image.Image) -> list[Image.Image]:
    """Do what an upload does."""
    detections = models.detect(image, CancelToken(), thorough=True) or [whole_photo_detection(image)]
    return [detection.cut_out(image) for detection in detections]


def _whole_photo(query: bytes) -> Image.Image:
    """Do what a search does."""
    image = images.read_image(query)
    return whole_photo_detection(image).cut_out(image)
