"""Filters on a garment itself, on its product details, and on the product of a feed that it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from types import MappingProxyType

from lookalike.domain.feed_columns import PREFIX, is_feed_column
from lookalike.domain.model import ProductDetails

GARMENT_FIELDS = ("label", "score", "photo", "created")
"""Filterable fields of `Segment`. `created` is a number: the seconds since 1970 in UTC."""
PRODUCT_FIELDS = tuple(field.name for field in fields(ProductDetails) if field.name != "image_id")
"""Filterable fields of `ProductDetails`."""
PRICE_FIELDS = ("price", "sale_price")
CUSTOM_LABELS = tuple(f"custom_label_{number}" for number in range(5))
FEED_FIELDS = (
    "product_id",
    "item_group_id",
    *PRICE_FIELDS,
    "currency",
    "availability",
    "gender",
    "age_group",
    "material",
    "pattern",
    "color_name",
    "product_type",
    "google_product_category",
    *CUSTOM_LABELS,
)
"""Filterable fields of a product of a feed. `color_name` is its `color`, which is text."""
FILTERABLE_FIELDS = (*GARMENT_FIELDS, *PRODUCT_FIELDS, *FEED_FIELDS)
"""All filterable fields but the other columns of feeds, whose names begin with `feed.`."""
NUMBER_FIELDS = ("score", "created", "rating", *PRICE_FIELDS)
"""Fields whose values are numbers. Those of other columns of feeds can be both, see `feed_columns`."""
Value = str | float
"""A value that fields can be compared with."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition on one field: equality to one of `any_of`, or a number in the closed range `minimum` to `maximum`.

    Text is compared exactly, and so are decimals: a bound of 79.99 means that very number. A list matches if one of its
    items does. A missing value never matches.
    """

    any_of: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def matches(self, value: object) -> bool:
        """Return whether a field value satisfies the condition."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return any(self.matches(item) for item in value)
        if value is None:
            return False
        if isinstance(value, Decimal):
            return self._matches_decimal(value)
        return value in self.any_of if self.is_equality else self._is_in_range(value)

    @property
    def is_equality(self) -> bool:
        """Whether the condition compares with `any_of`, not with a range."""
        return self.minimum is None and self.maximum is None

    def _is_in_range(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def _matches_decimal(self, value: Decimal) -> bool:
        if self.is_equality:
            return any(value == exact_decimal(one) for one in self.any_of if not isinstance(one, str))
        is_above = self.minimum is None or value >= exact_decimal(self.minimum)
        return is_above and (self.maximum is None or value <= exact_decimal(self.maximum))


Filter = Mapping[str, Condition]
"""Conditions by field name, all of which must match.

Product fields are those of the segment's own details, or of its photo's details if the segment has none. Feed fields
and other columns of feeds are those of one product that the segment shows: if it shows several, one of them must match
all conditions on them.
"""
NO_CONDITIONS: Filter = MappingProxyType({})
"""The filter that everything matches."""


def matches_filter(wanted: Filter, values: Mapping[str, object]) -> bool:
    """Return whether the field values satisfy every condition of the filter."""

    return all(condition.matches(values.get(name)) for name, condition in wanted.items())


def is_filterable(name: str) -> bool:
    """Return whether filters can name a field. Whether a feed has such a column is not known here."""
    return name in FILTERABLE_FIELDS or is_feed_column(name)


def is_of_feed(name: str) -> bool:
    """Return whether a field is one of the product that a garment shows."""
    return name in FEED_FIELDS or name.startswith(PREFIX)


def feed_conditions(wanted: Filter) -> Filter:
    """Return the conditions on the product that a garment shows."""
    return {name: condition for name, condition in wanted.items() if is_of_feed(name)}


def garment_conditions(wanted: Filter) -> Filter:
    """Return the conditions on a garment itself and on its product details."""
    return {name: condition for name, condition in wanted.items() if not is_of_feed(name)}


def exact_decimal(number: float) -> Decimal:
    """Return the decimal number that a float was written as: 79.99, and not the binary fraction nearest to it."""
    return Decimal(repr(float(number)))
