"""Request schemas, one per route. Unknown fields are ignored, as in the original system.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

import json
import re
from typing import Annotated, Any, Self

import flask
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lookalike.domain.filter import Filter
from lookalike.http.filters import FILTER_NAMES, FilterField, FilterValue, Number, check_values, to_conditions
from lookalike.usecases.search import Include

HandlerResult = dict[str, Any] | tuple[dict[str, Any], int] | flask.Response
"""Result of a handler: a JSON body, a JSON body with a status other than 200, or a complete response."""
Name = Annotated[str, Field(min_length=1, max_length=255)]
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""Form of a time in JSON Schema (`format: date-time`)."""


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def parse_json_text(value: Any) -> Any:
    """Parse a field that a form or a query string contains as JSON text."""
    # The parser raises `RecursionError` for deep nesting, which pydantic would not turn into a validation error.
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


Corners = Annotated[tuple[Number, Number, Number, Number], BeforeValidator(_list_to_tuple)]
"""x1, y1, x2, y2 in pixels of the upright photo.

JSON has no tuples, and strict validation accepts no lists in their place, so lists are converted before.
"""


class RequestBody(BaseModel):
    """Fields of every request."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, defer_build=True)

    request_id: str | None = None
    """An id of your choice, by which you can look up or cancel the request. Default: a new UUID."""


class PhotoRequest(RequestBody):
    """A photo. Send it in `image_base64`, as a file of a form, or as the body itself."""

    image_base64: str | None = Field(None, repr=False)
    """The photo as base64 or as a `data:` URL."""


class UploadRequest(PhotoRequest):
    """A photo whose garments are to be stored."""

    image_name: str | None = None
    """Name of the photo: 1 to 200 letters, digits, `.`, `_` or `-`, not starting with a dot. Default: a new UUID."""
    force_process: bool = True
    """Whether to store the whole photo if no garment is found."""


class SplitRequest(PhotoRequest):
    """A photo whose garments are to be cut out."""

    force_process: bool = True
    """Whether to return the whole photo if no garment is found."""


class UploadSegmentRequest(PhotoRequest):
    """A cut-out to store."""

    original_image_id: Name
    """Name of the photo that the cut-out is from."""
    segment_id: int | str
    """Number of the garment in its photo, 0 to 9999, or a name that ends in it, such as `segment_0`."""

    @field_validator("segment_id")
    @classmethod
    def _parse_number(cls, value: int | str) -> int:
        if isinstance(value, str):
            digits = value.rsplit("_", 1)[-1]
            # isdigit() alone accepts other scripts and superscripts, and int() takes quadratic time for long text
            value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else -1
        if not 0 <= value < 10_000:
            raise ValueError("must be a number from 0 to 9999, or a name that ends in one")
        return value


class FilteredRequest(RequestBody):
    """A request that selects stored garments by their fields."""

    filter: dict[FilterField, FilterValue] = Field(default_factory=dict, max_length=50, json_schema_extra=FILTER_NAMES)
    """Conditions by field name, all of which must match: a value, a list of alternatives, or a range.

    `feed.NAME` is another column of the product feed that the product is from.
    """

    @field_validator("filter", mode="before")
    @classmethod
    def _parse_json(cls, value: Any) -> Any:
        return parse_json_text(value)

    @field_validator("filter")
    @classmethod
    def _check_values(cls, value: dict[str, FilterValue]) -> dict[str, FilterValue]:
        check_values(value)
        return value

    def conditions(self) -> Filter:
        """Return the filter as conditions of the domain."""
        return to_conditions(self.filter)


class RelayRequest(PhotoRequest, FilteredRequest):
    """A search with a photo."""

    bounding_box: Annotated[Corners | None, BeforeValidator(parse_json_text)] = None
    """Part of the photo to search for: x1, y1, x2, y2 in pixels of the upright photo. Clipped to the photo."""
    num: int = Field(5, ge=1, le=100)
    """Maximum number of matches, for the photo and for each of its garments."""
    segment: bool = False
    """Whether to detect the garments of the photo and search for each. Otherwise the whole photo is the query."""
    include: Include = Include.IMAGE
    """The image of each match: `image` and `thumbnail` as base64, `url` as links that expire, or `none`."""
    min_similarity: float = Field(-1.0, ge=-1, le=1)
    """Minimum cosine similarity of a match."""
    exclude_original: bool = False
    """Whether to omit garments of the query photo itself, if that file was uploaded."""
    collapse: bool = False
    """Whether to return only one of several copies of an image."""
    include_details: bool = False
    """Whether to add the product details of each match."""

    @field_validator("include", mode="before")
    @classmethod
    def _to_enum(cls, value: Any) -> Any:
        # Strict validation of Python objects accepts only enum members. Unknown text is left to pydantic to reject.
        return Include(value) if isinstance(value, str) and value in list(Include) else value


class EraseRequest(FilteredRequest):
    """Selects what to erase: all garments that match `filter`, or everything of the user `owner`. Give exactly one."""

    owner: Name | None = None
    """Id of a user, whose uploads, searches and requests are erased."""
    dry_run: bool = False
    """Whether to only count what would be erased."""

    @model_validator(mode="after")
    def _require_one_selection(self) -> Self:
        if bool(self.filter) == (self.owner is not None):
            raise ValueError("send either filter or owner, not both")
        return self


class NewSegmentRequest(PhotoRequest):
    """A cut-out to add to a stored photo."""

    original_image_id: Name
    """Name of the photo."""
    segment_id: int | None = Field(None, ge=0, lt=10_000)
    """Number of the garment in its photo. Default: the next free number."""
    bounding_box: Corners | None = None
    """Box of the garment: x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 are exclusive."""
    label: str | None = Field(None, max_length=255)
    """Kind of garment, such as `dress`."""
    score: float | None = Field(None, ge=0, le=1)
    """Confidence of the detection."""


class DetailsRequest(RequestBody):
    """A garment whose product details are requested."""

    splitted_image_id: int | Name
    """Name of the garment, or the number that `/relay_image` returns as `id`."""


class UpdateSegmentRequest(RequestBody):
    """Fields of a garment to change. Omitted fields keep their values; null removes a value."""

    bounding_box: Corners | None = None
    """Box of the garment: x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 are exclusive."""
    label: str | None = Field(None, max_length=255)
    """Kind of garment, such as `dress`."""
    score: float | None = Field(None, ge=0, le=1)
    """Confidence of the detection."""


class ProductDetailsRequest(RequestBody):
    """Product details of a photo or a garment. They replace all stored details; omitted fields become null."""

    store_name: str | None = Field(None, max_length=255)
    brand: str | None = Field(None, max_length=255)
    product_name: str | None = Field(None, max_length=255)
    store_description: str | None = Field(None, max_length=16_000)
    url: str | None = Field(None, max_length=255)
    rating: float | None = Field(None, ge=0, le=5)
    """Rating in stars."""
    tags: list[str] | None = None
    sale_status: str | None = Field(None, max_length=50)
    size: list[str] | None = None
    waist_type: str | None = Field(None, max_length=50)
    listing_season: str | None = Field(None, max_length=50)
    season: str | None = Field(None, max_length=50)


class CredentialsRequest(RequestBody):
    """Email address and password of an account. Other fields, such as a role, are ignored."""

    email: str = Field(max_length=1000)
    password: str = Field(max_length=10_000, repr=False)


class RefreshRequest(RequestBody):
    """A refresh token to exchange for a new session."""

    refresh_token: str = Field(min_length=1, max_length=10_000, repr=False)
    """The refresh token of the last sign-in or refresh. It is valid once."""


def _require_rfc_3339(value: Any) -> Any:
    # pydantic also takes numbers for times, in seconds or milliseconds since 1970, and text without the letter T
    if isinstance(value, str) and not RFC_3339.fullmatch(value):
        raise ValueError("must be a time with its offset from UTC, such as 2026-11-25T11:10:33.5+00:00")
    return value


class HistoryRequest(RequestBody):
    """A page of the search history."""

    limit: int = Field(50, ge=1, le=500)
    """Maximum number of searches on the page."""
    before: Annotated[AwareDatetime | None, BeforeValidator(_require_rfc_3339)] = None
    """Return only searches made before this time: the `before` of the previous page. Default: now."""


class ReindexRequest(RequestBody):
    """Options of a scheduled index build."""

    force: bool = False
    """Whether to build an index version even if none is due."""


class CleanupRequest(RequestBody):
    """Selection of finished requests to delete."""

    max_age_seconds: float = Field(3600, ge=0, le=10**9)
    """Age in seconds. Older requests are deleted."""
