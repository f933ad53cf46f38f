"""Queries over the values of many rows: their colors, and the values of fields for facets and groups."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    String,
    Text,
    and_,
    case,
    cast,
    func,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects import mysql

from lookalike.adapters.catalog.commits import select_last_commit
from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.fields import facet_items, field_columns, join_products, to_field_values
from lookalike.adapters.catalog.legacy_rows import has_own_vector
from lookalike.adapters.catalog.matching import prefilter_all
from lookalike.adapters.catalog.secondary_vectors import has_vector
from lookalike.adapters.catalog.tables import image_details, other_embeddings, splitted_images
from lookalike.adapters.catalog.values import batches, name_in, row_id_in, string_list
from lookalike.domain.facets import MAX_FACET_VALUES, PHOTO_FIELD, FieldValues, check_facet_fields, most_frequent
from lookalike.domain.filter import NO_CONDITIONS, Filter, Value, is_of_feed, matches_filter
from lookalike.domain.model import ORIGINAL_EMBEDDER

MAX_ROWS_BY_ID = 5_000
"""Up to this many rows are read by their ids. Beyond, reading all rows of the embedder is faster."""
ROWS_PER_TEXT = 4_096
"""Colors that MySQL concatenates to one text."""
MAX_TEXT_BYTES = 2**20
"""Limit of such a text. MySQL's default is 1 KB."""
RowIds = NDArray[np.int64]
_rows, _details, _secondary = splitted_images.c, image_details.c, other_embeddings.c
_own_details, _photo_details = image_details.alias("own_details"), image_details.alias("photo_details")
GARMENT_COLUMNS: Mapping[str, ColumnElement[Any]] = {"label": _rows.label, PHOTO_FIELD: _rows.original_image_id}


@dataclass(frozen=True, slots=True)
class ColorTable:
    """The colors of all rows of an embedder at a commit."""

    commit: int
    ids: RowIds
    """Row ids (n,), ascending."""
    labs: NDArray[np.float64]
    """L*, a*, b* (n, 3)."""


class FacetQueries(Database):
    """Queries of the port `Catalog` about the colors and field values of many rows."""

    @cached_property
    def _color_tables(self) -> dict[str | None, ColorTable]:
        """The last table of each embedder, 32 bytes a row. Reading the colors again takes much longer than their use."""
        return {}

    @read_transaction
    def colors(
        self, tx: Connection, embedder: str | None, row_ids: RowIds | None = None
    ) -> tuple[RowIds, NDArray[np.float64]]:
        """Return the sorted ids (n,) of rows with a color and their colors (n, 3), as L*, a*, b*. Both can be read-only."""
        if row_ids is not None and len(row_ids) <= MAX_ROWS_BY_ID:
            return _read_colors(tx, embedder, row_ids)
        # Every transaction that adds, deletes or replaces a picture has a commit number. So all reads at one commit
        # return the same colors.
        commit, table = select_last_commit(tx), self._color_tables.get(embedder)
        if table is None or table.commit != commit:
            ids, labs = _read_colors(tx, embedder, None)
            # callers share them
            ids.setflags(write=False)
            labs.setflags(write=False)
            table = self._color_tables[embedder] = ColorTable(commit, ids, labs)
        if row_ids is None:
            return table.ids, table.labs
        is_wanted = np.isin(table.ids, row_ids)
        return table.ids[is_wanted], table.labs[is_wanted]

    @read_transaction
    def field_values(
        self,
        tx: Connection,
        embedder: str | None,
        fields: Sequence[str],
        row_ids: RowIds | None = None,
        shown: Filter = NO_CONDITIONS,
    ) -> dict[str, FieldValues]:
        """Return the values of each field over the rows with a vector of the embedder. Raises `InvalidField`."""
        check_facet_fields(fields)
        return _read_values(tx, embedder, fields, row_ids, shown)

    @read_transaction
    def facet_counts(
        self,
        tx: Connection,
        embedder: str | None,
        fields: Sequence[str],
        row_ids: RowIds | None = None,
        limit: int = MAX_FACET_VALUES,
        shown: Filter = NO_CONDITIONS,
    ) -> dict[str, list[tuple[Value, int]]]:
        """Return the most frequent values of each field and their number of rows. Raises `InvalidField`."""
        check_facet_fields(fields)
        # The database counts labels by an index. It would count other fields no faster than this process.
        counted = {name: _count_labels(tx, embedder, limit) for name in fields if name == "label" and row_ids is None}
        values = _read_values(tx, embedder, [name for name in fields if name not in counted], row_ids, shown)
        counted |= {name: field.counts(limit) for name, field in values.items()}
        return {name: counted[name] for name in fields}


def _with_vector(query: Select[Any], embedder: str | None) -> Iterator[Select[Any]]:
    """Yield the query restricted to rows with an own vector of the embedder, and to those with a secondary one.

    Without an embedder, the query is not restricted.

    Other than with `has_vector`, the database uses an index that starts with the embedder's name. This is faster if the
    index also contains all columns of the query, and slower if not.
    """
    if embedder is None:
        yield query
        return
    # Only rows of the original system have a vector without an embedder's name, and no row has the name without a
    # vector.
    yield query.where(has_own_vector(embedder) if embedder == ORIGINAL_EMBEDDER else name_in(_rows.embedder, embedder))
    is_secondary = and_(_secondary.row_id == _rows.id, name_in(_secondary.embedder, embedder))
    yield query.join(other_embeddings, is_secondary)


def _read_colors(tx: Connection, embedder: str | None, row_ids: RowIds | None) -> tuple[RowIds, NDArray[np.float64]]:
    numbers = [number for query in _color_queries(tx, embedder, row_ids) for number in tx.execute(query).scalars()]
    # One JSON document of all colors is parsed much faster than each on its own. Each query returns "id,L,a,b,...", or
    # NULL if there are no colors.
    parsed = json.loads(f"[{','.join(number for number in numbers if number)}]")
    table = np.array(parsed, np.float64).reshape(-1, 4)
    # float64 represents ids up to 2 ** 53 exactly
    ids = table[:, 0].astype(np.int64)
    order = np.argsort(ids, kind="stable")
    return ids[order], table[order, 1:]


def _color_queries(tx: Connection, embedder: str | None, row_ids: RowIds | None) -> Iterator[Select[Any]]:
    numbers = func.substr(_rows.colour, 2, func.length(_rows.colour) - 2)
    query = select(func.group_concat(cast(_rows.id, String(20)) + "," + numbers)).select_from(splitted_images)
    query = query.where(_rows.colour.is_not(None))
    if tx.dialect.name != "sqlite":
        tx.execute(text(f"SET SESSION group_concat_max_len = {MAX_TEXT_BYTES}"))
        query = query.group_by(func.floor(_rows.id / ROWS_PER_TEXT))
    yield from _with_vector(query, embedder) if row_ids is None else _restricted(query, embedder, row_ids)


def _restricted(query: Select[Any], embedder: str | None, row_ids: RowIds | None) -> Iterator[Select[Any]]:
    """Yield the query restricted to rows with a vector of the embedder, and to `row_ids` unless there are many."""
    query = query if embedder is None else query.where(has_vector(embedder))
    if row_ids is None or len(row_ids) > MAX_ROWS_BY_ID:
        yield query
    else:
        yield from (query.where(row_id_in(batch)) for batch in batches(row_ids.tolist()))


def _order_of(ids: RowIds, row_ids: RowIds | None) -> NDArray[np.intp]:
    """Return the positions, in ascending order of the ids, of those ids that are in `row_ids`."""
    order = np.argsort(ids, kind="stable")
    return order if row_ids is None else order[np.isin(ids[order], row_ids)]


def _read_values(
    tx: Connection, embedder: str | None, fields: Sequence[str], row_ids: RowIds | None, shown: Filter
) -> dict[str, FieldValues]:
    """Read the values of fields: of garments in one pass over the rows, of details in another, of feeds in one each."""
    garment_fields = [name for name in fields if name in GARMENT_COLUMNS]
    product_fields = [name for name in fields if name not in GARMENT_COLUMNS and not is_of_feed(name)]
    values = {name: _read_feed_field(tx, embedder, name, row_ids, shown) for name in fields if is_of_feed(name)}
    if garment_fields:
        query = select(_rows.id, *(GARMENT_COLUMNS[name] for name in garment_fields))
        values |= _read_columns(tx, garment_fields, _restricted(query, embedder, row_ids), row_ids)
    if product_fields:
        query = _select_details([_product_column(name) for name in product_fields])
        values |= _read_columns(tx, product_fields, _restricted(query, embedder, row_ids), row_ids)
    return values


def _read_feed_field(
    tx: Connection, embedder: str | None, name: str, row_ids: RowIds | None, shown: Filter
) -> FieldValues:
    """Read the values of a field of the products that rows show, without products that do not match `shown`."""
    names = [name, *shown]
    fields = field_columns(names)
    query = fields.join(join_products(select(_rows.id, *fields.columns).select_from(splitted_images), names))
    query = query.where(fields.columns[0].is_not(None), prefilter_all(fields.columns[1:], shown))
    # several products of one row can have the same value
    pairs = {
        (row_id, value)
        for one in _restricted(query, embedder, row_ids)
        for row_id, cell, *values in tx.execute(one)
        if matches_filter(shown, to_field_values(shown, values))
        for value in facet_items(name, cell)
    }
    ordered = sorted(pairs, key=lambda pair: pair[0])
    ids = np.array([row_id for row_id, _ in ordered], np.int64)
    order = _order_of(ids, row_ids)
    return FieldValues.from_column(ids[order], [ordered[position][1] for position in order.tolist()], _items)


def _select_details(columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Select the row id and values of the details of each row: its own, or its photo's if it has none of its own."""
    has_no_own = _own_details.c.image_id.is_(None)
    is_of_photo = and_(has_no_own, _photo_details.c.image_id == _rows.original_image_id)
    return (
        select(_rows.id, *columns)
        .select_from(splitted_images)
        .outerjoin(_own_details, _own_details.c.image_id == _rows.splitted_image_id)
        .outerjoin(_photo_details, is_of_photo)
    )


def _product_column(name: str) -> ColumnElement[Any]:
    is_of_photo = _own_details.c.image_id.is_(None)
    column = case((is_of_photo, _photo_details.c[name]), else_=_own_details.c[name])
    # Lists are read as JSON text: equal lists are then decoded once.
    return type_coerce(column, Text) if _is_list(name) else column


def _read_columns(
    tx: Connection, names: Sequence[str], queries: Iterable[Select[Any]], row_ids: RowIds | None
) -> dict[str, FieldValues]:
    rows = [tuple(row) for query in queries for row in tx.execute(query)]
    ids = np.array([row[0] for row in rows], np.int64)
    order = _order_of(ids, row_ids)
    ordered, ids = [rows[position] for position in order.tolist()], ids[order]
    return {
        name: FieldValues.from_column(ids, [row[i] for row in ordered], _list_items if _is_list(name) else _items)
        for i, name in enumerate(names, 1)
    }


def _is_list(name: str) -> bool:
    return isinstance(_details[name].type, JSON) if name in _details else False


def _items(value: Value | None) -> list[Value]:
    return [] if value is None else [value]


def _list_items(cell: str | None) -> list[Value]:
    return [] if cell is None else [*dict.fromkeys(string_list(json.loads(cell)) or [])]


def _count_labels(tx: Connection, embedder: str | None, limit: int) -> list[tuple[Value, int]]:
    label: ColumnElement[Any] = _rows.label
    if tx.dialect.name != "sqlite":
        # MySQL's collations count labels as equal that differ in case, accents or trailing spaces.
        label = cast(func.convert(label.op("USING")(text("utf8mb4"))), mysql.BINARY)
    query = select(label, func.count()).where(_rows.label.is_not(None)).group_by(label)
    counts: Counter[Value] = Counter()
    for selected in _with_vector(query, embedder):
        for stored, count in tx.execute(selected):
            counts[stored.decode() if isinstance(stored, bytes) else stored] += count
    return most_frequent(counts.items(), limit)
