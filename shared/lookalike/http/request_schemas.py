"""What requests hold, one schema a body, and what answers are. Unknown fields are ignored, as the original did."""

import json
from typing import Annotated, Any, Literal, Self

import flask
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lookalike.domain.filter import FILTERABLE_FIELDS, Condition
from lookalike.usecases.search import Include

HandlerResult = dict[str, Any] | tuple[dict[str, Any], int] | flask.Response
"""A JSON body, with a status if that is not 200; or something else than JSON."""
Key = Annotated[str, Field(min_length=1, max_length=255)]


Number = Annotated[float, Field(allow_inf_nan=False)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Corners = Annotated[tuple[Number, Number, Number, Number], BeforeValidator(_tuple)]
"""x1, y1, x2, y2; JSON knows lists alone."""


class RequestBody(BaseModel):
    """`request_id` is the caller's own choice for the job's id."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    request_id: str | None = None


class PhotoRequest(RequestBody):
    """The photo as base64 or a `data:` URL, unless it comes as a file or as the body itself."""

    image_base64: str | None = Field(None, repr=False)


class UploadRequest(PhotoRequest):
    image_name: str | None = None
    force_process: bool = True


class SplitRequest(PhotoRequest):
    force_process: bool = True


class UploadSegmentRequest(PhotoRequest):
    """`segment_id`: a number, or a name that ends in one, as `/split_image` gives them."""

    original_image_id: Key
    segment_id: int | str

    @field_validator("segment_id")
    @classmethod
    def _number(cls, value: int | str) -> int:
        number = value if isinstance(value, int) else int(digits) if (digits := _last_digits(value)) else -1
        if not 0 <= number < 10_000:
            raise ValueError("must be a number from 0 to 9999, or end in one")
        return number


class Range(BaseModel):
    """A number between these, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min or max")
        return self


Wanted = str | Number | Annotated[list[str | Number], Field(min_length=1, max_length=100)] | Range


class FilteredRequest(RequestBody):
    filter: dict[Literal[FILTERABLE_FIELDS], Wanted] = Field(default_factory=dict)  # type: ignore[valid-type]
    """By name: a value, several of which one must be there, or a range of numbers."""

    @field_validator("filter", mode="before")
    @classmethod
    def _filter(cls, value: Any) -> Any:
        # a form's fields are text
        try:
            return json.loads(value) if isinstance(value, str) else value
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def conditions(self) -> dict[str, Condition]:
        return {name: condition_of(wanted) for name, wanted in self.filter.items()}


class RelayRequest(PhotoRequest, FilteredRequest):
    num: int = Field(5, ge=1, le=100)
    segment: bool = False
    include: Include = Include.IMAGE
    min_similarity: float = Field(-1.0, ge=-1, le=1)
    exclude_original: bool = False
    collapse: bool = False
    include_details: bool = False

    @field_validator("include", mode="before")
    @classmethod
    def _include(cls, value: Any) -> Any:
        # a strict enum wants its member, and JSON has none
        return Include(value) if isinstance(value, str) and value in list(Include) else value


class EraseRequest(FilteredRequest):
    """What fulfils a filter, or what one user stored, searched and started; with `dry_run`, it is only told how much that is."""

    owner: Key | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if bool(self.filter) == (self.owner is not None):
            raise ValueError("either a filter or an owner is needed, and not both")
        return self


class NewSegmentRequest(PhotoRequest):
    """A garment of a photo that is stored; without `segment_id`, the next one."""

    original_image_id: Key
    segment_id: int | None = Field(None, ge=0, lt=10_000)
    bounding_box: Corners | None = None
    label: str | None = Field(None, max_length=255)
    score: float | None = Field(None, ge=0, le=1)


class DetailsRequest(RequestBody):
    """A segment's name, or the number that `/relay_image` gave as `id`."""

    splitted_image_id: int | Key


class UpdateSegmentRequest(RequestBody):
    bounding_box: Corners | None = None
    label: str | None = Field(None, max_length=255)
    score: float | None = Field(None, ge=0, le=1)


class ProductDetailsRequest(RequestBody):
    """The columns of `image_details`."""

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
    """Nothing else counts: who says of themselves that they are an administrator is none."""

    email: str = Field(max_length=1000)
    password: str = Field(max_length=10_000, repr=False)


class RefreshRequest(RequestBody):
    refresh_token: str = Field(min_length=1, max_length=10_000, repr=False)


class HistoryRequest(RequestBody):
    """The newest `limit` of those asked before a moment: the answer's `before` leads to the next page."""

    limit: int = Field(50, ge=1, le=500)
    before: AwareDatetime | None = None


class ReindexRequest(RequestBody):
    """With `force`, whether one is due or not."""

    force: bool = False


class CleanupRequest(RequestBody):
    max_age_seconds: float = Field(3600, ge=0, le=10**9)


def condition_of(wanted: str | float | list[str | float] | Range) -> Condition:
    if isinstance(wanted, Range):
        return Condition((), wanted.min, wanted.max)
    return Condition(tuple(wanted) if isinstance(wanted, list) else (wanted,))


def _last_digits(text: str) -> str:
    last = text.rsplit("_", 1)[-1]
    return last if last.isascii() and last.isdigit() and len(last) < 6 else ""
