"""Results. Their fields have the names of the API; fields that a newer server adds are ignored."""

import base64
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import AliasPath, BaseModel, ConfigDict, Field

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 exclusive."""


class Result(BaseModel):
    """Base class of all results."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Garment(Result):
    """A garment in a photo."""

    bounding_box: Box | None = None
    """Unknown for garments of earlier versions."""
    label: str | None = None
    """Kind of garment, such as `dress`. `None` for a whole photo."""
    score: float | None = None
    """Confidence of the detection, 0 to 1."""


class StoredGarment(Garment):
    """A stored garment."""

    id: int
    """Row number."""
    splitted_image_id: str
    """Name of the garment."""
    splitted_image_path: str
    """Path of the cut-out in the bucket."""
    original_image_id: str
    """Name of the photo."""


class UploadedPhoto(Result):
    """A stored photo and its garments."""

    original_image_id: str
    segments: list[StoredGarment]


class CutOut(Garment):
    """A garment cut out of a photo that is not stored."""

    segment_id: str
    segment_base64: str = Field(repr=False)

    @property
    def image(self) -> bytes:
        """The cut-out as PNG."""
        return base64.b64decode(self.segment_base64)


class SplitPhoto(Result):
    """The garments of a photo that is not stored."""

    width: int
    """Width of the upright photo in pixels."""
    height: int
    segments: list[CutOut] = Field(validation_alias=AliasPath("data", "segments"))


class ProductDetails(Result):
    """Product details of a photo or a garment."""

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


class Explanation(Result):
    """Comparison of a match with the query. `None`: unknown for one of the two."""

    same_label: bool | None = None
    colour_distance: float | None = None
    color_distance: float | None = None
    shared_details: list[str] | None = None


class ResultGroup(Result):
    """The group that a match stands for."""

    key: str | float | None
    size: int


class Price(Result):
    """An exact amount of money."""

    amount: Decimal
    currency: str
    """ISO 4217 code, such as `EUR`."""


class Offer(Result):
    """What a product of a feed costs."""

    product_id: str
    price: Price | None = None
    sale_price: Price | None = None
    """Reduced price; `price` is then the price before."""
    availability: str | None = None


class Match(StoredGarment):
    """A garment that was found."""

    similarity: float | None = None
    """Cosine similarity, -1 to 1. `None` if the request has no example to compare with."""
    why: Explanation
    match: float | None = None
    """Probability that both are the same garment. `None` if the model is not calibrated."""
    details: ProductDetails | None = None
    offer: Offer | None = None
    """Price of the product that the garment shows, if requested with `include_details`."""
    group: ResultGroup | None = None
    processed_image_base64: str | None = Field(None, repr=False)
    thumbnail_base64: str | None = Field(None, repr=False)
    url: str | None = None
    thumbnail_url: str | None = None

    @property
    def image(self) -> bytes | None:
        """The cut-out, if requested with `include="image"`."""
        return _decode(self.processed_image_base64)

    @property
    def thumbnail(self) -> bytes | None:
        """The thumbnail, if requested with `include="thumbnail"`."""
        return _decode(self.thumbnail_base64)


class MatchGroup(Garment):
    """A garment of the query photo and its matches."""

    results: list[Match]


class IndexInfo(Result):
    """The index that was searched."""

    version: str | None
    built_at: datetime | None
    rows: int
    tail_rows: int
    without_vector: int


class FacetValue(Result):
    """A value of a field, and the number of garments that have it."""

    value: str | float
    count: int


class UnderstoodWords(Result):
    """Words of the query, and the condition that they became."""

    text: str
    field: str = Field(alias="as")
    value: str


class SearchResult(Result):
    """A page of matches."""

    search_id: str
    results: list[Match]
    """The matches, best first."""
    groups: list[MatchGroup] = []
    """One for each garment of the photo, if requested with `segment`."""
    width: int | None = None
    height: int | None = None
    understood: list[UnderstoodWords]
    ignored: list[str]
    facets: dict[str, list[FacetValue]]
    approximate: bool = False
    next_cursor: str | None
    index: IndexInfo


class SearchSummary(Result):
    """A past search. Fields of the request that were at their defaults have these here, too."""

    search_id: str
    asked_at: datetime
    garments: list[dict[str, Any]] = []
    query: list[dict[str, Any]] = []
    num: int = 5
    limit: int = 10
    segment: bool = False
    min_similarity: float = -1
    filter: dict[str, Any] = {}
    color: dict[str, Any] | None = None
    group_by: str | None = None
    diversity: float = 0
    bounding_box: Box | None = None


class Choice(Result):
    """A result that was chosen."""

    id: int
    splitted_image_id: str
    chosen_at: datetime


class Feedback(Choice):
    """A result that was chosen, with its search."""

    search_id: str


class PastMatch(StoredGarment):
    """A match of a past search that is still stored."""

    similarity: float
    garment: int


class PastSearch(SearchSummary):
    """A past search with its matches."""

    results: list[PastMatch]
    chosen: list[Choice]


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
    """What became of one version of an object."""

    bucket: str
    name: str
    generation: str
    state: str
    """`done` or `failed`."""
    photo: str | None
    reason: str | None
    """Why no photo was stored."""
    recorded_at: datetime


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
    worn_with: list[BrowsedGarment] = []
    """The other garments of the photo. Only of a single product."""


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


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
