"""Results of searches, and past searches."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from lookalike.client.models.garments import (
    Box,
    Garment,
    ProductDetails,
    Result,
    StoredGarment,
    decode_base64,
)


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
    """Price of a product of a feed."""

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
        return decode_base64(self.processed_image_base64)

    @property
    def thumbnail(self) -> bytes | None:
        """The thumbnail, if requested with `include="thumbnail"`."""
        return decode_base64(self.thumbnail_base64)


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
    groups: list[MatchGroup] = Field(default_factory=list)
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
    garments: list[dict[str, Any]] = Field(default_factory=list)
    query: list[dict[str, Any]] = Field(default_factory=list)
    reusable_vectors: int = 0
    """Vectors of the photos with which the search can be repeated, see `Example.past_search`."""
    num: int = 5
    limit: int = 10
    segment: bool = False
    min_similarity: float = -1
    filter: dict[str, Any] = Field(default_factory=dict)
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
