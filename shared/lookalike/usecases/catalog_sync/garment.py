"""Which garment of a picture is the product, and what the product details of that garment are."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from lookalike.domain.model import GARMENT_KINDS, ProductDetails, Segment
from lookalike.domain.product import Product
from lookalike.domain.vocabulary import understand

_NUMBERS = {
    "top": "212",
    "outerwear": "203 5598 1831 1594 1580",
    "dress": "2271 5182 5250 211 5441 5330 5329",
    "trousers": "204 5514 7132",
    "shorts": "207",
    "skirt": "1581 6229 6228 2331 5344",
    "shoes": "187",
    "bag": "6551 3032 2668 100",
    "hat": "173 2020 1786",
    "scarf": "177 543673 543674 543586",
}
CATEGORY_KINDS = {number: kind for kind, numbers in _NUMBERS.items() for number in numbers.split()}
"""Garment kinds by number in the Google product taxonomy (version 2021-09-21), which feeds may give instead of a path."""
MAX_NAME, MAX_DESCRIPTION = 255, 16_000
"""Characters of `product_name`, `brand` and `url`, and of `store_description`, in product details."""
TAG_COLUMNS = tuple(f"custom_label_{number}" for number in range(5))
MAX_SEASON = 50
"""Characters of the seasons and of `sale_status`."""


def choose_garment(product: Product, segments: Sequence[Segment]) -> Segment | None:
    """Return the segment of a photo that shows the product, `None` if there are no segments.

    It is the largest of those whose kind fits the product type, else the category, else the title, and otherwise the
    largest of all.
    """
    for kind in product_kinds(product):
        if fitting := [segment for segment in segments if segment_kind(segment) == kind]:
            return largest(fitting)
    return largest(segments) if segments else None


def largest(segments: Sequence[Segment]) -> Segment:
    """Return the segment with the largest box, the first of several. One without a box counts as empty."""
    return max(segments, key=lambda segment: (segment.box.area if segment.box else 0.0, -segment.row_id))


def segment_kind(segment: Segment) -> str | None:
    """Return the garment kind of a label, which can be a name of another detector, such as `denim jeans`."""
    label = segment.label or ""
    return label if label in GARMENT_KINDS else next(reversed(named_kinds(label)), None)


def product_kinds(product: Product) -> Iterator[str]:
    """Yield the garment kinds that the product type, the category and the title name, in this order."""
    yield from dict.fromkeys(kind for _, kind in kinds_by_field(product))


def kinds_by_field(product: Product) -> Iterator[tuple[str, str]]:
    """Yield the fields of a product that name a garment kind, each with this kind: type, category and title."""
    # The last level of a path is the most specific: "Clothing > Shirts & Tops". A title begins with what matters:
    # "Skirt with belt bag".
    for field in ("product_type", "google_product_category"):
        yield from ((field, kind) for kind in named_kinds(getattr(product, field) or "")[-1:])
    if kind := CATEGORY_KINDS.get((product.google_product_category or "").strip()):
        yield "google_product_category", kind
    yield from (("title", kind) for kind in named_kinds(product.title or "")[:1])


@lru_cache(maxsize=4096)
def named_kinds(text: str) -> tuple[str, ...]:
    """Return the garment kinds that a text names, in the order of the words."""
    meaning = understand(text, lambda phrase: (), lambda phrase: False)
    return tuple(one.value for one in meaning.understood if one.field == "label")


def product_details(product: Product, garment: str) -> ProductDetails:
    """Return the product details of the garment that shows the product. Text that is too long for them is cut."""
    return ProductDetails(
        garment,
        store_name=_cut(product.extra.get("store_name"), MAX_NAME),
        brand=_cut(product.brand, MAX_NAME),
        product_name=_cut(product.title, MAX_NAME),
        store_description=_cut(product.description, MAX_DESCRIPTION),
        # part of an address would lead elsewhere
        url=product.link if product.link and len(product.link) <= MAX_NAME else None,
        tags=product_tags(product) or None,
        sale_status=_cut(sale_status(product), MAX_SEASON),
        size=list(product.size) or None,
        listing_season=_cut(product.extra.get("listing_season"), MAX_SEASON),
        season=_cut(product.extra.get("season"), MAX_SEASON),
    )


def product_tags(product: Product) -> list[str]:
    """Return the levels of the product type and the custom labels, each once."""
    levels = [level.strip() for level in (product.product_type or "").split(">")]
    labels = [product.extra.get(name, "").strip() for name in TAG_COLUMNS]
    return [*dict.fromkeys(tag for tag in [*levels, *labels] if tag)]


def sale_status(product: Product) -> str | None:
    """Return `on sale` for a product in stock with a reduced price, otherwise its availability: `out of stock`."""
    price, reduced = product.price, product.sale_price
    is_reduced = reduced is not None and (price is None or reduced.amount < price.amount)
    if is_reduced and product.availability in (None, "in_stock"):
        return "on sale"
    return product.availability and product.availability.replace("_", " ")


def _cut(text: str | None, length: int) -> str | None:
    return text and text[:length]
