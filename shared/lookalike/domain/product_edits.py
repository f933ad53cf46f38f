"""Edits of products: values of fields that administrators set instead of the feed's.

An edited value is kept over the feed's, whatever the feed says, until the edit is removed. The feed's value is kept, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from dataclasses import field as attribute
from datetime import datetime

from lookalike.domain.product import Money, Product

FieldValue = Money | str | tuple[str, ...] | None
"""Value of a field of a product. `None` or empty: the product has none."""
OWN_FIELDS = frozenset(one.name for one in fields(Product)) - {"id", "pictures", "extra"}
"""Fields of `Product` that can be edited. All other names are those of other columns."""
FIXED_COLUMNS = frozenset({"id", "image_link", "additional_image_link", "image_id"})
"""Columns of a feed that cannot be edited: they say which product it is, and which pictures it has."""


@dataclass(frozen=True, slots=True)
class ProductEdit:
    """An edited field of a product."""

    field: str
    """Name of the column of the feed."""
    at: datetime
    value: FieldValue = None
    """The value that was set."""
    feed_value: FieldValue = None
    """The value that the feed had last."""
    editor: str | None = attribute(default=None, compare=False)
    """`Caller.owner` of who set it. `None` if that user was erased."""
    editor_name: str | None = attribute(default=None, compare=False)
    """Email address at that time, `None` for API keys."""


def field_value(product: Product, name: str) -> FieldValue:
    """Return the value of a field, or of another column of the feed."""
    if name in OWN_FIELDS:
        value: FieldValue = getattr(product, name)
        return value
    return product.extra.get(name)


def with_values(product: Product, values: Mapping[str, FieldValue]) -> Product:
    """Return the product with other values of some fields."""
    own = {name: value for name, value in values.items() if name in OWN_FIELDS}
    others = {name: value for name, value in values.items() if name not in OWN_FIELDS}
    extra = {name: value for name, value in product.extra.items() if name not in others}
    extra |= {name: str(value) for name, value in others.items() if value is not None}
    return replace(product, **own, extra=extra)  # type: ignore[arg-type]


def apply_edits(product: Product, edits: Iterable[ProductEdit]) -> tuple[Product, tuple[ProductEdit, ...]]:
    """Return a product of a feed with the edited values, and the edits with the feed's values, sorted by field."""
    known = [replace(edit, feed_value=field_value(product, edit.field)) for edit in edits]
    return with_values(product, {edit.field: edit.value for edit in known}), sort_edits(known)


def sort_edits(edits: Iterable[ProductEdit]) -> tuple[ProductEdit, ...]:
    """Return edits in the order in which they are stored."""
    return tuple(sorted(edits, key=lambda edit: edit.field))
