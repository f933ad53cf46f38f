"""Request and response schemas of `POST /search`.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lookalike.domain.color import parse_hex
from lookalike.http.filters import FacetField, Number
from lookalike.http.request_schemas import Corners, FilteredRequest, Name
from lookalike.http.response_schemas import OPTIONAL, BaseResponse, IndexInfo, Match, MatchGroup, Schema
from lookalike.usecases.search import Include
from lookalike.usecases.search.request import GROUP_FIELDS, MAX_EXAMPLES, MAX_TEXT

MAX_FACETS = 50
"""Fields whose values one request can count."""


def _to_include(value: Any) -> Any:
    # Strict validation of Python objects accepts only enum members. Unknown text is left to pydantic to reject.
    return Include(value) if isinstance(value, str) and value in list(Include) else value


class SearchExample(BaseModel):
    """One example of what to search for: exactly one of `id`, `image_base64`, `image`, `text` and `search`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: int | Name | None = None
    """A stored garment: its number, as in `results[].id`, or its name."""
    image_base64: str | None = Field(None, min_length=1, repr=False)
    """A photo as base64 or as a `data:` URL."""
    image: str | None = Field(None, min_length=1, max_length=1000)
    """A photo: the name of a file in the form, or `gs://bucket/name` of an object in the server's own bucket."""
    text: str | None = Field(None, min_length=1, max_length=MAX_TEXT)
    """Words that describe garments, such as `floral summer dress`."""
    search: Name | None = None
    """The photo of one of your past searches, by the `search_id`. Its vector is kept, the photo is not."""
    garment: int | None = Field(None, ge=0, le=10_000)
    """With `search`: which garment of that photo, or of several photos which one, from 0. Default 0."""
    bounding_box: Corners | None = None
    """Part of the photo to search for: x1, y1, x2, y2 in pixels of the upright photo. Clipped to the photo."""
    weight: Number = Field(1.0, ge=-1, le=1)
    """Results are drawn to examples with a positive weight and pushed away from those with a negative one. Not 0."""

    @model_validator(mode="after")
    def _require_one_kind(self) -> Self:
        kinds = ("id", "image_base64", "image", "text", "search")
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("send exactly one of id, image_base64, image, text and search")
        if self.bounding_box is not None and given[0] in ("id", "text", "search"):
            raise ValueError("bounding_box belongs to a picture: send it with image or image_base64")
        if self.garment is not None and given[0] != "search":
            raise ValueError("garment belongs to a past search: send it with search")
        if self.weight == 0:
            raise ValueError("weight must not be 0")
        return self


def _check_hex(value: Any) -> Any:
    if isinstance(value, str):
        parse_hex(value)
    return value


class ColorNear(BaseModel):
    """A condition on the mean color of a garment."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    near: Annotated[str, BeforeValidator(_check_hex)] = Field(pattern=r"^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$")
    """A color in sRGB, such as `#8a1c2b`."""
    within: Number = Field(25.0, ge=0, le=100)
    """Largest CIEDE2000 difference. Below 1 is not visible; up to 25 is about the same color word."""


class SearchBody(FilteredRequest):
    """A search by examples, conditions or both."""

    query: list[SearchExample] = Field(default_factory=list, max_length=MAX_EXAMPLES)
    """Examples. Without any, the garments that satisfy `filter` and `color` are listed."""
    text_as: Literal["vector", "attributes"] = "vector"
    """Whether words are embedded, or become conditions. Without a text encoder they always become conditions."""
    segment: bool = False
    """Whether to detect the garments of the only example, a photo, and search for each."""
    color: ColorNear | None = None
    """Only garments whose mean color is near this one. Without examples, the results are in the order of its distance."""
    group_by: Literal[GROUP_FIELDS] | None = None  # type: ignore[valid-type]
    """Return only the best garment of each photo, product or value of a field."""
    diversity: Number = Field(0.0, ge=0, le=1)
    """0 orders by similarity alone; larger values prefer results that differ from each other."""
    facets: list[FacetField] = Field(default_factory=list, max_length=MAX_FACETS)
    """Fields whose values are counted over all garments that satisfy the conditions."""
    min_similarity: Number = Field(-1.0, ge=-1, le=1)
    """Minimum cosine similarity of a match."""
    limit: int = Field(10, ge=1, le=100)
    """Maximum number of results on a page; with `segment`, also for each garment."""
    cursor: str | None = Field(None, min_length=1, repr=False)
    """`next_cursor` of the previous page. All other fields must be those of the previous request."""
    include: Annotated[Include, BeforeValidator(_to_include)] = Include.THUMBNAIL
    """The image of each match: `image` and `thumbnail` as base64, `url` as links that expire, or `none`."""
    include_details: bool = False
    """Whether to add the product details of each match."""
    exclude_original: bool = False
    """Whether to omit the garments of `id` examples, and stored garments of photos that are examples."""
    collapse: bool = False
    """Whether to return only one of several copies of an image."""

    @model_validator(mode="after")
    def _require_something_to_search_for(self) -> Self:
        if not self.query and not self.filter and self.color is None:
            raise ValueError("send at least one example in query, or filter or color")
        if self.query and all(example.weight < 0 for example in self.query):
            raise ValueError("query needs at least one example with a positive weight")
        if self.segment and self.cursor is not None:
            raise ValueError("cursor cannot be combined with segment")
        return self


class FacetValue(Schema):
    """A value of a field, and how many garments have it."""

    value: str | float
    count: int


class UnderstoodWords(Schema):
    """Words of the query, and the condition that they became."""

    model_config = ConfigDict(populate_by_name=True)

    text: str
    as_: str = Field(alias="as")
    """`label`, `color`, `pattern`, a field of the product details, or `text` for a word in the product details."""
    value: str
    """The value that is searched for."""


class ResultGroup(Schema):
    """The group that a result stands for."""

    key: str | float | None
    """Value that all garments of the group share. Null for a garment without a value."""
    size: int
    """Number of garments in the group."""


class SearchMatch(Match):
    """A garment that was found."""

    similarity: float = OPTIONAL
    """Cosine similarity to the query, -1 to 1. Absent if the request has no example to compare with."""
    group: ResultGroup = OPTIONAL
    """Present if requested with `group_by`."""


class SearchMatchGroup(MatchGroup):
    """A garment of the query photo and its matches."""

    results: list[SearchMatch]  # type: ignore[assignment]
    """The matches, most similar first."""


class SearchResponse(BaseResponse):
    """Result of a search."""

    search_id: str
    """Id of the search, for the search history and for feedback."""
    results: list[SearchMatch]
    """The best garments, best first."""
    groups: list[SearchMatchGroup] = OPTIONAL
    """One group for each garment of the photo. Present if requested with `segment`."""
    width: int = OPTIONAL
    """Width of the upright photo in pixels. Present if requested with `segment`."""
    height: int = OPTIONAL
    """Height of the upright photo in pixels. Present if requested with `segment`."""
    understood: list[UnderstoodWords]
    """Words that became conditions."""
    ignored: list[str]
    """Words without a meaning for the search."""
    facets: dict[str, list[FacetValue]]
    """For each requested field, its most frequent values."""
    approximate: bool = OPTIONAL
    """Present and true if groups may be incomplete, because only the nearest 4,096 garments were grouped."""
    next_cursor: str | None
    """Send this as `cursor` to get the next page. Null on the last page."""
    index: IndexInfo
