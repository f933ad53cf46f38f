"""Domain model: photos, detected garments, stored segments, product details, users, jobs and index manifests."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.color import Lab

if TYPE_CHECKING:
    from lookalike.domain.api_keys import ApiKey
    from lookalike.domain.filter import Filter

GARMENT_KINDS = ("top", "outerwear", "dress", "trousers", "shorts", "skirt", "shoes", "bag", "hat", "scarf")
"""Labels of the built-in detector, in the order of its classes."""

Vectors = NDArray[np.float32]
"""Unit vectors, shape (n, dim)."""

OPAQUE_IF_VISIBLE = [0] + 255 * [255]
"""New value of each value of an alpha channel: only fully transparent pixels stay so."""


@dataclass(frozen=True, slots=True)
class Box:
    """Rectangle in pixels of the upright photo. x grows to the right, y downwards; x2 and y2 are exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    def pixel_bounds(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the box (x1, y1, x2, y2) extended to whole pixels and clipped to a photo of that size.

        The result contains at least one pixel, so that it can always be cropped.
        """
        x1, y1 = min(max(int(self.x1), 0), width - 1), min(max(int(self.y1), 0), height - 1)
        # -(-x // 1) rounds up
        x2, y2 = min(-int(-self.x2 // 1), width), min(-int(-self.y2 // 1), height)
        return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)

    def as_list(self) -> list[float]:
        """Return [x1, y1, x2, y2], rounded to 0.01 pixels."""
        return [round(float(value), 2) for value in (self.x1, self.y1, self.x2, self.y2)]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A garment found in a photo, or the whole photo as a substitute if none was found."""

    box: Box
    label: str | None
    """Garment kind. `None` for the whole photo."""
    score: float | None
    """Confidence, 0 to 1. `None` for the whole photo."""
    mask: NDArray[np.uint8] | None = None
    """Alpha map (0 to 255) of exactly the box, at any resolution. `None` if the detector makes no masks."""

    @property
    def is_whole_photo(self) -> bool:
        """Whether this covers the whole photo instead of a detected garment."""
        return self.score is None

    def cut_out(self, photo: Image.Image) -> Image.Image:
        """Return the garment cut out of the RGB photo: RGBA with the mask as alpha, or RGB without a mask.

        Fully transparent pixels are white, so that nothing of the background remains in the file.
        """
        crop = photo.crop(self.box.pixel_bounds(*photo.size))
        if self.mask is None:
            return crop
        alpha = Image.fromarray(self.mask).resize(crop.size, Image.Resampling.BILINEAR)
        white = Image.new("RGB", crop.size, "white")
        white.paste(crop, mask=alpha.point(OPAQUE_IF_VISIBLE))
        white.putalpha(alpha)
        return white

    def full_mask(self, size: tuple[int, int]) -> Image.Image:
        """Return the mask in the place of the garment on a photo of that width and height: "L", 0 outside the box.

        Without a mask, the box is filled with 255.
        """
        left, top, right, bottom = self.box.pixel_bounds(*size)
        alpha = Image.fromarray(np.full((1, 1), 255, np.uint8) if self.mask is None else self.mask)
        full = Image.new("L", size, 0)
        full.paste(alpha.resize((right - left, bottom - top), Image.Resampling.BILINEAR), (left, top))
        return full


IDENTICAL_SIMILARITY = 1 - 1e-6
"""Minimum cosine similarity of identical vectors. Rounding in float32 can keep it below 1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Maps similarities of one embedder to probabilities, by logistic regression on `log_distance_score`.

    `domain.calibration` fits it to image pairs, half of which show the same garment.
    """

    slope: float
    offset: float
    duplicate_threshold: float = IDENTICAL_SIMILARITY
    """Cosine from which two stored vectors count as the same image, possibly resized or recompressed.

    The default, for embedders without a measured value, accepts only identical vectors.
    """

    def match_probability(self, similarity: float) -> float:
        """Return the probability, 0 to 1, that a query and a result with this cosine are the same garment."""
        return 1 / (1 + math.exp(-(self.slope * log_distance_score(similarity) + self.offset)))


def log_distance_score(similarity: float) -> float:
    """Return the negative logarithm of the cosine distance, a similarity scale that resolves small distances.

    0.003 is added to the distance to keep the score finite for identical vectors.
    """
    return -math.log(1.003 - min(similarity, 1.0))


@dataclass(frozen=True, slots=True)
class SearchHit:
    """Row of an index with its cosine similarity, -1 to 1, to the query."""

    row_id: int
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class NewSegment:
    """A segment to be stored. `label` and `score` are `None` for a whole photo."""

    name: str
    path: str
    """Path of the image in the object store."""
    thumbnail: str
    """Path of the thumbnail in the object store."""
    box: Box
    label: str | None
    score: float | None
    vector: NDArray[np.float32]
    """Unit vector, shape (dim,)."""
    color: Lab | None = None
    """Mean color of the garment, `None` for a whole photo."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored segment: one row of `splitted_images`, without its vector."""

    row_id: int
    name: str
    path: str
    """Path of the image in the object store."""
    thumbnail: str | None
    """Path of the thumbnail, `None` in rows of the original system that were not adopted."""
    photo: str
    """Name of the photo."""
    box: Box | None
    label: str | None
    score: float | None
    created: datetime
    color: Lab | None = None
    """Mean color. `None` for whole photos, and for rows stored before colors were recorded."""


ORIGINAL_EMBEDDER, ORIGINAL_DIM = "resnet50-imagenet1k-v1", 2048
"""Embedder name and vector length of the original system."""


@dataclass(frozen=True, slots=True)
class Photo:
    """An uploaded photo."""

    name: str
    sha256: str
    """Hexadecimal SHA-256 of the uploaded file."""
    width: int
    """Width and height in pixels, after rotation to upright."""
    height: int
    path: str | None = None
    """Path of the upright photo in the object store, `None` if originals are not kept."""
    owner: str | None = None
    """Id of the user who uploaded it."""


@dataclass(frozen=True, slots=True)
class ProductDetails:
    """A shop's product data for a photo or a single segment: one row of `image_details`."""

    image_id: str
    """Name of the photo or of the segment."""
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
    """State of a job. All but `PROCESSING` are final."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Caller:
    """Sender of a request: a signed-in user, a client with an API key, or one known by its network address alone."""

    user: str | None = None
    """User id, `None` for all others."""
    is_admin: bool = False
    address: str = ""
    email: str = ""
    key: "ApiKey | None" = None
    scope: "Filter" = field(default_factory=dict, hash=False)
    """Conditions that a garment must satisfy to be visible to the caller. Empty: everything is visible."""

    @property
    def owner(self) -> str | None:
        """Owner of the jobs and photos of this caller, `None` for anonymous callers."""
        return f"key:{self.key.id}" if self.key else self.user


INTERRUPTED = "interrupted"
"""Error of jobs whose process ended before they did."""


@dataclass(frozen=True, slots=True)
class Job:
    """State of an upload, split or search, shared by all processes through the catalog. Times are in UTC."""

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
    error: str | None = None
    """Why a failed job failed: the code of the error, or `INTERRUPTED`. `None` if it is not known."""


@dataclass(frozen=True, slots=True)
class User:
    """A user identified by a valid access token."""

    id: str
    email: str
    role: str = "user"
    issued_at: float | None = field(default=None, compare=False)
    """Unix time at which the access token was issued."""

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> "User":
        """Return the user named by verified token claims."""
        # Only app_metadata is read. Users can write user_metadata, and could make themselves administrators.
        data = claims.get("app_metadata")
        role, issued = data.get("role") if isinstance(data, dict) else None, claims.get("iat")
        issued_at = float(issued) if isinstance(issued, int | float) else None
        email = str(claims.get("email") or "")
        return cls(str(claims["sub"]), email, role if isinstance(role, str) else "user", issued_at)

    @property
    def is_admin(self) -> bool:
        """Whether the user has the role `admin`."""
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class Session:
    """Tokens of a signed-in user. The refresh token can be exchanged once for a new session."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    """Lifetime of the access token in seconds."""


class LedgerStatus(StrEnum):
    """Outcome of ingesting an object version."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Outcome of ingesting one version of one object."""

    bucket: str
    """Bucket, or folder of a file system."""
    name: str
    generation: str
    """Version of the object."""
    status: LedgerStatus
    photo: str | None = None
    """Name of the photo stored from it."""
    reason: str | None = None
    """Why no photo was stored."""
    recorded: datetime | None = field(default=None, compare=False)
    """Time of recording. `None` in an entry that was not read from the catalog."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Metadata of an object in the store. `size` is in bytes, `generation` the version for optimistic locking."""

    path: str
    size: int
    generation: int
    sha256: str | None
    updated: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Rows of one embedder that were written or deleted after a given commit."""

    last_commit: int
    """Number of the last commit that is contained. Pass it as `since` to get the changes that follow."""
    row_ids: NDArray[np.int64]
    """Ids (n,) of rows written, ascending."""
    vectors: Vectors
    """Their vectors (n, dim)."""
    deleted: NDArray[np.int64]
    """Ids (m,) of rows deleted."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of an index version: how it was built, and the SHA-256 of each file. Stored as signed JSON."""

    version: str
    format: str
    embedder: str
    metric: str
    rows: int
    dimension: int
    highest_row_id: int
    commit: int
    """The version contains the changes of every commit up to this one."""
    built_at: str
    build_seconds: float
    libraries: Mapping[str, str]
    """Versions of the libraries that the files depend on, by library name."""
    parts: Mapping[str, str]
    """Hexadecimal SHA-256 by file name."""
    approximate: Mapping[str, object] | None = None
    """Approximate index, if the version has one: `format`, measured `recall`, number of `queries`, build settings."""
