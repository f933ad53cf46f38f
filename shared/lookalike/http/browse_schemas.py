"""Request and response schemas of `GET /garments` and `GET /products`.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lookalike.domain.browse import GARMENT_SORTS, OWN_PRODUCT_FIELDS, PRODUCT_SORTS, Sort
from lookalike.domain.feed_columns import PREFIX
from lookalike.domain.filter import FILTERABLE_FIELDS, NUMBER_FIELDS
from lookalike.domain.model import ProductDetails
from lookalike.http.filters import CREATED, FacetField, check_field
from lookalike.http.request_schemas import FilteredRequest, RequestBody, parse_json_text
from lookalike.http.response_schemas import OPTIONAL, Corners, DataResponse, Price, Schema
from lookalike.http.search_schemas import MAX_FACETS, ColorNear, FacetValue, UnderstoodWords
from lookalike.usecases.search.request import MAX_TEXT

MAX_PAGE = 200
"""Rows of one page."""
MAX_EDITED_COLUMNS = 100
"""Columns that one request edits."""
COUNTABLE_PRODUCT_FIELDS = tuple(name for name in OWN_PRODUCT_FIELDS if name != CREATED)


def _parse_value(name: str, value: Any) -> Any:
    """Return the value of a query parameter: JSON if it is an object or a list, a number for fields with numbers."""
    if isinstance(value, list):
        return [_parse_value(name, one) for one in value]
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("{", "[")):
        return parse_json_text(value)
    if name not in NUMBER_FIELDS or name == CREATED:
        return value
    try:
        return float(value)
    except ValueError:
        raise ValueError(f'{name} must be a number, or JSON such as {{"min": 10, "max": 20}}') from None


def _parse_color(value: Any) -> Any:
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        return {"near": value}
    return parse_json_text(value)


def _split_names(value: Any) -> Any:
    if isinstance(value, str):
        return parse_json_text(value) if value.startswith("[") else [name for name in value.split(",") if name]
    return value


def _add_filter_parameters(schema: dict[str, Any]) -> None:
    """Describe the query parameters that become conditions."""
    text = "is equal to this value, or satisfies this JSON: a list of values, or an object with min, max or both"
    for name in FILTERABLE_FIELDS:
        if name not in schema["properties"]:
            schema["properties"][name] = {"type": "string", "description": f"Only rows whose `{name}` {text}."}


class BrowseQuery(FilteredRequest):
    """A page of a list. Every field that `filter` can have is also a parameter of its own."""

    model_config = ConfigDict(json_schema_extra=_add_filter_parameters)

    color: Annotated[ColorNear | None, BeforeValidator(_parse_color)] = None
    """Only garments whose mean color is near a color: a code such as `#8a1c2b`, or JSON with `near` and `within`."""
    text: str | None = Field(None, min_length=1, max_length=MAX_TEXT)
    """Words that become conditions, such as `red summer dress`. `understood` says what became of them."""
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    """Maximum number of rows on the page."""
    cursor: str | None = Field(None, min_length=1, repr=False)
    """`cursor` of the previous page. All other parameters but `limit`, `facets` and `include` must be the same."""
    include: Literal["none", "url"] = "none"
    """`url`: each garment has links to its images that expire."""

    @model_validator(mode="before")
    @classmethod
    def _collect_conditions(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = cls.model_fields
        names = [name for name in values if _is_condition(name) and name not in known]
        given = {name: _parse_value(name, values[name]) for name in names}
        if not given:
            return values
        conditions = parse_json_text(values.get("filter") or {})
        if not isinstance(conditions, dict):
            return values
        if twice := sorted(conditions.keys() & given.keys()):
            raise ValueError(f"{twice[0]} is in filter and a parameter; send it once")
        others = {name: value for name, value in values.items() if name not in given}
        return {**others, "filter": {**conditions, **given}}


def _is_condition(name: str) -> bool:
    return name in FILTERABLE_FIELDS or name.startswith(PREFIX)


def _sort_names(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{sign}{name}" for name in fields for sign in ("", "-"))


def to_sort(text: str) -> Sort:
    """Return the order that a parameter such as `-created` means."""
    return Sort(text.removeprefix("-"), text.startswith("-"))


class GarmentsRequest(BrowseQuery):
    """A page of garments."""

    sort: Literal[_sort_names(GARMENT_SORTS)] = "id"  # type: ignore[valid-type]
    """Field that is sorted by, with `-` in front for the reverse. Garments without a value come last."""
    facets: Annotated[list[FacetField], BeforeValidator(_split_names)] = Field(
        default_factory=list, max_length=MAX_FACETS
    )
    """Fields whose values are counted over all pages, separated by commas."""


def _check_product_facet(value: Any) -> Any:
    return check_field(value, COUNTABLE_PRODUCT_FIELDS, "count") if isinstance(value, str) else value


class ProductsRequest(BrowseQuery):
    """A page of products."""

    sort: Literal[_sort_names(PRODUCT_SORTS)] = "id"  # type: ignore[valid-type]
    """Field that is sorted by, with `-` in front for the reverse. Products without a value come last."""
    facets: Annotated[list[Annotated[str, BeforeValidator(_check_product_facet)]], BeforeValidator(_split_names)] = (
        Field(default_factory=list, max_length=MAX_FACETS)
    )
    """Fields whose values are counted over all pages, separated by commas."""
    feed: str | None = Field(None, min_length=1, max_length=255)
    """Only products of the feed of this name."""


class ProductRequest(RequestBody):
    """A product."""

    include: Literal["none", "url"] = "none"
    """`url`: each garment has links to its images that expire."""


class ProductEditRequest(RequestBody):
    """Values of fields of a product that are kept over those of its feed."""

    columns: Annotated[dict[str, str | list[str] | None], BeforeValidator(parse_json_text)] = Field(
        default_factory=dict, max_length=MAX_EDITED_COLUMNS
    )
    """Values by the names of the feed's columns, written as in a feed: `{"price": "59.99 EUR", "size": ["S", "M"]}`.

    Names other than those of the Google Merchant specification are columns of your own. Null or empty: the product has
    no value, whatever the feed says. Id and pictures cannot be edited."""
    use_feed_value: Annotated[list[str], BeforeValidator(parse_json_text)] = Field(
        default_factory=list, max_length=MAX_EDITED_COLUMNS
    )
    """Edited columns that get the value of the feed again."""

    @model_validator(mode="after")
    def _check_purpose(self) -> Self:
        if not (self.columns or self.use_feed_value):
            raise ValueError("send columns, use_feed_value or both")
        return self


class BrowsedGarment(Schema):
    """A stored garment."""

    model_config = ConfigDict(extra="forbid")

    id: int
    """Row number of the garment."""
    name: str
    photo: str
    """Name of the photo that it is from."""
    label: str | None
    """Kind of garment, such as `dress`. Null for a whole photo."""
    score: float | None
    """Confidence of the detection, 0 to 1."""
    box: Corners | None
    """x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 are exclusive. Null if unknown."""
    thumbnail: str
    """Path of the route that returns the thumbnail. It needs the same token or key as this request."""
    color: str | None
    """Mean color in sRGB, such as `#8a1c2b`. Null if unknown."""
    created: str
    """Time at which it was stored."""
    product: str | None
    """Id of the product of a feed that it shows, the first if there are several."""
    details: ProductDetails | None
    """Its product details, or those of its photo. Null if there are none."""
    url: str = OPTIONAL
    """Link to the cut-out, with `include` set to `url`. It expires."""
    thumbnail_url: str = OPTIONAL
    """Link to the thumbnail, with `include` set to `url`. It expires."""


class ListedPage(Schema):
    """Fields of a page."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None
    """Send it as `cursor` to get the next page. Null on the last page."""
    total: int
    """Number of rows on all pages."""
    facets: dict[str, list[FacetValue]]
    """For each requested field, its 50 most frequent values."""
    understood: list[UnderstoodWords] = OPTIONAL
    """Words that became conditions. Present with `text`."""
    ignored: list[str] = OPTIONAL
    """Words without a meaning. Present with `text`."""


class Garments(ListedPage):
    """A page of garments."""

    garments: list[BrowsedGarment]


class GarmentsResponse(DataResponse[Garments]):
    """A page of garments."""


class ProductView(Schema):
    """A picture of a product."""

    model_config = ConfigDict(extra="forbid")

    address: str
    """Address of the picture in the feed."""
    photo: str | None
    """Name of the stored photo. Null if none was stored."""
    reason: str | None
    """Why the last attempt to fetch or store the picture failed."""
    garment: BrowsedGarment | None
    """The garment that is the product. Null if none is stored."""
    worn_with: list[BrowsedGarment] = OPTIONAL
    """The other garments of the photo. Present for a single product."""


class ProductEdit(Schema):
    """A field with a value that an administrator set."""

    model_config = ConfigDict(extra="forbid")

    field: str
    """Name of the column of the feed."""
    feed_value: Price | str | list[str] | None
    """The value that the feed had last. Null if it has none."""
    at: str
    """Time of the edit, in UTC."""
    by: str | None
    """Id of the user, or `key:` and the id of an API key. Null if the user was erased."""
    by_name: str | None
    """Email address that the user had. Null for API keys."""


class Product(Schema):
    """A product of a feed. Fields are null if the feed leaves them out."""

    model_config = ConfigDict(extra="forbid")

    id: str
    feed: str
    """Name of the feed that the product belongs to."""
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
    """All other columns of the feed, as they are. Filters name them `feed.NAME`."""
    created: str
    """Time at which the product was stored first."""
    updated: str
    """Time at which it was changed last."""
    gone: str | None
    """Time since which the feed does not contain the product. Null if it does."""
    views: list[ProductView]
    """Its pictures, the main one first."""
    edits: list[ProductEdit] = OPTIONAL
    """Fields that are kept over the feed's values. Present for administrators."""


class Products(ListedPage):
    """A page of products."""

    products: list[Product]


class ProductsResponse(DataResponse[Products]):
    """A page of products."""


class ProductResponse(DataResponse[Product]):
    """A product with all its views."""
