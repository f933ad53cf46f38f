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


class Answered(BaseModel):
    model_config = ConfigDict(extra="forbid")

    success: bool
    request_id: str
    message: str = MISSING


class Fault(BaseModel):
    code: str
    """Stable, for programs."""
    details: dict[str, Any]


class Refused(Answered):
    """Also of a request that was cancelled, which is no error: 200, with the status `cancelled`."""

    success: Literal[False]
    status: str
    error: Fault


class WithData(Answered, Generic[T]):
    data: T


class Alive(Answered):
    status: str


class GarmentShown(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bounding_box: Corners | None
    label: str | None
    score: float | None


class SegmentShown(GarmentShown):
    id: int
    splitted_image_id: str
    splitted_image_path: str
    original_image_id: str


class StoredShown(BaseModel):
    original_image_id: str
    segments: list[SegmentShown]


class Uploaded(Answered):
    """Without `data` where nothing was found and nothing is stored."""

    data: StoredShown = MISSING


class PieceShown(GarmentShown):
    segment_id: str
    segment_base64: str


class PiecesShown(BaseModel):
    segments: list[PieceShown]


class Split(Answered):
    width: int
    height: int
    data: PiecesShown
    segments: list[Any] = MISSING
    """Empty, where nothing was found."""


class SplitPieceShown(GarmentShown):
    segment_id: str
    image_base64: str


class ImageSplit(Answered):
    width: int
    height: int
    segments: list[SplitPieceShown]


class WhyShown(BaseModel):
    model_config = ConfigDict(extra="forbid")

    same_label: bool = MISSING
    colour_distance: float = MISSING
    shared_details: list[str] = MISSING


class MatchShown(SegmentShown):
    """`match`, `details` and the picture's fields are there where they are known and asked for."""

    similarity: float
    why: WhyShown
    match: float = MISSING
    details: ProductDetails = MISSING
    processed_image_base64: str = MISSING
    thumbnail_base64: str = MISSING
    url: str = MISSING
    thumbnail_url: str = MISSING


class GroupShown(GarmentShown):
    results: list[MatchShown]


class IndexShown(BaseModel):
    version: str | None
    built_at: str | None
    rows: int
    tail_rows: int


class Relayed(Answered):
    results: list[MatchShown]
    groups: list[GroupShown] = MISSING
    """One a garment of the photo, with `segment`."""
    width: int
    height: int
    index: IndexShown


class SearchShown(BaseModel):
    """What was asked, as far as it was not the default."""

    search_id: str
    asked_at: str
    garments: list[dict[str, Any]]
    num: int = 5
    segment: bool = False
    min_similarity: float = -1
    filter: dict[str, Any] = {}


class HitShown(SegmentShown):
    similarity: float
    garment: int


class PastSearchShown(SearchShown):
    results: list[HitShown]


class Searches(WithData[list[SearchShown]]):
    before: str | None
    """Leads to the next page."""


class DetailsShown(Answered):
    message: ProductDetails  # type: ignore[assignment]


class Counts(BaseModel):
    garments: int
    photos: int
    objects: int
    left: int
    searches: int
    jobs: int
    remaining: int


class ReceiptShown(BaseModel):
    receipt_id: str
    at: str
    segments: list[str]
    counts: Counts
    splitted_image_id: str = MISSING


class Done(Answered):
    status: str = MISSING


class JobShown(Answered):
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


class RecentJobs(Answered):
    status: str
    requests: list[RecentJob]


class UserShown(BaseModel):
    user_id: str
    email: str
    role: str


class SessionShown(UserShown):
    access_token: str
    refresh_token: str
    expires_in: int


class WhoShown(UserShown):
    is_admin: bool


class Reindexed(WithData[dict[str, Any] | None]):
    """The new version's manifest, none where none was due."""
