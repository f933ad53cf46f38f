"""Edits of products, and what is kept of the users who made them."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import product_edits, products
from lookalike.adapters.catalog.values import batches, name_in, to_aware_utc, to_naive_utc, utc_now, validated
from lookalike.domain.product import Money
from lookalike.domain.product_edits import FieldValue, ProductEdit, sort_edits

_edits = product_edits.c


class ProductEditQueries(Database):
    """Queries of the port `Catalog` about the users who edited products."""

    @read_transaction
    def edits_of_editor(self, tx: Connection, editor: str) -> list[tuple[str, ProductEdit]]:
        """Return the edits of a user with the ids of their products."""
        query = select(product_edits).where(name_in(_edits.editor, editor)).order_by(_edits.product, _edits.field)
        return [(row["product"], _to_edit(row)) for row in tx.execute(query).mappings()]

    @write_transaction
    def forget_editor(self, tx: Connection, editor: str) -> int:
        """Remove a user from the edits that they made. Returns the number of these edits."""
        is_own = name_in(_edits.editor, editor)
        names = tx.execute(select(_edits.product).where(is_own).distinct()).scalars().all()
        # A synchronization that has read these products with the user must not store the user again: their new time makes
        # it read them once more.
        for batch in batches(names):
            tx.execute(update(products).where(name_in(products.c.id, *batch)).values(update_time=utc_now()))
        return tx.execute(update(product_edits).where(is_own).values(editor=None, editor_name=None)).rowcount


def edit_row(product_id: str, edit: ProductEdit) -> dict[str, object]:
    """Return the column values of an edit. Raises `InvalidField`."""
    return validated(
        product_edits,
        product=product_id,
        field=edit.field,
        value=_to_json(edit.value),
        feed_value=_to_json(edit.feed_value),
        editor=edit.editor,
        editor_name=edit.editor_name and edit.editor_name[:255],
        edit_time=to_naive_utc(edit.at),
    )


def select_edits(tx: Connection, product_ids: Sequence[str]) -> dict[str, tuple[ProductEdit, ...]]:
    """Return the edits of products, sorted by field, inside the caller's transaction."""
    found: dict[str, list[ProductEdit]] = {}
    for batch in batches(product_ids):
        for row in tx.execute(select(product_edits).where(name_in(_edits.product, *batch))).mappings():
            found.setdefault(row["product"], []).append(_to_edit(row))
    # sorted here: databases order text differently
    return {name: sort_edits(edits) for name, edits in found.items()}


def _to_edit(row: RowMapping) -> ProductEdit:
    values = _from_json(row["value"]), _from_json(row["feed_value"])
    return ProductEdit(row["field"], to_aware_utc(row["edit_time"]), *values, row["editor"], row["editor_name"])


def _to_json(value: FieldValue) -> str:
    # amounts as text, so that they stay exact
    content: Any = [f"{value.amount:f}", value.currency] if isinstance(value, Money) else value
    return json.dumps({"money": content} if isinstance(value, Money) else content)


def _from_json(text: str) -> FieldValue:
    value: Any = json.loads(text)
    if isinstance(value, dict):
        amount, currency = value["money"]
        return Money(Decimal(amount), currency)
    return tuple(value) if isinstance(value, list) else value
