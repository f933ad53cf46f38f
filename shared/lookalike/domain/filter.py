"""Search filters on a garment's label and score and on its product details."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from lookalike.domain.model import ProductDetails

GARMENT_FIELDS = ("label", "score")
"""Filterable fields of `Segment`."""
PRODUCT_FIELDS = tuple(field.name for field in fields(ProductDetails) if field.name != "image_id")
"""Filterable fields of `ProductDetails`."""
FILTERABLE_FIELDS = (*GARMENT_FIELDS, *PRODUCT_FIELDS)
Value = str | float
"""A value that fields can be compared with."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition on one field: equality to one of `any_of`, or a number in the closed range `minimum` to `maximum`.

    Text is compared exactly. A list matches if one of its items does. A missing value never matches.
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
        return value in self.any_of if self.is_equality else self._is_in_range(value)

    @property
    def is_equality(self) -> bool:
        """Whether the condition compares with `any_of`, not with a range."""
        return self.minimum is None and self.maximum is None

    def _is_in_range(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


Filter = Mapping[str, Condition]
"""Conditions by field name, all of which must match.

Product fields are those of the segment's own details, or of its photo's details if the segment has none.
"""
NO_CONDITIONS: Filter = MappingProxyType({})
"""The filter that everything matches."""


def matches_filter(wanted: Filter, values: Mapping[str, object]) -> bool:
    """Return whether the field values satisfy every condition of the filter."""

    return all(condition.matches(values.get(name)) for name, condition in wanted.items())
