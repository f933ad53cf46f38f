"""What a search may be narrowed by: a garment's label and score, and the details of its product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from lookalike.domain.model import ProductDetails

OWN = ("label", "score")
"""What the garment itself has."""
OF_PRODUCT = tuple(one.name for one in fields(ProductDetails) if one.name != "image_id")
FILTERABLE = (*OWN, *OF_PRODUCT)
Value = str | float


@dataclass(frozen=True, slots=True)
class Condition:
    """One of these values, or a number from `least` to `most`, both included. Of a list, one item is enough.

    Text is compared letter for letter. What has no value fulfils no condition.
    """

    any_of: tuple[Value, ...] = ()
    least: float | None = None
    most: float | None = None

    def holds(self, value: object) -> bool:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return any(self.holds(item) for item in value)
        if value is None:
            return False
        return value in self.any_of if self.is_choice else self._is_between(value)

    @property
    def is_choice(self) -> bool:
        return self.least is None and self.most is None

    def _is_between(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


Filter = Mapping[str, Condition]
"""By the name of what is asked of; all must hold. The product's details are the garment's own, else its photo's."""


def fulfils(wanted: Filter, values: Mapping[str, object]) -> bool:
    return all(condition.holds(values.get(name)) for name, condition in wanted.items())
