"""Products of a shop, as product feeds describe them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

ATTRIBUTE_FIELDS = (
    "brand",
    "color",
    "gender",
    "age_group",
    "material",
    "pattern",
    "google_product_category",
    "product_type",
)
"""Fields of `Product` with text that describes the product by one word or phrase each."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An exact amount of money."""

    amount: Decimal
    currency: str
    """ISO 4217 code, such as `EUR`."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Price of a product."""

    product_id: str
    price: Money | None = None
    sale_price: Money | None = None
    """Reduced price. `price` is then the price before."""
    availability: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a feed. Fields have the names and meanings of the Google Merchant product data specification.

    `None` and empty values mean that the feed does not tell.
    """

    id: str
    title: str | None = None
    description: str | None = None
    link: str | None = None
    """Address of the product's page in the shop."""
    pictures: tuple[str, ...] = ()
    """Addresses of pictures, the main one first: `image_link` and `additional_image_link`."""
    item_group_id: str | None = None
    """Shared by the variants of one product."""
    price: Money | None = None
    sale_price: Money | None = None
    availability: str | None = None
    brand: str | None = None
    color: str | None = None
    size: tuple[str, ...] = ()
    gender: str | None = None
    age_group: str | None = None
    material: str | None = None
    pattern: str | None = None
    google_product_category: str | None = None
    product_type: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    """All other columns by name, such as `custom_label_0`, with their values as in the feed."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A product of a feed and where it stands: the line of a text file, or the number of an XML item, from 1."""

    number: int
    product: Product


@dataclass(frozen=True, slots=True)
class InvalidFeedLine:
    """A line that cannot be used."""

    number: int
    problem: str
    """A phrase for people that says what is wrong and names the column."""
    product_id: str | None = None
    """Id of the product, if it could be read."""
