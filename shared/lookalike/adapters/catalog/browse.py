"""Sorted pages of garments and products, and products by the garments that show them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, DateTime, Select, and_, func, or_, select, true

from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.fields import facet_items, own_columns, to_field_values
from lookalike.adapters.catalog.matching import filter_rows, prefilter_all
from lookalike.adapters.catalog.products import select_first_shown
from lookalike.adapters.catalog.segments import select_segments
from lookalike.adapters.catalog.tables import product_pictures, product_values, products, splitted_images
from lookalike.adapters.catalog.values import EPOCH, batches, name_in, row_id_in, to_aware_utc, to_naive_utc
from lookalike.domain.browse import Position, Sort, in_order
from lookalike.domain.facets import MAX_FACET_VALUES, most_frequent
from lookalike.domain.filter import NO_CONDITIONS, Filter, Value, matches_filter
from lookalike.domain.model import Segment

MAX_IDS = 5_000
"""Up to this many rows are read by their ids. Beyond, reading all rows is faster."""
MICROSECOND = timedelta(microseconds=1)
_rows, _products, _pictures, _values = splitted_images.c, products.c, product_pictures.c, product_values.c
GARMENT_VALUES: Mapping[str, ColumnElement[Any]] = {"created": _rows.create_time, "score": _rows.score}
PRODUCT_VALUES: Mapping[str, ColumnElement[Any]] = {
    "created": _products.create_time,
    "updated": _products.update_time,
    "price": _products.price,
}


class BrowseQueries(Database):
    """Queries of the port `BrowseCatalog`."""

    @read_transaction
    def count_products(self, tx: Connection) -> int:
        """Return the number of all products."""
        return tx.execute(select(func.count()).select_from(products)).scalar_one()

    @read_transaction
    def segments_by_name(self, tx: Connection, names: Sequence[str]) -> list[Segment]:
        """Return the garments of these names, ordered by row id."""
        found = [
            row for batch in batches(names) for row in select_segments(tx, name_in(_rows.splitted_image_id, *batch))
        ]
        return sorted(found, key=lambda segment: segment.row_id)

    @read_transaction
    def garment_positions(
        self, tx: Connection, sort: Sort, after: Position | None, limit: int, among: Sequence[int] | None = None
    ) -> list[Position]:
        """Return the positions of the next garments."""
        query, value = _garment_query(sort)
        limits = [true()] if among is None else [row_id_in(batch) for batch in batches(among)]
        return _read_positions(tx, query, _rows.id, value, sort, after, limit, limits)

    @read_transaction
    def product_positions(
        self, tx: Connection, sort: Sort, after: Position | None, limit: int, among: Sequence[str] | None = None
    ) -> list[Position]:
        """Return the positions of the next products."""
        value = PRODUCT_VALUES.get(sort.field)
        query = select(_products.id) if value is None else select(_products.id, value)
        limits = [true()] if among is None else [name_in(_products.id, *batch) for batch in batches(among)]
        return _read_positions(tx, query, _products.id, value, sort, after, limit, limits)

    @read_transaction
    def matching_product_ids(self, tx: Connection, wanted: Filter) -> list[str]:
        """Return the sorted ids of products whose own fields match."""
        fields = own_columns(wanted)
        query = fields.join(select(_products.id, *fields.columns).select_from(products))
        return sorted({*filter_rows(tx, query.where(prefilter_all(fields.columns, wanted)), wanted)})

    @read_transaction
    def product_ids_shown_by(self, tx: Connection, row_ids: NDArray[np.int64]) -> set[str]:
        """Return the ids of all products that one of the garments shows."""
        query = select(_rows.id, _pictures.product).select_from(product_pictures)
        query = query.join(splitted_images, _rows.splitted_image_id == _pictures.garment)
        query = query.join(products, _products.id == _pictures.product)
        if len(row_ids) <= MAX_IDS:
            limited = [query.where(row_id_in(batch)) for batch in batches(row_ids.tolist())]
            return {product for one in limited for _, product in tx.execute(one)}
        wanted = set(row_ids.tolist())
        return {product for row_id, product in tx.execute(query) if row_id in wanted}

    @read_transaction
    def product_ids(self, tx: Connection, garments: Sequence[str], wanted: Filter = NO_CONDITIONS) -> dict[str, str]:
        """Return the id of the product that each garment shows, the first one of several that match the filter."""
        if not wanted:
            return select_first_shown(tx, garments)
        fields = own_columns(wanted)
        query = select(_pictures.garment, _products.id, *fields.columns).select_from(product_pictures)
        query = fields.join(query.join(products, _products.id == _pictures.product))
        query = query.where(prefilter_all(fields.columns, wanted)).order_by(_products.id.desc())
        found: dict[str, str] = {}
        for batch in batches(garments):
            rows = tx.execute(query.where(name_in(_pictures.garment, *batch)))
            # in descending order, so that the first product of each garment is the last one
            found |= {
                garment: product
                for garment, product, *values in rows
                if matches_filter(wanted, to_field_values(wanted, values))
            }
        return found

    @read_transaction
    def product_facet_counts(
        self,
        tx: Connection,
        fields: Sequence[str],
        product_ids: Sequence[str] | None = None,
        limit: int = MAX_FACET_VALUES,
    ) -> dict[str, list[tuple[Value, int]]]:
        """Return the most frequent values of each field, and the number of products with each."""
        return {name: _count_values(tx, name, product_ids, limit) for name in fields}

    @read_transaction
    def feed_columns(self, tx: Connection, names: Sequence[str] | None = None, limit: int = 100) -> list[str]:
        """Return the sorted names of other columns that a product has."""
        if names is not None:
            found = (tx.execute(select(_values.name).where(name_in(_values.name, one)).limit(1)) for one in names)
            return sorted({name for result in found for name in result.scalars()})[:limit]
        return [*_distinct_names(tx, limit)]


def _distinct_names(tx: Connection, limit: int) -> Iterator[str]:
    # a query for each name by the index: DISTINCT would read all of its entries on SQLite
    last = ""
    for _ in range(limit):
        name = tx.execute(select(func.min(_values.name)).where(_values.name > last)).scalar()
        if name is None:
            return
        yield name
        last = name


def _garment_query(sort: Sort) -> tuple[Select[Any], ColumnElement[Any] | None]:
    """Return a query of garments, and the value that it is sorted by."""
    if sort.field == "price":
        prices = select(_pictures.garment, func.min(_products.price).label("price")).group_by(_pictures.garment)
        lowest = prices.join(products, _products.id == _pictures.product).subquery()
        query = select(_rows.id, lowest.c.price).select_from(splitted_images)
        return query.outerjoin(lowest, lowest.c.garment == _rows.splitted_image_id), lowest.c.price
    value = GARMENT_VALUES.get(sort.field)
    return (select(_rows.id) if value is None else select(_rows.id, value)), value


def _read_positions(
    tx: Connection,
    query: Select[Any],
    key: ColumnElement[Any],
    value: ColumnElement[Any] | None,
    sort: Sort,
    after: Position | None,
    limit: int,
    limits: Sequence[ColumnElement[bool]],
) -> list[Position]:
    """Return the next positions of the rows that satisfy one of `limits`."""
    found: list[Position] = []
    for part in _parts(query, key, value, sort, after):
        if len(found) < limit:
            rows = [row for one in limits for row in tx.execute(part.where(one).limit(limit - len(found)))]
            found += in_order(map(_to_position, rows), sort, None, limit - len(found))
    return found


def _parts(
    query: Select[Any],
    key: ColumnElement[Any],
    value: ColumnElement[Any] | None,
    sort: Sort,
    after: Position | None,
) -> Iterator[Select[Any]]:
    """Yield a query for rows with a value, and one for rows without. Each uses an index on value and key."""
    order = [column.desc() if sort.is_descending else column.asc() for column in (value, key) if column is not None]
    if value is not None and (after is None or after.value is not None):
        after_it = true() if after is None else _is_after(key, value, sort, after)
        yield query.where(value.is_not(None), after_it).order_by(*order)
    has_passed = after is not None and (value is None or after.value is None)
    after_it = _compare(key, after.key, sort) if after is not None and has_passed else true()
    # without the value in the order, SQLite uses the primary key where that is the order
    yield query.where(after_it, true() if value is None else value.is_(None)).order_by(order[-1])


def _is_after(key: ColumnElement[Any], value: ColumnElement[Any], sort: Sort, after: Position) -> ColumnElement[bool]:
    bound = _to_stored(value, after.value)
    # the first condition is for the index: databases do not derive it from the second one
    first = value <= bound if sort.is_descending else value >= bound
    return and_(first, or_(_compare(value, bound, sort), _compare(key, after.key, sort)))


def _compare(column: ColumnElement[Any], bound: object, sort: Sort) -> ColumnElement[bool]:
    return column < bound if sort.is_descending else column > bound


def _to_position(row: Sequence[Any]) -> Position:
    value = row[1] if len(row) > 1 else None
    return Position(row[0], (to_aware_utc(value) - EPOCH) // MICROSECOND if isinstance(value, datetime) else value)


def _to_stored(column: ColumnElement[Any], value: int | float | None) -> object:
    is_time = isinstance(column.type, DateTime)
    return to_naive_utc(datetime.fromtimestamp(0, UTC) + (value or 0) * MICROSECOND) if is_time else value


def _count_values(tx: Connection, name: str, product_ids: Sequence[str] | None, limit: int) -> list[tuple[Value, int]]:
    fields = own_columns([name])
    query = fields.join(select(_products.id, *fields.columns).select_from(products))
    query = query.where(fields.columns[0].is_not(None))
    if product_ids is not None and len(product_ids) <= MAX_IDS:
        queries = [query.where(name_in(_products.id, *batch)) for batch in batches(product_ids)]
    else:
        queries = [query]
    wanted = None if product_ids is None else set(product_ids)
    pairs = {
        (product, value)
        for one in queries
        for product, cell in tx.execute(one)
        if wanted is None or product in wanted
        for value in facet_items(name, cell)
    }
    counts: dict[Value, int] = {}
    for _, value in pairs:
        counts[value] = counts.get(value, 0) + 1
    return most_frequent(counts.items(), limit)
