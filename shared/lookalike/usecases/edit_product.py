"""Edits fields of products. An edited value is kept over that of the feed until the edit is removed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from lookalike.domain.errors import Conflict, InvalidField, NotFound
from lookalike.domain.model import Caller
from lookalike.domain.ports import Catalog, Clock, Products
from lookalike.domain.product import Product
from lookalike.domain.product_edits import (
    FieldValue,
    ProductEdit,
    field_value,
    sort_edits,
    with_values,
)
from lookalike.domain.stored_product import StoredProduct
from lookalike.usecases.catalog_sync.pictures import choose_garments
from lookalike.usecases.catalog_sync.shown import changed_details

ReadColumns = Callable[[Mapping[str, Sequence[str]], str | None], Mapping[str, FieldValue]]
"""Reads columns as a line of a feed has them, with the currency of prices without one.

Returns the values by the names of the specification. Raises `InvalidField`, also for columns that cannot be edited.
"""
MAX_ATTEMPTS = 3
"""Attempts to store a product that a synchronization changes meanwhile."""


@dataclass(frozen=True, slots=True)
class EditProduct:
    """Edits products."""

    products: Products
    catalog: Catalog
    read_columns: ReadColumns
    clock: Clock

    def edit(
        self, product_id: str, columns: Mapping[str, Sequence[str]], use_feed_value: Collection[str], caller: Caller
    ) -> None:
        """Set columns to the values that a line of a feed with this text would have; without text, to none.

        `use_feed_value` are edited columns that get the value of the feed again. Product details of the garments that
        show the product change with it. Raises `NotFound`, `InvalidField`, and `Conflict` if the product is changed at
        the same time again and again.
        """
        for _ in range(MAX_ATTEMPTS - 1):
            with suppress(Conflict):
                return self._edit(product_id, columns, use_feed_value, caller)
        return self._edit(product_id, columns, use_feed_value, caller)

    def _edit(
        self, product_id: str, columns: Mapping[str, Sequence[str]], use_feed_value: Collection[str], caller: Caller
    ) -> None:
        stored = self.products.products([product_id]).get(product_id)
        if stored is None:
            raise NotFound(f"There is no product {product_id[:255]!r}")
        self._save(self._edited(stored, self._read(stored.product, columns), use_feed_value, caller), stored)

    def _read(self, product: Product, columns: Mapping[str, Sequence[str]]) -> Mapping[str, FieldValue]:
        price = product.price or product.sale_price
        return self.read_columns(columns, price.currency if price else None)

    def _edited(
        self, stored: StoredProduct, values: Mapping[str, FieldValue], use_feed_value: Collection[str], caller: Caller
    ) -> StoredProduct:
        before = {edit.field: edit for edit in stored.edits}
        for name in use_feed_value:
            if name not in before or name in values:
                problem = "has a new value in this request" if name in values else "is not edited"
                raise InvalidField(f"use_feed_value: {name[:100]!r} {problem}", field="use_feed_value")
        edits = {name: edit for name, edit in before.items() if name not in use_feed_value}
        for name, value in values.items():
            known = before.get(name)
            if known is None or known.value != value:
                of_feed = known.feed_value if known else field_value(stored.product, name)
                edits[name] = ProductEdit(
                    name, self.clock(), value, of_feed, caller.owner, None if caller.key else caller.email or None
                )
        restored = {name: before[name].feed_value for name in use_feed_value}
        product = with_values(stored.product, {**restored, **values})
        pictures = choose_garments(self.catalog, product, stored.pictures)
        return replace(stored, product=product, pictures=pictures, edits=sort_edits(edits.values()))

    def _save(self, edited: StoredProduct, stored: StoredProduct) -> None:
        """Store the product if anything has changed. Raises `InvalidField` and `Conflict`."""
        if edited == stored:
            return
        details = changed_details(self.products, edited.garments | stored.garments, stored.product.id, edited)
        self.products.save_product(edited, *details, previous=stored)
