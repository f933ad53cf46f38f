"""Response schemas: the OpenAPI document contains them, and tests validate every response against it.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lookalike.domain.model import ProductDetails

T = TypeVar("T")


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


OPTIONAL: Any = Field(None, json_schema_extra=_without_default)
"""Default of fields that are left out of a response if they are unknown or were not requested."""
Corners = list[float]
"""x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 exclusive."""


class Schema(BaseModel):
    """Base of all response schemas."""

    # built when it is first used: a function uses a few of them
    model_config = ConfigDict(use_attribute_docstrings=True, defer_build=True)


class BaseResponse(Schema):
    """Fields of every response."""

    model_config = ConfigDict(extra="forbid")

    success: bool
    request_id: str
    """Id of the request, also in the header `X-Request-Id`. The server's log entries contain it."""
    message: str = OPTIONAL
    """Text for people. It may change between versions."""


class ErrorDetail(Schema):
    """The error in a form for programs."""

    code: str
    """Stable error code."""
    details: dict[str, Any]
    """Values that belong to the error, such as `field` for an invalid field."""


class ErrorResponse(BaseResponse):
    """An error. A canceled request also has this form, with HTTP status 200 and the status `cancelled`."""

    success: Literal[False]
    status: str
    """`error`, `not_found` or `cancelled`. Programs should read `error.code`, which is more precise."""
    error: ErrorDetail


class DataResponse(BaseResponse, Generic[T]):
    """A response with data. A subclass with documented fields sets `use_attribute_docstrings`."""

    # Pydantic searches all modules for the source of each parameterized class, a third of the time of a cold start.
    model_config = ConfigDict(use_attribute_docstrings=False)

    data: T


class ProductDetailsResponse(DataResponse[ProductDetails], use_attribute_docstrings=True):
    """Stored product details."""


class HealthResponse(BaseResponse):
    """State of the instance."""

    status: str
    """`alive` or `ready`."""


class Garment(Schema):
    """A garment in a photo."""

    model_config = ConfigDict(extra="forbid")

    bounding_box: Corners | None
    """x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 are exclusive. Null if unknown."""
    label: str | None
    """Kind of garment, such as `dress`. Null for a whole photo."""
    score: float | None
    """Confidence of the detection, 0 to 1."""


class Segment(Garment):
    """A stored garment."""

    id: int
    """Row number of the garment."""
    splitted_image_id: str
    """Name of the garment."""
    splitted_image_path: str
    """Path of the cut-out in the bucket."""
    original_image_id: str
    """Name of the photo that the garment is from."""


class UploadedPhoto(Schema):
    """A stored photo and its garments."""

    original_image_id: str
    """Name of the photo."""
    segments: list[Segment]


class UploadResponse(BaseResponse):
    """The stored photo. `data` is absent if no garment was found and nothing was stored."""

    data: UploadedPhoto = OPTIONAL


class CutOut(Garment):
    """A garment cut out of a photo."""

    segment_id: str
    """Name of the garment within its photo, such as `segment_0`."""
    segment_base64: str
    """The cut-out as a PNG in base64."""


class CutOuts(Schema):
    """The garments of a photo."""

    segments: list[CutOut]


class SplitResponse(BaseResponse):
    """The garments cut out of a photo."""

    width: int
    """Width of the upright photo in pixels."""
    height: int
    """Height of the upright photo in pixels."""
    data: CutOuts
    segments: list[Any] = OPTIONAL
    """Present, and empty, only if no garment was found."""


class ImageCutOut(Garment):
    """A garment cut out of a photo."""

    segment_id: str
    """Name of the garment within its photo, such as `segment_0`."""
    image_base64: str
    """The cut-out as a PNG in base64."""


class ImageSplitResponse(BaseResponse):
    """The garments cut out of a photo."""

    width: int
    """Width of the upright photo in pixels."""
    height: int
    """Height of the upright photo in pixels."""
    segments: list[ImageCutOut]


class Explanation(Schema):
    """Comparison of a match with the query garment. A field is absent if its value is unknown for one of the two."""

    model_config = ConfigDict(extra="forbid")

    same_label: bool = OPTIONAL
    """Whether both have the same label."""
    colour_distance: float = OPTIONAL
    """CIE76 difference of the mean colors. About 2 is just visible; 100 is black to white."""
    color_distance: float = OPTIONAL
    """CIEDE2000 difference of the garment's mean color to the color that the request names."""
    shared_details: list[str] = OPTIONAL
    """Names of product details that both share."""


class Price(Schema):
    """An exact amount of money."""

    amount: str
    """A decimal number, such as `79.99`. It is text, so that it stays exact."""
    currency: str
    """ISO 4217 code, such as `EUR`."""


class Offer(Schema):
    """The price of a product of a feed."""

    product_id: str
    price: Price | None
    sale_price: Price | None
    """Reduced price; `price` is then the price before."""
    availability: str | None


class Match(Segment):
    """A stored garment that is similar to the query."""

    similarity: float
    """Cosine similarity to the query, -1 to 1."""
    why: Explanation
    """Properties that the match and the query garment have in common."""
    match: float = OPTIONAL
    """Probability, 0 to 1, that both are the same garment. Absent if the model is not calibrated."""
    details: ProductDetails = OPTIONAL
    """Present if requested with `include_details` and known."""
    offer: Offer = OPTIONAL
    """Present if requested with `include_details` and the garment shows a product of a feed."""
    processed_image_base64: str = OPTIONAL
    """The cut-out in base64, with `include` set to `image`."""
    thumbnail_base64: str = OPTIONAL
    """The thumbnail in base64, with `include` set to `thumbnail`."""
    url: str = OPTIONAL
    """Link to the cut-out, with `include` set to `url`. It expires."""
    thumbnail_url: str = OPTIONAL
    """Link to the thumbnail, with `include` set to `url`. It expires."""


class MatchGroup(Garment):
    """A garment of the query photo and its matches."""

    results: list[Match]
    """The matches, most similar first."""


class IndexInfo(Schema):
    """The index that was searched."""

    version: str | None
    """Name of the published version. Null before the first one."""
    built_at: str | None
    """Time at which the version was built."""
    rows: int
    """Number of garments searched."""
    tail_rows: int
    """Number of these garments that were added after the version was built."""
    without_vector: int
    """Number of garments not searched, because they have vectors of other models only."""


class RelayResponse(BaseResponse):
    """Result of a search."""

    results: list[Match]
    """The matches of the whole request, most similar first, each garment once."""
    groups: list[MatchGroup] = OPTIONAL
    """One group for each garment of the photo. Present if requested with `segment`."""
    width: int
    """Width of the upright photo in pixels."""
    height: int
    """Height of the upright photo in pixels."""
    index: IndexInfo


class SearchSummary(Schema):
    """A past search. Request fields at their defaults are absent."""

    search_id: str
    asked_at: str
    """Time of the search."""
    garments: list[dict[str, Any]]
    """Label and box of each query garment."""
    query: list[dict[str, Any]] = []
    """Examples of a request to `/search`, without photos."""
    reusable_vectors: int
    """Vectors of the photos with which the search can be repeated: one for each garment of a segmented photo, otherwise
    one for each photo, in the order of `query`. Send them as `search` and `garment`. 0 if the model was changed."""
    num: int = 5
    limit: int = 10
    segment: bool = False
    min_similarity: float = -1
    filter: dict[str, Any] = {}
    color: dict[str, Any] | None = None
    group_by: str | None = None
    diversity: float = 0
    bounding_box: Corners | None = None


class SearchHistoryResponse(DataResponse[list[SearchSummary]], use_attribute_docstrings=True):
    """A page of the search history, newest first."""

    before: str | None
    """Send this as `before` to get the next page. Null on the last page."""


class DetailsResponse(BaseResponse):
    """Product details of a garment."""

    message: ProductDetails  # type: ignore[assignment]
    """The details. They are in `message` because clients of the original system read them there."""


class ReceiptCounts(Schema):
    """Numbers of what was erased."""

    garments: int
    photos: int
    objects: int
    """Files in the bucket."""
    left: int
    """Files that could not be deleted now. The scheduled sweep deletes them later."""
    searches: int
    """Entries of the search history."""
    jobs: int
    """Finished requests."""
    remaining: int
    """Garments that were not erased because the time ran out. Repeat the request for them."""


class Receipt(Schema):
    """Receipt of an erasure."""

    receipt_id: str
    at: str
    """Time of the erasure."""
    segments: list[str]
    """Names of the erased garments, at most 1000."""
    counts: ReceiptCounts
    splitted_image_id: str = OPTIONAL
    """Name of the garment, if exactly one was requested."""


class StatusResponse(BaseResponse):
    """A confirmation."""

    status: str = OPTIONAL


class JobResponse(BaseResponse):
    """State of a request. Times are in UTC."""

    status: str
    """`processing`, `completed`, `cancelled` or `failed`."""
    kind: str
    """`upload`, `split`, `search`, `ingest`, `recut`, `sync` or `rebuild`."""
    stage: str
    """The step that runs now, or ran last; of a synchronization, its progress."""
    created: str
    updated: str
    finished: str | None
    """Null while the request runs."""
    error_code: str | None
    """Code of the error with which the request failed, or `interrupted` if its process ended first."""


class RecentJob(Schema):
    """A recent request."""

    id: str
    kind: str
    """`upload`, `split`, `search`, `ingest`, `recut`, `sync` or `rebuild`."""
    status: str
    """`processing`, `completed`, `cancelled` or `failed`."""
    timestamp: float
    """Time at which it started, in Unix seconds."""
    age: float
    """Seconds since it started."""


class RecentJobsResponse(BaseResponse):
    """Your own requests, newest first."""

    status: str
    requests: list[RecentJob]


class User(Schema):
    """An account."""

    user_id: str
    email: str
    role: str
    """`user` or `admin`."""


class Session(User):
    """An account and its tokens."""

    access_token: str
    """Send it as `Authorization: Bearer <token>`."""
    refresh_token: str
    """Exchange it for new tokens at `/api/auth/refresh`. It is valid once."""
    expires_in: int
    """Lifetime of the access token in seconds."""


class CurrentUser(User):
    """The signed-in user."""

    is_admin: bool


class ReindexResponse(DataResponse[dict[str, Any] | None]):
    """The manifest of the new index version, or null if none was due."""
