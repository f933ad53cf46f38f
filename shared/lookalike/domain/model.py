"""What there is: photos, garments found in them, stored segments, their product details, jobs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.color import Lab

GARMENT_KINDS = ("top", "outerwear", "dress", "trousers", "shorts", "skirt", "shoes", "bag", "hat", "scarf")
"""The ten garment kinds that the built-in detector tells apart."""

Vectors = NDArray[np.float32]
"""Shape (n, dim), rows of length 1."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright photo, x to the right, y down; x2 and y2 exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    def pixel_bounds(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The whole pixels that the box touches, at least one, inside a photo of that size."""
        x1, y1 = min(max(int(self.x1), 0), width - 1), min(max(int(self.y1), 0), height - 1)
        x2, y2 = min(-int(-self.x2 // 1), width), min(-int(-self.y2 // 1), height)
        return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)

    def as_list(self) -> list[float]:
        return [round(float(value), 2) for value in (self.x1, self.y1, self.x2, self.y2)]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A garment found in a photo, or the whole photo, without label and score, where none was.

    `mask` is an alpha map (0 to 255) that covers exactly the box, at any resolution; none where the detector gives none.
    """

    box: Box
    label: str | None
    score: float | None
    mask: NDArray[np.uint8] | None = None

    @property
    def is_whole_photo(self) -> bool:
        """Whether it is the whole photo, in which no garment was found or looked for."""
        return self.score is None

    def cut_out(self, photo: Image.Image) -> Image.Image:
        """The garment alone: RGBA of the box's pixels with white under the transparent ones, or RGB where there is no mask."""
        crop = photo.crop(self.box.pixel_bounds(*photo.size))
        if self.mask is None:
            return crop
        alpha = Image.fromarray(self.mask).resize(crop.size, Image.Resampling.BILINEAR)
        white = Image.new("RGB", crop.size, "white")
        white.paste(crop, mask=alpha.point(lambda value: 255 if value else 0))
        white.putalpha(alpha)
        return white


IDENTICAL_SIMILARITY = 1 - 1e-6
"""The cosine of equal vectors, as far as rounding lets it be 1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a similarity of one embedder's vectors means: a logistic curve over how near they are, fitted to pairs of
    which half show one garment. `infra/training/calibrate.py` makes it.

    `copies`: the cosine from which two vectors are taken for those of one picture, stored as it is, resized or compressed
    anew; where it was not measured, that of equal vectors.
    """

    slope: float
    offset: float
    duplicate_threshold: float = IDENTICAL_SIMILARITY

    def match_probability(self, similarity: float) -> float:
        """The chance, 0 to 1, that a garment and one that a search shows for it are the same."""
        return 1 / (1 + math.exp(-(self.slope * log_distance_score(similarity) + self.offset)))


def log_distance_score(similarity: float) -> float:
    """Grows without steps from far to near, and tells small distances apart as well as large ones."""
    return -math.log(1.003 - min(similarity, 1.0))


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A row of the index and its cosine similarity (-1 to 1) to the query."""

    row_id: int
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class NewSegment:
    """A garment about to be stored; without label and score where it is the whole photo."""

    name: str
    path: str
    thumbnail: str
    box: Box
    label: str | None
    score: float | None
    vector: NDArray[np.float32]
    color: Lab | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored garment: a row of `splitted_images`, without its vector.

    `colour` is its mean colour; none of a whole photo, and of what was stored before colours were.
    """

    row_id: int
    name: str
    path: str
    thumbnail: str | None
    photo: str
    box: Box | None
    label: str | None
    score: float | None
    created: datetime
    color: Lab | None = None


ORIGINAL_EMBEDDER, ORIGINAL_DIM = "resnet50-imagenet1k-v1", 2048
"""What the original system's vectors were made with, and how many numbers they have."""


@dataclass(frozen=True, slots=True, eq=False)
class LegacyRow:
    """A row as the original system wrote it: its vector a list of numbers of any length, its picture in the row itself."""

    row_id: int
    path: str
    photo: str
    vector: NDArray[np.float32] | None
    """Shape (dim,), length 1; none where there is none that can be used."""
    image: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class AdoptedRow:
    """The same row with its picture in the store; `vector` as before, none where it had none."""

    row_id: int
    path: str
    thumbnail: str
    photo: str
    vector: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Photo:
    """An uploaded photo. `path` names the upright original in the store, none where originals are not kept."""

    name: str
    sha256: str
    width: int
    height: int
    path: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class ProductDetails:
    """What a shop says of the garments of one photo: a row of `image_details`."""

    image_id: str
    store_name: str | None = None
    brand: str | None = None
    product_name: str | None = None
    store_description: str | None = None
    url: str | None = None
    rating: float | None = None
    tags: list[str] | None = None
    sale_status: str | None = None
    size: list[str] | None = None
    waist_type: str | None = None
    listing_season: str | None = None
    season: str | None = None


class JobStatus(StrEnum):
    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the signed-in user's id or none, and the address the request came from."""

    user: str | None = None
    is_admin: bool = False
    address: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One upload or search, as every process sees it. Times are UTC."""

    id: str
    kind: str
    owner: str | None
    address: str
    status: JobStatus
    stage: str
    cancel_requested: bool
    created: datetime
    updated: datetime
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class User:
    """Someone with a valid token. Roles come from its app_metadata alone."""

    id: str
    email: str
    role: str = "user"

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> "User":
        """Whom verified claims name. Roles are read from app_metadata alone: user_metadata is the user's own to write."""
        data = claims.get("app_metadata")
        role = data.get("role") if isinstance(data, dict) else None
        return cls(str(claims["sub"]), str(claims.get("email") or ""), role if isinstance(role, str) else "user")

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class PastHit:
    """A garment that was found: for the which of those in the photo, its row, and the similarity then."""

    garment_index: int
    row_id: int
    similarity: float


@dataclass(frozen=True, slots=True)
class PastSearch:
    """What a user searched for: never the photo, but what was asked of it (JSON) and what was found, best first."""

    id: str
    owner: str
    searched_at: datetime
    request: Mapping[str, object]
    hits: Sequence[PastHit] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in. The refresh token is good for one other session, once the access token has run out after `seconds`."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


class LedgerStatus(StrEnum):
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of one object of one source: `bucket` is a bucket or a folder, `generation` tells versions of a name apart."""

    bucket: str
    name: str
    generation: str
    status: LedgerStatus
    photo: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store knows of an object without reading it."""

    path: str
    size: int
    generation: int
    sha256: str | None
    updated: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What happened to the rows of one embedder after commit number `since`.

    `upto` is the last commit seen; `row_ids` (n,) and `vectors` (n, dim) are the rows written, `deleted` (m,) those gone.
    """

    last_commit: int
    row_ids: NDArray[np.int64]
    vectors: Vectors
    deleted: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What pins an index version: how it was made, and the SHA-256 of each part."""

    version: str
    format: str
    embedder: str
    metric: str
    rows: int
    dimension: int
    highest_row_id: int
    commit: int
    """The version holds the rows of every commit up to this one."""
    built_at: str
    build_seconds: float
    libraries: Mapping[str, str]
    parts: Mapping[str, str]
    approximate: Mapping[str, object] | None = None
    """Of a version that is searched for candidates: its `format`, the `recall` of so many `queries`, and what it was built with."""
