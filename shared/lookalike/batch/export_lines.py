"""The lines of the files of an export: JSON objects with the fields of the classes here and in the domain model."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from lookalike.domain.color import Lab
from lookalike.domain.errors import BadRequest
from lookalike.domain.model import Box, Photo, ProductDetails, Segment
from lookalike.domain.stored_product import StoredProduct
from lookalike.domain.transfer import TransferDecision, TransferPhoto

PHOTOS, GARMENTS, DETAILS = "photos.jsonl", "garments.jsonl", "details.jsonl"
PRODUCTS, DECISIONS, IMAGES = "products.jsonl", "duplicates.jsonl", "images.jsonl"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PhotoLine:
    """A line of `photos.jsonl`. Only the name is known of photos of the original system without a row."""

    name: str
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    path: str | None = None
    owner: str | None = None
    created: datetime | None = None

    @classmethod
    def of(cls, found: TransferPhoto) -> "PhotoLine":
        """Return the line of a photo."""
        return cls(**asdict(found.photo), created=found.created) if found.photo else cls(found.name)

    def to_photo(self) -> Photo | None:
        """Return the photo. `None` if it has no row."""
        if self.sha256 is None or self.width is None or self.height is None:
            return None
        return Photo(self.name, self.sha256, self.width, self.height, self.path, self.owner)


@dataclass(frozen=True, slots=True)
class GarmentLine:
    """A line of `garments.jsonl`."""

    name: str
    photo: str
    path: str
    created: datetime
    thumbnail: str | None = None
    box: tuple[float, float, float, float] | None = None
    label: str | None = None
    score: float | None = None
    color: Lab | None = None
    embedder: str | None = None

    @classmethod
    def of(cls, segment: Segment, embedder: str | None) -> "GarmentLine":
        """Return the line of a garment."""
        box = (segment.box.x1, segment.box.y1, segment.box.x2, segment.box.y2) if segment.box else None
        names = ("name", "photo", "path", "created", "thumbnail", "label", "score", "color")
        return cls(**{name: getattr(segment, name) for name in names}, box=box, embedder=embedder)

    def to_segment(self) -> Segment:
        """Return the garment, without the id of a row."""
        box = Box(*self.box) if self.box else None
        attributes = (box, self.label, self.score, self.created, self.color)
        return Segment(0, self.name, self.path, self.thumbnail, self.photo, *attributes)


@dataclass(frozen=True, slots=True)
class ImageLine:
    """A line of `images.jsonl`: an image in the folder `images`."""

    path: str
    size: int
    sha256: str


class Lines(Generic[T]):
    """Writes and reads the lines of one file as JSON. Values that are `None` are left out."""

    def __init__(self, name: str, kind: type[T], exclude: Mapping[str, Any] | None = None) -> None:
        self.name, self._exclude = name, exclude
        self._adapter = TypeAdapter(kind)

    def encode(self, value: T) -> bytes:
        """Return the line of a value."""
        return self._adapter.dump_json(value, exclude_none=True, exclude=self._exclude) + b"\n"

    def read(self, folder: Path) -> Iterator[T]:
        """Yield the values of all lines. Raises `BadRequest` for a line that cannot be read."""
        with (folder / self.name).open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield self._adapter.validate_json(line)
                except ValidationError as error:
                    problem = error.errors(include_input=False)[0]
                    field = ".".join(map(str, problem["loc"]))
                    raise BadRequest(f"{self.name}, line {number}: {field}: {problem['msg']}") from error


def photo_lines() -> Lines[PhotoLine]:
    """Return the lines of `photos.jsonl`."""
    return Lines(PHOTOS, PhotoLine)


def garment_lines() -> Lines[GarmentLine]:
    """Return the lines of `garments.jsonl`."""
    return Lines(GARMENTS, GarmentLine)


def details_lines() -> Lines[ProductDetails]:
    """Return the lines of `details.jsonl`."""
    return Lines(DETAILS, ProductDetails)


def decision_lines() -> Lines[TransferDecision]:
    """Return the lines of `duplicates.jsonl`."""
    return Lines(DECISIONS, TransferDecision)


def image_lines() -> Lines[ImageLine]:
    """Return the lines of `images.jsonl`."""
    return Lines(IMAGES, ImageLine)


class ProductLines(Lines[StoredProduct]):
    """The lines of `products.jsonl`. The addresses of pictures are written once."""

    def __init__(self) -> None:
        super().__init__(PRODUCTS, StoredProduct, {"product": {"pictures"}, "updated": True})

    def read(self, folder: Path) -> Iterator[StoredProduct]:
        """Yield the products."""
        for stored in super().read(folder):
            addresses = tuple(picture.address for picture in stored.pictures)
            yield replace(stored, product=replace(stored.product, pictures=addresses))
