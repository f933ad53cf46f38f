"""Products as the catalog stores them: with their feed, their pictures, and the outcome of the last synchronization."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from lookalike.domain.feed_columns import PREFIX, column_values, comparable
from lookalike.domain.filter import CUSTOM_LABELS, FEED_FIELDS
from lookalike.domain.product import Product
from lookalike.domain.product_edits import ProductEdit

MONEY_SCALE = 10_000
"""Amounts of money are stored as whole ten-thousandths of the currency unit, so that they stay exact."""
STORED_PREFIX = "stored:"
MAX_STORED_AMOUNT = 2**63 - 1
"""Largest stored amount, in ten-thousandths."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture of a product, and the photo that was stored from it."""

    address: str
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    """Hexadecimal SHA-256 of the file that was stored. `None` if none was."""
    photo: str | None = None
    """Name of the stored photo."""
    garment: str | None = None
    """Name of the segment that shows the product. The other segments of the photo are worn with it."""
    reason: str | None = None
    """Why the last attempt to fetch or store the picture failed. The photo of an earlier attempt stays."""

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt failed."""
        return self.reason is not None

    @property
    def has_own_photo(self) -> bool:
        """Whether the photo was stored from this picture, and not before by somebody else."""
        return stored_photo_name(self.address) is None


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """A product of the catalog. Times are in UTC."""

    product: Product
    """The product with its edited values. `product.pictures` are the addresses of `pictures`, in the same order."""
    feed: str
    """Name of the feed that the product belongs to."""
    pictures: tuple[StoredPicture, ...] = ()
    gone: datetime | None = None
    """Time since which the feed does not contain the product."""
    created: datetime | None = field(default=None, compare=False)
    updated: datetime | None = field(default=None, compare=False)
    edits: tuple[ProductEdit, ...] = ()
    """Fields with a value of an administrator, sorted by name."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of everything but the pictures."""
        return text_fingerprint(self.product)

    @property
    def photos(self) -> frozenset[str]:
        """Names of the stored photos."""
        return frozenset(picture.photo for picture in self.pictures if picture.photo)

    @property
    def own_photos(self) -> frozenset[str]:
        """Names of the photos that were stored from pictures of products. They are deleted with their last product."""
        return frozenset(picture.photo for picture in self.pictures if picture.photo and picture.has_own_photo)

    @property
    def garments(self) -> frozenset[str]:
        """Names of the segments that show the product."""
        return frozenset(picture.garment for picture in self.pictures if picture.garment)


def feed_values(product: Product) -> dict[str, object]:
    """Return the values of the fields in `FEED_FIELDS` and of other columns. Fields without a value are missing."""
    prices = [money for money in (product.price, product.sale_price) if money]
    values: dict[str, object] = {
        "product_id": product.id,
        "price": product.price and product.price.amount,
        "sale_price": product.sale_price and product.sale_price.amount,
        "currency": prices[0].currency if prices else None,
        "color_name": product.color,
        **{name: product.extra.get(name) for name in CUSTOM_LABELS},
    }
    values |= {name: getattr(product, name) for name in FEED_FIELDS if name not in values}
    others: dict[str, list[object]] = {}
    for name, _, value in column_values(product.extra):
        others.setdefault(PREFIX + name, []).extend(comparable(value))
    return {name: value for name, value in values.items() if value is not None} | others


class LineStatus(StrEnum):
    """Outcome of a line of a feed."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """Outcome of one line of a feed."""

    number: int
    """As `FeedLine.number`."""
    status: LineStatus
    product_id: str | None = None
    reason: str | None = None
    """Why the line, or a picture of its product, failed."""


def text_fingerprint(product: Product) -> str:
    """Return a hexadecimal SHA-256 of all fields but the pictures."""
    fields = asdict(product) | {"extra": dict(sorted(product.extra.items()))}
    del fields["pictures"]
    # amounts that are equal have one form, such as 15 and 15.00
    for name in ("price", "sale_price"):
        if money := fields[name]:
            fields[name] = [str(to_ten_thousandths(money["amount"])), money["currency"]]
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def to_ten_thousandths(amount: Decimal) -> int | Decimal:
    """Return an amount of money in ten-thousandths: an integer, unless it has more decimals or is not finite."""
    scaled = amount * MONEY_SCALE
    return int(scaled) if scaled.is_finite() and scaled == scaled.to_integral_value() else scaled


def stored_photo_address(name: str) -> str:
    """Return the address that stands for a photo, or a garment of one, that is stored already."""
    return f"{STORED_PREFIX}{name}"


def stored_photo_name(address: str) -> str | None:
    """Return the name in an address of `stored_photo_address`, and `None` for all other addresses."""
    return address.removeprefix(STORED_PREFIX) if address.startswith(STORED_PREFIX) else None


def product_photo_name(sha256: str) -> str:
    """Return the name of the photo of a picture with this hexadecimal SHA-256."""
    return f"product-{sha256[:16]}"
