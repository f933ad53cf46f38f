"""What a search may be narrowed by: a garment's label and score, and the details of its product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from lookalike.domain.model import ProductDetails

GARMENT_FIELDS = ("label", "score")
"""What the garment itself has."""
PRODUCT_FIELDS = tuple(one.name for one in fields(ProductDetails) if one.name != "image_id")
FILTERABLE_FIELDS = (*GARMENT_FIELDS, *PRODUCT_FIELDS)
Value = str | float


@dataclass(frozen=True, slots=True)
class Condition:
    """One of these values, or a number from `least` to `most`, both included. Of a list, one item is enough.

    Text is compared letter for letter. What has no value fulfils no condition.
    """

    any_of: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def matches(self, value: object) -> bool:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return any(self.matches(item) for item in value)
        if value is None:
            return False
        return value in self.any_of if self.is_equality else self._is_between(value)

    @property
    def is_equality(self) -> bool:
        return self.minimum is None and self.maximum is None

    def _is_between(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


Filter = Mapping[str, Condition]
"""By the name of what is asked of; all must hold. The product's details are the garment's own, else its photo's."""


def matches_filter(wanted: Filter, values: Mapping[str, object]) -> bool:
    return all(condition.matches(values.get(name)) for name, condition in wanted.items())
