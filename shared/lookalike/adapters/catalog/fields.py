"""Columns of the fields that filters and facets name, and what has to be joined to read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_

from lookalike.adapters.catalog.products import FEED_COLUMNS, to_amount
from lookalike.adapters.catalog.tables import image_details, product_pictures, product_values, products, splitted_images
from lookalike.adapters.catalog.values import name_in, string_list, to_aware_utc
from lookalike.domain.feed_columns import column_of, comparable, is_feed_column
from lookalike.domain.filter import PRICE_FIELDS, Filter, Value, is_of_feed
from lookalike.domain.stored_product import MONEY_SCALE

LIST_COLUMNS = ("tags", "size")
GARMENT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "label": splitted_images.c.label,
    "score": splitted_images.c.score,
    "photo": splitted_images.c.original_image_id,
    "created": splitted_images.c.create_time,
}
"""Columns of `GARMENT_FIELDS`."""
OWN_COLUMNS: dict[str, ColumnElement[Any]] = {
    **FEED_COLUMNS,
    "brand": products.c.brand,
    "size": products.c.size,
    "created": products.c.create_time,
    "feed": products.c.feed,
}
"""Columns of a product's own fields, see `domain.browse`. Of garments, some fields of these names are other ones."""


@dataclass(frozen=True, slots=True)
class FieldColumns:
    """The columns of fields, in their order, and the tables of other columns of feeds, which have to be joined."""

    columns: Sequence[ColumnElement[Any]]
    joined: Sequence[tuple[Any, ColumnElement[bool]]]

    def join(self, query: Select[Any]) -> Select[Any]:
        """Join what the columns need to a query of products. Only products with a value in all of them remain."""
        for table, condition in self.joined:
            query = query.join(table, condition)
        return query


def field_columns(names: Iterable[str]) -> FieldColumns:
    """Return the columns of garments, of product details and of the product that a garment shows."""
    return _with_feed_columns(names, {**GARMENT_COLUMNS, **FEED_COLUMNS}, image_details.c)


def own_columns(names: Iterable[str]) -> FieldColumns:
    """Return the columns of a product's own fields."""
    return _with_feed_columns(names, OWN_COLUMNS, {})


def _with_feed_columns(names: Iterable[str], known: dict[str, ColumnElement[Any]], others: Any) -> FieldColumns:
    columns: list[ColumnElement[Any]] = []
    joined: list[tuple[Any, ColumnElement[bool]]] = []
    for name in names:
        if is_feed_column(name):
            values = product_values.alias()
            columns.append(values.c.value)
            is_of_column = and_(values.c.product == products.c.id, name_in(values.c.name, column_of(name)))
            joined.append((values, is_of_column))
        else:
            columns.append(known[name] if name in known else others[name])
    return FieldColumns(columns, joined)


def join_products(query: Select[Any], names: Iterable[str]) -> Select[Any]:
    """Join the products that garments show to a query of garments, if a field needs them."""
    if not any(map(is_of_feed, names)):
        return query
    shown = product_pictures.c.garment == splitted_images.c.splitted_image_id
    return query.join(product_pictures, shown).join(products, products.c.id == product_pictures.c.product)


def to_field_value(name: str, value: Any) -> object:
    """Return a stored value in the type that conditions compare: see `ProductDetails`, and decimals for prices."""
    if value is None:
        return None
    if name in LIST_COLUMNS:
        return string_list(value)
    if name in PRICE_FIELDS:
        return to_amount(value)
    if isinstance(value, datetime):
        return to_aware_utc(value).timestamp()
    return comparable(value) if is_feed_column(name) else value


def to_field_values(wanted: Filter, values: Sequence[Any]) -> dict[str, object]:
    """Return the stored values of a filter's fields, in its order, by name and in the type that conditions compare."""
    return {name: to_field_value(name, value) for name, value in zip(wanted, values, strict=True)}


def facet_items(name: str, cell: Any) -> list[Value]:
    """Return the values in a cell as facets list them: text, and numbers for prices."""
    if is_feed_column(name):
        return [cell]
    value = to_field_value(name, cell)
    if isinstance(value, list):
        return value
    return [] if value is None else [float(cell) / MONEY_SCALE if name in PRICE_FIELDS else cell]
