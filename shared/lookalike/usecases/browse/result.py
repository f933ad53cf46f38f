"""Pages of garments and products, and a product with all its views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.domain.model import ProductDetails, Segment
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases.search.result import FacetValue, UnderstoodWords

Facets = Mapping[str, Sequence[FacetValue]]


@dataclass(frozen=True, slots=True)
class BrowsedGarment:
    """A garment with what is known of it."""

    segment: Segment
    product: str | None
    """Id of the product that it shows, of several the first that the caller may see."""
    details: ProductDetails | None
    """Its product details, or those of its photo."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a product."""

    picture: StoredPicture
    garment: BrowsedGarment | None
    """The garment that is the product, `None` if it is not stored or may not be seen."""
    worn_with: Sequence[BrowsedGarment] = ()
    """The other garments of the photo."""


@dataclass(frozen=True, slots=True)
class BrowsedProduct:
    """A product with its views, the main one first."""

    stored: StoredProduct
    views: Sequence[View]


@dataclass(frozen=True, slots=True)
class Page:
    """Common fields of pages of garments and of products."""

    cursor: str | None
    """Cursor of the next page, `None` on the last one."""
    total: int
    """Number of rows that satisfy the conditions, on all pages."""
    facets: Facets
    understood: Sequence[UnderstoodWords]
    ignored: Sequence[str]


@dataclass(frozen=True, slots=True)
class GarmentPage(Page):
    """A page of garments."""

    garments: Sequence[BrowsedGarment]


@dataclass(frozen=True, slots=True)
class ProductPage(Page):
    """A page of products. Views lack the garments that are worn with the product."""

    products: Sequence[BrowsedProduct]
