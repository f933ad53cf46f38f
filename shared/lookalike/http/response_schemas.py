"""What is answered, one schema a body: the document of the API is made of them, and the tests hold every answer to it."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lookalike.domain.model import ProductDetails

T = TypeVar("T")


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


MISSING: Any = Field(None, json_schema_extra=_without_default)
"""What is not known, or was not asked for, is not there, and has no other value instead."""
Corners = list[float]
"""x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 exclusive."""


class BaseResponse(BaseModel):
    model_config = ConfigDict(extra="forbid")

    success: bool
    request_id: str
    message: str = MISSING


class ErrorDetail(BaseModel):
    code: str
    """Stable, for programs."""
    details: dict[str, Any]


class ErrorResponse(BaseResponse):
    """Also of a request that was cancelled, which is no error: 200, with the status `cancelled`."""

    success: Literal[False]
    status: str
    error: ErrorDetail


class DataResponse(BaseResponse, Generic[T]):
    data: T


class HealthResponse(BaseResponse):
    status: str


class Garment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bounding_box: Corners | None
    label: str | None
    score: float | None


class Segment(Garment):
    id: int
    splitted_image_id: str
    splitted_image_path: str
    original_image_id: str


class UploadedPhoto(BaseModel):
    original_image_id: str
    segments: list[Segment]


class UploadResponse(BaseResponse):
    """Without `data` where nothing was found and nothing is stored."""

    data: UploadedPhoto = MISSING


class CutOut(Garment):
    segment_id: str
    segment_base64: str


class CutOuts(BaseModel):
    segments: list[CutOut]


class SplitResponse(BaseResponse):
    width: int
    height: int
    data: CutOuts
    segments: list[Any] = MISSING
    """Empty, where nothing was found."""


class ImageCutOut(Garment):
    segment_id: str
    image_base64: str


class ImageSplitResponse(BaseResponse):
    width: int
    height: int
    segments: list[ImageCutOut]


class Explanation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    same_label: bool = MISSING
    colour_distance: float = MISSING
    shared_details: list[str] = MISSING


class Match(Segment):
    """`match`, `details` and the picture's fields are there where they are known and asked for."""

    similarity: float
    why: Explanation
    match: float = MISSING
    details: ProductDetails = MISSING
    processed_image_base64: str = MISSING
    thumbnail_base64: str = MISSING
    url: str = MISSING
    thumbnail_url: str = MISSING


class MatchGroup(Garment):
    results: list[Match]


class IndexInfo(BaseModel):
    version: str | None
    built_at: str | None
    rows: int
    tail_rows: int


class RelayResponse(BaseResponse):
    results: list[Match]
    groups: list[MatchGroup] = MISSING
    """One a garment of the photo, with `segment`."""
    width: int
    height: int
    index: IndexInfo


class SearchSummary(BaseModel):
    """What was asked, as far as it was not the default."""

    search_id: str
    asked_at: str
    garments: list[dict[str, Any]]
    num: int = 5
    segment: bool = False
    min_similarity: float = -1
    filter: dict[str, Any] = {}


class PastMatch(Segment):
    similarity: float
    garment: int


class PastSearch(SearchSummary):
    results: list[PastMatch]


class SearchHistoryResponse(DataResponse[list[SearchSummary]]):
    before: str | None
    """Leads to the next page."""


class DetailsResponse(BaseResponse):
    message: ProductDetails  # type: ignore[assignment]


class ReceiptCounts(BaseModel):
    garments: int
    photos: int
    objects: int
    left: int
    searches: int
    jobs: int
    remaining: int


class Receipt(BaseModel):
    receipt_id: str
    at: str
    segments: list[str]
    counts: ReceiptCounts
    splitted_image_id: str = MISSING


class StatusResponse(BaseResponse):
    status: str = MISSING


class JobResponse(BaseResponse):
    status: str
    kind: str
    stage: str
    created: str
    updated: str
    finished: str | None


class RecentJob(BaseModel):
    id: str
    kind: str
    status: str
    timestamp: float
    age: float


class RecentJobsResponse(BaseResponse):
    status: str
    requests: list[RecentJob]


class User(BaseModel):
    user_id: str
    email: str
    role: str


class Session(User):
    access_token: str
    refresh_token: str
    expires_in: int


class CurrentUser(User):
    is_admin: bool


class ReindexResponse(DataResponse[dict[str, Any] | None]):
    """The new version's manifest, none where none was due."""
