"""Results about jobs, users, ingestions, products and duplicates."""

from datetime import datetime
from typing import Any

from pydantic import Field

from lookalike.client.models.garments import Box, ProductDetails, Result, StoredGarment
from lookalike.client.models.searches import Price


class Job(Result):
    """State of an upload, split or search."""

    request_id: str
    status: str
    """`processing`, `completed`, `cancelled` or `failed`."""
    kind: str
    stage: str
    """The step that runs now, or ran last."""
    created: datetime
    updated: datetime
    finished: datetime | None
    error_code: str | None = None
    """Code of the error with which it failed, or `interrupted` if its process ended first."""


class RecentJob(Result):
    """A recent upload, split or search."""

    id: str
    kind: str
    status: str
    timestamp: float
    """Time at which it started, in Unix seconds."""
    age: float
    """Seconds since it started."""


class Receipt(Result):
    """Receipt of an erasure."""

    receipt_id: str
    at: datetime
    segments: list[str]
    """Names of the erased garments, at most 1000."""
    counts: dict[str, int]
    """Numbers of what was erased. If `remaining` is not 0, repeat the request."""
    splitted_image_id: str | None = None


class AccountReceipt(Receipt):
    """Receipt of the erasure of an account."""

    is_account_deleted: bool


class User(Result):
    """An account."""

    user_id: str
    email: str
    role: str
    """`user` or `admin`."""


class Account(Result):
    """An account as administrators see it."""

    id: str
    email: str
    role: str
    """`user` or `admin`."""
    created: datetime | None
    last_sign_in: datetime | None
    """`None` if there was none, or if the sign-in service does not tell."""


class TokenSession(User):
    """An account and its tokens."""

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    expires_in: int
    """Lifetime of the access token in seconds."""


class CurrentUser(User):
    """The account of the token."""

    is_admin: bool


class Ingestion(Result):
    """Outcome of the ingestion of one version of an object."""

    bucket: str
    name: str
    generation: str
    state: str
    """`done` or `failed`."""
    photo: str | None
    reason: str | None
    """Why no photo was stored."""
    recorded_at: datetime


class RequestedRebuild(Result):
    """A requested rebuild of the index."""

    id: str
    """Id of the request."""
    version: str | None
    """The new index version. `None` if the next call of the schedule builds it."""


class IngestionRetry(Result):
    """Numbers of retried failures by outcome."""

    retried: int
    stored: int
    failed: int
    superseded: int
    deleted: int
    remaining: int
    failures: list[dict[str, Any]]
    elsewhere: list[dict[str, Any]]


class BrowsedGarment(Result):
    """A stored garment in a list."""

    id: int
    """Row number."""
    name: str
    photo: str
    label: str | None
    score: float | None
    box: Box | None
    thumbnail: str
    """Path of the route that returns the thumbnail."""
    color: str | None
    """Mean color in sRGB, such as `#8a1c2b`."""
    created: datetime
    product: str | None
    """Id of the product of a feed that it shows."""
    details: ProductDetails | None
    url: str | None = None
    thumbnail_url: str | None = None


class ProductView(Result):
    """A picture of a product."""

    address: str
    photo: str | None
    reason: str | None
    """Why the last attempt to fetch or store the picture failed."""
    garment: BrowsedGarment | None
    worn_with: list[BrowsedGarment] = Field(default_factory=list)
    """The other garments of the photo. Only of a single product."""


class ProductEdit(Result):
    """A field of a product with a value that an administrator set."""

    field: str
    feed_value: Price | str | list[str] | None
    """The value that the feed had last."""
    at: datetime
    by: str | None
    """Id of the user, or `key:` and the id of an API key."""
    by_name: str | None
    """Email address of the user."""


class Product(Result):
    """A product of a feed. Fields are `None` if the feed leaves them out."""

    id: str
    feed: str
    title: str | None
    description: str | None
    link: str | None
    item_group_id: str | None
    price: Price | None
    sale_price: Price | None
    availability: str | None
    brand: str | None
    color: str | None
    size: list[str]
    gender: str | None
    age_group: str | None
    material: str | None
    pattern: str | None
    google_product_category: str | None
    product_type: str | None
    columns: dict[str, str]
    """All other columns of the feed."""
    created: datetime
    updated: datetime
    gone: datetime | None
    """Time since which the feed does not contain the product."""
    views: list[ProductView]
    edits: list[ProductEdit] = Field(default_factory=list)
    """Fields that are kept over the feed's values. Only for administrators."""


class DuplicateGarment(StoredGarment):
    """A garment of a group of duplicates."""

    thumbnail_base64: str | None = Field(None, repr=False)
    url: str | None = None
    thumbnail_url: str | None = None


class DuplicatePair(Result):
    """Two garments of a group."""

    garments: list[int]
    similarity: float
    decision: str | None


class DuplicateGroup(Result):
    """Garments that are connected by pairs."""

    garments: list[DuplicateGarment]
    pairs: list[DuplicatePair]
