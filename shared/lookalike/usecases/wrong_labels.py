"""Garments whose kind is likely wrong, by the products that they show and by their nearest neighbors."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lookalike.domain.model import ProductDetails, Segment
from lookalike.domain.ports import Catalog, Products
from lookalike.domain.product import Product
from lookalike.usecases.catalog_sync.garment import kinds_by_field, segment_kind

MIN_NEIGHBORS = 5
"""Neighbors with a kind that are needed for a judgment."""
MIN_AGREEMENT = 0.8
"""Share of the neighbors that must have another kind for a label to be likely wrong."""
FIELD_NAMES = {"product_type": "product type", "google_product_category": "category", "title": "title"}


@dataclass(frozen=True, slots=True)
class WrongLabel:
    """A garment whose kind is likely wrong."""

    segment: Segment
    expected: str
    """The kind that it likely is."""
    agreement: float | None = None
    """Share of the neighbors with one other kind, 0 to 1. `None` if the neighbors say nothing against the label."""
    product_reason: str | None = None
    """Field and text of the product that name another kind. `None` if the product says nothing against the label."""

    @property
    def reasons(self) -> list[str]:
        """Phrases for people."""
        of_product = [self.product_reason] if self.product_reason else []
        return of_product + ([f"{self.agreement:.0%} of its neighbors"] if self.agreement is not None else [])

    @property
    def order(self) -> tuple[int, float, int]:
        """Sort key that puts the most certain first: product and neighbors, product alone, neighbors alone."""
        return -len(self.reasons), -2.0 if self.product_reason else -(self.agreement or 0.0), self.segment.row_id

    def merge(self, of_neighbors: "WrongLabel | None") -> "WrongLabel":
        """Return this label with the judgment of the neighbors. The product decides about the kind."""
        return replace(self, agreement=of_neighbors.agreement) if of_neighbors else self


def label_against_neighbors(segment: Segment, neighbor_labels: Sequence[str | None]) -> WrongLabel | None:
    """Return the kind that most neighbors have, if it differs with an agreement of at least `MIN_AGREEMENT`.

    Whole photos and neighbors without a kind tell nothing.
    """
    labels = Counter(label for label in neighbor_labels if label is not None)
    if segment.label is None or labels.total() < MIN_NEIGHBORS:
        return None
    expected, count = labels.most_common(1)[0]
    agreement = count / labels.total()
    is_wrong = expected != segment.label and agreement >= MIN_AGREEMENT
    return WrongLabel(segment, expected, agreement) if is_wrong else None


def labels_against_products(segments: Sequence[Segment], catalog: Catalog, products: Products) -> Iterator[WrongLabel]:
    """Yield the garments whose kind differs from all kinds named by the type, category and title of their product.

    The product name in a garment's own product details counts as a title. Product details of its photo do not count:
    they can be about another garment in it.
    """
    names = [segment.name for segment in segments]
    shown = products.first_products_showing(names, without="")
    details = catalog.details([name for name in names if name not in shown])
    for segment in segments:
        found = shown.get(segment.name)
        product = found.product if found else _product_of_details(details.get(segment.name))
        if product and (wrong := label_against_product(segment, product, is_linked=found is not None)):
            yield wrong


def label_against_product(segment: Segment, product: Product, is_linked: bool = True) -> WrongLabel | None:
    """Return the first kind that the product names, or `None` if the garment has one of its kinds."""
    kind, named = segment_kind(segment), list(kinds_by_field(product))
    if kind is None or not named or kind in [expected for _, expected in named]:
        return None
    field, expected = named[0]
    source = f"{FIELD_NAMES[field]} of product {product.id}" if is_linked else "product name in its details"
    return WrongLabel(segment, expected, product_reason=f"{source}: {getattr(product, field)}")


def _product_of_details(details: ProductDetails | None) -> Product | None:
    return Product(details.image_id, title=details.product_name) if details and details.product_name else None
