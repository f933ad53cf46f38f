"""Response schemas. The API document is made of them, and tests validate every response against it."""

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


class BaseResponse(BaseModel):
    """Fields of every response."""

    model_config = ConfigDict(extra="forbid")

    success: bool
    request_id: str
    message: str = OPTIONAL


class ErrorDetail(BaseModel):
    """`code` is stable, for programs; `details` depends on the code."""

    code: str
    """Stable, for programs."""
    details: dict[str, Any]


class ErrorResponse(BaseResponse):
    """An error. A cancelled request also has this form, with HTTP status 200 and `status` `cancelled`."""

    success: Literal[False]
    status: str
    error: ErrorDetail


class DataResponse(BaseResponse, Generic[T]):
    """A response with data."""

    data: T


class HealthResponse(BaseResponse):
    """State of the instance."""

    status: str


class Garment(BaseModel):
    """A garment: box in pixels of the upright photo, label and score."""

    model_config = ConfigDict(extra="forbid")

    bounding_box: Corners | None
    label: str | None
    score: float | None


class Segment(Garment):
    """A stored garment."""

    id: int
    splitted_image_id: str
    splitted_image_path: str
    original_image_id: str


class UploadedPhoto(BaseModel):
    """A stored photo and its garments."""

    original_image_id: str
    segments: list[Segment]


class UploadResponse(BaseResponse):
    """The stored garments. Without `data` if nothing was found and nothing was stored."""

    data: UploadedPhoto = OPTIONAL


class CutOut(Garment):
    """A garment cut out of the photo, as base64."""

    segment_id: str
    segment_base64: str


class CutOuts(BaseModel):
    """The garments of a photo."""

    segments: list[CutOut]


class SplitResponse(BaseResponse):
    """The garments of a photo, cut out."""

    width: int
    height: int
    data: CutOuts
    segments: list[Any] = OPTIONAL
    """Present and empty if nothing was found."""


class ImageCutOut(Garment):
    """A garment cut out of the photo, as base64."""

    segment_id: str
    image_base64: str


class ImageSplitResponse(BaseResponse):
    """The garments of a photo, cut out."""

    width: int
    height: int
    segments: list[ImageCutOut]


class Explanation(BaseModel):
    """What match and query have in common, as far as both are known."""

    model_config = ConfigDict(extra="forbid")

    same_label: bool = OPTIONAL
    colour_distance: float = OPTIONAL
    shared_details: list[str] = OPTIONAL


class Match(Segment):
    """A match. `match`, `details` and the image fields are present if known and requested."""

    similarity: float
    why: Explanation
    match: float = OPTIONAL
    details: ProductDetails = OPTIONAL
    processed_image_base64: str = OPTIONAL
    thumbnail_base64: str = OPTIONAL
    url: str = OPTIONAL
    thumbnail_url: str = OPTIONAL


class MatchGroup(Garment):
    """A garment of the photo and its matches, best first."""

    results: list[Match]


class IndexInfo(BaseModel):
    """The index version that was searched. `tail_rows` counts the garments that are newer."""

    version: str | None
    built_at: str | None
    rows: int
    tail_rows: int


class RelayResponse(BaseResponse):
    """Matches, best first. `groups` is present with `segment`."""

    results: list[Match]
    groups: list[MatchGroup] = OPTIONAL
    """With `segment`: one group per garment of the photo."""
    width: int
    height: int
    index: IndexInfo


class SearchSummary(BaseModel):
    """A past search: its request, without fields at their defaults, and the garments of its photo."""

    search_id: str
    asked_at: str
    garments: list[dict[str, Any]]
    num: int = 5
    segment: bool = False
    min_similarity: float = -1
    filter: dict[str, Any] = {}


class PastMatch(Segment):
    """A result that is still stored. `garment` is the position of the garment in the photo."""

    similarity: float
    garment: int


class PastSearch(SearchSummary):
    """A past search with its results."""

    results: list[PastMatch]


class SearchHistoryResponse(DataResponse[list[SearchSummary]]):
    """Past searches, newest first. Send `before` to get the next page."""

    before: str | None
    """Value of `before` for the next page; null on the last page."""


class DetailsResponse(BaseResponse):
    """Product details, in `message` as in the original system."""

    message: ProductDetails  # type: ignore[assignment]


class ReceiptCounts(BaseModel):
    """Numbers of what was erased. `left` counts objects to be deleted later, `remaining` garments still to be erased."""

    garments: int
    photos: int
    objects: int
    left: int
    searches: int
    jobs: int
    remaining: int


class Receipt(BaseModel):
    """A receipt of what was erased."""

    receipt_id: str
    at: str
    segments: list[str]
    counts: ReceiptCounts
    splitted_image_id: str = OPTIONAL


class StatusResponse(BaseResponse):
    """A confirmation."""

    status: str = OPTIONAL


class JobResponse(BaseResponse):
    """State of a request. Times are UTC."""

    status: str
    kind: str
    stage: str
    created: str
    updated: str
    finished: str | None


class RecentJob(BaseModel):
    """A request: `timestamp` in Unix seconds, `age` in seconds."""

    id: str
    kind: str
    status: str
    timestamp: float
    age: float


class RecentJobsResponse(BaseResponse):
    """Your own requests, newest first."""

    status: str
    requests: list[RecentJob]


class User(BaseModel):
    """An account."""

    user_id: str
    email: str
    role: str


class Session(User):
    """Tokens of a sign-in; the access token expires after `expires_in` seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class CurrentUser(User):
    """The signed-in user."""

    is_admin: bool


class ReindexResponse(DataResponse[dict[str, Any] | None]):
    """The manifest of the new index version, or null if none was due."""
