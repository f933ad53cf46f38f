"""Request schemas, one per route. Unknown fields are ignored, as in the original system.

Docstrings of schemas and fields are shown in the API documentation.
"""

import json
from typing import Annotated, Any, Literal, Self

import flask
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lookalike.domain.filter import FILTERABLE_FIELDS, Condition
from lookalike.usecases.search import Include

HandlerResult = dict[str, Any] | tuple[dict[str, Any], int] | flask.Response
"""What a handler returns: a JSON body, a JSON body with a status other than 200, or a complete response."""
Name = Annotated[str, Field(min_length=1, max_length=255)]
Number = Annotated[float, Field(allow_inf_nan=False)]


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Corners = Annotated[tuple[Number, Number, Number, Number], BeforeValidator(_list_to_tuple)]
"""x1, y1, x2, y2 in pixels of the upright photo. JSON has no tuples, so lists are converted before strict validation."""


class RequestBody(BaseModel):
    """`request_id` is an id that you choose for the request, to see or cancel it; default: a new UUID."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    request_id: str | None = None


class PhotoRequest(RequestBody):
    """`image_base64` is the photo as base64 or a `data:` URL; you may send it as a file or as the body instead."""

    image_base64: str | None = Field(None, repr=False)


class UploadRequest(PhotoRequest):
    """A photo to store. `force_process` stores the whole photo if no garment is found."""

    image_name: str | None = None
    force_process: bool = True


class SplitRequest(PhotoRequest):
    """A photo to split. `force_process` returns the whole photo if no garment is found."""

    force_process: bool = True


class UploadSegmentRequest(PhotoRequest):
    """A cut-out to store. `segment_id` is a number, or a name that ends in one, as `/split_image` returns."""

    original_image_id: Name
    segment_id: int | str

    @field_validator("segment_id")
    @classmethod
    def _number(cls, value: int | str) -> int:
        number = value if isinstance(value, int) else int(digits) if (digits := _last_digits(value)) else -1
        if not 0 <= number < 10_000:
            raise ValueError("must be a number from 0 to 9999, or end in one")
        return number


class Range(BaseModel):
    """Numbers from `min` to `max`, both included; one of them may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _require_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min or max")
        return self


FilterValue = str | Number | Annotated[list[str | Number], Field(min_length=1, max_length=100)] | Range


class FilteredRequest(RequestBody):
    """A filter by field name: a value, a list of which one must match, or a range of numbers."""

    filter: dict[Literal[FILTERABLE_FIELDS], FilterValue] = Field(default_factory=dict)  # type: ignore[valid-type]

    @field_validator("filter", mode="before")
    @classmethod
    def _parse_json(cls, value: Any) -> Any:
        # in a form, the filter is sent as JSON text
        try:
            return json.loads(value) if isinstance(value, str) else value
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def conditions(self) -> dict[str, Condition]:
        """Return the filter as conditions of the domain."""
        return {name: to_condition(value) for name, value in self.filter.items()}


class RelayRequest(PhotoRequest, FilteredRequest):
    """A search. `num` is the number of matches; `segment` searches for each garment of the photo.

    `include` says what each match has of its image. `exclude_original` leaves out garments of this very photo;
    `collapse` shows an image that is stored several times only once.
    """

    num: int = Field(5, ge=1, le=100)
    segment: bool = False
    include: Include = Include.IMAGE
    min_similarity: float = Field(-1.0, ge=-1, le=1)
    exclude_original: bool = False
    collapse: bool = False
    include_details: bool = False

    @field_validator("include", mode="before")
    @classmethod
    def _to_enum(cls, value: Any) -> Any:
        # strict validation accepts only enum members, and JSON has only text
        return Include(value) if isinstance(value, str) and value in list(Include) else value


class EraseRequest(FilteredRequest):
    """Either a filter or a user id (`owner`), whose garments, searches and requests are erased. `dry_run` only counts."""

    owner: Name | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _require_one_selection(self) -> Self:
        if bool(self.filter) == (self.owner is not None):
            raise ValueError("give either a filter or an owner, not both")
        return self


class NewSegmentRequest(PhotoRequest):
    """A garment to add to a stored photo. Without `segment_id`, it gets the next free number."""

    original_image_id: Name
    segment_id: int | None = Field(None, ge=0, lt=10_000)
    bounding_box: Corners | None = None
    label: str | None = Field(None, max_length=255)
    score: float | None = Field(None, ge=0, le=1)


class DetailsRequest(RequestBody):
    """`splitted_image_id` is a garment's name, or the number that `/relay_image` returned as `id`."""

    splitted_image_id: int | Name


class UpdateSegmentRequest(RequestBody):
    """Fields of a garment to change."""

    bounding_box: Corners | None = None
    label: str | None = Field(None, max_length=255)
    score: float | None = Field(None, ge=0, le=1)


class ProductDetailsRequest(RequestBody):
    """Product details: the columns of the original's table `image_details`."""

    store_name: str | None = Field(None, max_length=255)
    brand: str | None = Field(None, max_length=255)
    product_name: str | None = Field(None, max_length=255)
    store_description: str | None = Field(None, max_length=16_000)
    url: str | None = Field(None, max_length=255)
    rating: float | None = Field(None, ge=0, le=5)
    tags: list[str] | None = None
    sale_status: str | None = Field(None, max_length=50)
    size: list[str] | None = None
    waist_type: str | None = Field(None, max_length=50)
    listing_season: str | None = Field(None, max_length=50)
    season: str | None = Field(None, max_length=50)


class CredentialsRequest(RequestBody):
    """Email address and password. Other fields, such as a role, are ignored."""

    email: str = Field(max_length=1000)
    password: str = Field(max_length=10_000, repr=False)


class RefreshRequest(RequestBody):
    """A refresh token that was not used yet."""

    refresh_token: str = Field(min_length=1, max_length=10_000, repr=False)


class HistoryRequest(RequestBody):
    """The newest `limit` searches made before a time. Send `before` of the last response to get the next page."""

    limit: int = Field(50, ge=1, le=500)
    before: AwareDatetime | None = None


class ReindexRequest(RequestBody):
    """`force` builds an index version even if none is due."""

    force: bool = False


class CleanupRequest(RequestBody):
    """Age in seconds above which your requests are deleted."""

    max_age_seconds: float = Field(3600, ge=0, le=10**9)


def to_condition(value: str | float | list[str | float] | Range) -> Condition:
    """Convert a filter value to a condition of the domain."""
    if isinstance(value, Range):
        return Condition((), value.min, value.max)
    return Condition(tuple(value) if isinstance(value, list) else (value,))


def _last_digits(text: str) -> str:
    last = text.rsplit("_", 1)[-1]
    return last if last.isascii() and last.isdigit() and len(last) < 6 else ""
