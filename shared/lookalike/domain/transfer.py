"""Data that move from one catalog to another: photos with their garments and vectors, and decisions about duplicates."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.duplicates import Decision
from lookalike.domain.model import Photo, ProductDetails, Segment
from lookalike.domain.stored_product import StoredProduct


@dataclass(frozen=True, slots=True, eq=False)
class TransferGarment:
    """A garment with its vectors of all embedders. The id of its row counts only in the catalog that it comes from."""

    segment: Segment
    embedder: str | None
    """Embedder of the row's own vector; the other vectors are secondary. `None` if the row has no vector of its own."""
    vectors: Mapping[str, NDArray[np.float32]]
    """Unit vectors (dim,) by embedder."""


@dataclass(frozen=True, slots=True, eq=False)
class TransferPhoto:
    """A photo with its garments, in the order of their rows. There is at least one."""

    name: str
    photo: Photo | None
    """`None` for garments of the original system whose photo has no row."""
    created: datetime | None
    garments: tuple[TransferGarment, ...]


@dataclass(frozen=True, slots=True)
class TransferDecision:
    """An operator's decision about two garments, given by their names."""

    first: str
    second: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class TransferCounts:
    """Number of rows of a catalog."""

    garments: int
    """Garments that can be transferred."""
    legacy_garments: int
    """Garments of the original system that were not adopted. They cannot be transferred."""
    details: int
    products: int
    decisions: int


@dataclass(frozen=True, slots=True, eq=False)
class ImportedPhoto:
    """A photo to be imported, with its images."""

    photo: TransferPhoto
    images: Mapping[str, Callable[[], bytes]]
    """Functions that read the images, by their path in the object store. They raise `LookalikeError` for damaged ones.

    Images that are missing here must be in the store already.
    """

    @property
    def paths(self) -> list[str]:
        """Paths of all images that rows of the photo refer to."""
        photo, garments = self.photo.photo, [garment.segment for garment in self.photo.garments]
        paths = [photo.path if photo else None, *(path for one in garments for path in (one.path, one.thumbnail))]
        return [path for path in paths if path]


class ImportSource(Protocol):
    """Everything of a catalog that is to be imported. Iterators read in pages."""

    def photos(self) -> Iterator[ImportedPhoto]:
        """Yield the photos, in the order of their rows."""
        ...

    def details(self) -> Iterator[ProductDetails]:
        """Yield all product details."""
        ...

    def products(self) -> Iterator[StoredProduct]:
        """Yield all products of feeds."""
        ...

    def decisions(self) -> Iterator[TransferDecision]:
        """Yield all decisions about duplicates."""
        ...
