"""Filter queries. SQL narrows the rows down; Python then applies the exact conditions.

Databases compare differently: some ignore case or accents, round single-precision numbers, or store lists as text.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Float,
    RowMapping,
    Select,
    and_,
    exists,
    false,
    or_,
    select,
    true,
)

from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.secondary_vectors import has_vector
from lookalike.adapters.catalog.tables import image_details, originals, splitted_images
from lookalike.adapters.catalog.values import batches, name_in, row_id_in, string_list, to_aware_utc, to_photo
from lookalike.domain.filter import GARMENT_FIELDS, Condition, Filter, matches_filter
from lookalike.domain.personal_data import OwnedPhoto

FLOAT_TOLERANCE = 1e-3
"""Margin around a number in SQL. `rating` is single precision: MySQL returns 4.3 but compares 4.30000019."""
LIST_COLUMNS = ("tags", "size")


class MatchingQueries(Database):
    """Queries of the port `Catalog` that return row ids."""

    @read_transaction
    def matching_row_ids(self, tx: Connection, embedder: str | None, wanted: Filter) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of rows that match the filter and have a vector of the embedder, if given."""
        row_ids = {row_id for query in candidate_queries(embedder, wanted) for row_id in filter_rows(tx, query, wanted)}
        return np.array(sorted(row_ids), np.int64)

    @read_transaction
    def row_ids_of_owner(self, tx: Connection, user: str) -> list[int]:
        """Return the sorted row ids of all photos of a user."""
        rows = splitted_images.c
        is_of_photo = rows.original_image_id == originals.c.name
        query = select(rows.id).join_from(originals, splitted_images, is_of_photo)
        return list(tx.execute(query.where(name_in(originals.c.owner, user)).order_by(rows.id)).scalars())

    @read_transaction
    def row_ids_of_photo_hash(self, tx: Connection, sha256: str) -> frozenset[int]:
        """Return the row ids of photos whose uploaded file has this SHA-256."""
        is_of_photo = splitted_images.c.original_image_id == originals.c.name
        query = select(splitted_images.c.id).join_from(originals, splitted_images, is_of_photo)
        return frozenset(tx.execute(query.where(originals.c.sha256 == sha256)).scalars())
    @read_transaction
    def photos_of_owner(self, tx: Connection, user: str, after: str, limit: int) -> list[OwnedPhoto]:
        """Return the next photos of a user, ordered by name."""
        is_next = name_in(originals.c.owner, user), originals.c.name > after
        rows = tx.execute(select(originals).where(*is_next).order_by(originals.c.name).limit(limit)).mappings()
        return [OwnedPhoto(to_photo(row), to_aware_utc(row["create_time"])) for row in rows]



def candidate_queries(embedder: str | None, wanted: Filter) -> Iterator[Select[Any]]:
    """Yield queries whose rows include all matches of the filter.

    A filter on garment fields needs one query. With product fields there are two: one for details of the garment itself,
    and one for details of its photo, which count only where the garment has none.
    """
    rows, details = splitted_images.c, image_details.c
    columns = [(rows if name in GARMENT_FIELDS else details)[name] for name in wanted]
    is_candidate = and_(
        true() if embedder is None else has_vector(embedder),
        *(prefilter(column, wanted[column.name]) for column in columns),
    )
    # The label avoids a clash: both tables may get a filterable column of the same name.
    query = select(rows.id.label("row_id"), *columns).where(is_candidate)
    if all(name in GARMENT_FIELDS for name in wanted):
        yield query
        return
    yield query.join_from(splitted_images, image_details, details.image_id == rows.splitted_image_id)
    own_details = image_details.alias()
    of_photo = query.join_from(splitted_images, image_details, details.image_id == rows.original_image_id)
    yield of_photo.where(~exists().where(own_details.c.image_id == rows.splitted_image_id))


def prefilter(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """Return an SQL condition that is true for every value matching the condition, and perhaps for more."""
    if isinstance(column.type, JSON):
        return column.is_not(None)
    if not isinstance(column.type, Float):
        texts = [value for value in condition.any_of if isinstance(value, str) and is_valid_text(value)]
        return column.in_(texts) if texts else false()
    numbers = [value for value in condition.any_of if not isinstance(value, str)]
    if condition.is_equality:
        return or_(false(), *(column.between(number - FLOAT_TOLERANCE, number + FLOAT_TOLERANCE) for number in numbers))
    lower = [] if condition.minimum is None else [column >= condition.minimum - FLOAT_TOLERANCE]
    upper = [] if condition.maximum is None else [column <= condition.maximum + FLOAT_TOLERANCE]
    return and_(*lower, *upper)


def is_valid_text(text: str) -> bool:
    """Return whether a database can hold the text. JSON escapes can produce lone surrogates and NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def filter_rows(tx: Connection, query: Select[Any], wanted: Filter) -> Iterator[int]:
    """Yield the ids of candidate rows that match the filter exactly."""
    for row in tx.execute(query).mappings():
        if matches_filter(wanted, field_values(row)):
            yield row["row_id"]


def field_values(row: RowMapping) -> dict[str, object]:
    """Return the column values in the types of `ProductDetails`."""
    return {name: string_list(value) if name in LIST_COLUMNS else value for name, value in row.items()}
