"""Filter queries. SQL narrows the rows down; Python then applies the exact conditions.

Databases compare differently: some ignore case or accents, round single-precision numbers, or store lists as text.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    Select,
    and_,
    exists,
    false,
    or_,
    select,
    true,
)

from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.fields import field_columns, join_products, to_field_values
from lookalike.adapters.catalog.secondary_vectors import has_vector
from lookalike.adapters.catalog.tables import image_details, originals, splitted_images
from lookalike.adapters.catalog.values import batches, name_in, row_id_in, to_aware_utc, to_naive_utc, to_photo
from lookalike.domain.feed_columns import is_feed_column
from lookalike.domain.filter import PRODUCT_FIELDS, Condition, Filter, exact_decimal, matches_filter
from lookalike.domain.personal_data import OwnedPhoto
from lookalike.domain.stored_product import MAX_STORED_AMOUNT, to_ten_thousandths

FLOAT_TOLERANCE = 1e-3
"""Margin around a number in SQL. `rating` is single precision: MySQL returns 4.3 but compares 4.30000019."""
FIRST_TIME, LAST_TIME = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""Times between which MySQL can compare."""


class MatchingQueries(Database):
    """Queries of the port `Catalog` that return row ids."""

    @read_transaction
    def matching_row_ids(
        self, tx: Connection, embedder: str | None, wanted: Filter, among: Sequence[int] | None = None
    ) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of rows that match the filter and have a vector of the embedder, if given."""
        queries: Iterable[Select[Any]] = candidate_queries(embedder, wanted)
        if among is not None:
            limits = [row_id_in(batch) for batch in batches(among)]
            queries = [query.where(limit) for query in queries for limit in limits]
        row_ids = {row_id for query in queries for row_id in filter_rows(tx, query, wanted)}
        return np.array(sorted(row_ids), np.int64)

    @read_transaction
    def row_ids_of_owner(self, tx: Connection, user: str) -> list[int]:
        """Return the sorted row ids of all photos of a user."""
        rows = splitted_images.c
        is_of_photo = rows.original_image_id == originals.c.name
        query = select(rows.id).join_from(originals, splitted_images, is_of_photo)
        return list(tx.execute(query.where(name_in(originals.c.owner, user)).order_by(rows.id)).scalars())

    @read_transaction
    def photos_of_owner(self, tx: Connection, user: str, after: str, limit: int) -> list[OwnedPhoto]:
        """Return the next photos of a user, ordered by name."""
        is_next = name_in(originals.c.owner, user), originals.c.name > after
        rows = tx.execute(select(originals).where(*is_next).order_by(originals.c.name).limit(limit)).mappings()
        return [OwnedPhoto(to_photo(row), to_aware_utc(row["create_time"])) for row in rows]

    @read_transaction
    def row_ids_of_photo_hash(self, tx: Connection, sha256: str) -> frozenset[int]:
        """Return the row ids of photos whose uploaded file has this SHA-256."""
        is_of_photo = splitted_images.c.original_image_id == originals.c.name
        query = select(splitted_images.c.id).join_from(originals, splitted_images, is_of_photo)
        return frozenset(tx.execute(query.where(originals.c.sha256 == sha256)).scalars())


def candidate_queries(embedder: str | None, wanted: Filter) -> Iterator[Select[Any]]:
    """Yield queries whose rows include all matches of the filter. With feed fields, a row is a garment and a product.

    A row has the row id and the values of the fields, in the order of the filter. A filter without product fields needs
    one query. With product fields there are two: one for details of the garment itself, and one for details of its
    photo, which count only where the garment has none.
    """
    rows, details = splitted_images.c, image_details.c
    fields = field_columns(wanted)
    is_candidate = and_(true() if embedder is None else has_vector(embedder), prefilter_all(fields.columns, wanted))
    query = select(rows.id, *fields.columns).select_from(splitted_images).where(is_candidate)
    query = fields.join(join_products(query, wanted))
    if not any(name in PRODUCT_FIELDS for name in wanted):
        yield query
        return
    yield query.join(image_details, details.image_id == rows.splitted_image_id)
    own_details = image_details.alias()
    of_photo = query.join(image_details, details.image_id == rows.original_image_id)
    yield of_photo.where(~exists().where(own_details.c.image_id == rows.splitted_image_id))


def prefilter_all(columns: Sequence[ColumnElement[Any]], wanted: Filter) -> ColumnElement[bool]:
    """Return an SQL condition that is true for all values that match the filter. Columns are in the filter's order."""
    conditions = [
        prefilter_column_value(column, condition) if is_feed_column(name) else prefilter(column, condition)
        for column, (name, condition) in zip(columns, wanted.items(), strict=True)
    ]
    return and_(true(), *conditions)


def prefilter(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """Return an SQL condition that is true for every value matching the condition, and perhaps for more."""
    if isinstance(column.type, JSON):
        return column.is_not(None)
    if isinstance(column.type, BigInteger):
        return prefilter_amount(column, condition)
    if isinstance(column.type, DateTime):
        return prefilter_time(column, condition)
    if not isinstance(column.type, Float):
        texts = [value for value in condition.any_of if isinstance(value, str) and is_valid_text(value)]
        return column.in_(texts) if texts else false()
    numbers = [value for value in condition.any_of if not isinstance(value, str)]
    if condition.is_equality:
        return or_(false(), *(column.between(number - FLOAT_TOLERANCE, number + FLOAT_TOLERANCE) for number in numbers))
    lower = [] if condition.minimum is None else [column >= condition.minimum - FLOAT_TOLERANCE]
    upper = [] if condition.maximum is None else [column <= condition.maximum + FLOAT_TOLERANCE]
    return and_(*lower, *upper)


def prefilter_amount(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """Return the same as `prefilter` for a column with ten-thousandths of a currency unit."""
    if condition.is_equality:
        numbers = [_ten_thousandths(value, ROUND_FLOOR) for value in condition.any_of if not isinstance(value, str)]
        return column.in_(numbers) if numbers else false()
    lower = [] if condition.minimum is None else [column >= _ten_thousandths(condition.minimum, ROUND_CEILING)]
    upper = [] if condition.maximum is None else [column <= _ten_thousandths(condition.maximum, ROUND_FLOOR)]
    return and_(column.is_not(None), *lower, *upper)


def prefilter_time(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """Return the same as `prefilter` for a column with times, of which conditions compare the seconds since 1970."""
    if condition.is_equality:
        numbers = [value for value in condition.any_of if not isinstance(value, str)]
        return or_(false(), *(column.between(_time(number, -1), _time(number, 1)) for number in numbers))
    lower = [] if condition.minimum is None else [column >= _time(condition.minimum, -1)]
    upper = [] if condition.maximum is None else [column <= _time(condition.maximum, 1)]
    return and_(column.is_not(None), *lower, *upper)


def _time(seconds: float, margin: float) -> datetime:
    """Return a time with a margin in seconds, within what the databases can compare."""
    clipped = max(FIRST_TIME.timestamp(), min(seconds + margin, LAST_TIME.timestamp()))
    return to_naive_utc(datetime.fromtimestamp(clipped, UTC))


def prefilter_column_value(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """Return the same as `prefilter` for the values of other columns of feeds, which are text and may be numbers."""
    if condition.is_equality and all(isinstance(value, str) for value in condition.any_of):
        return prefilter(column, condition)
    return true()


def _ten_thousandths(number: float, rounding: str) -> int:
    """Return an amount as it is stored, within what the column can hold."""
    exact = to_ten_thousandths(exact_decimal(number))
    return max(-1, min(int(Decimal(exact).to_integral_value(rounding)), MAX_STORED_AMOUNT))


def is_valid_text(text: str) -> bool:
    """Return whether a database can hold the text. JSON escapes can produce lone surrogates and NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def filter_rows(tx: Connection, query: Select[Any], wanted: Filter) -> Iterator[Any]:
    """Yield the ids of candidate rows that match the filter exactly."""
    for row_id, *values in tx.execute(query):
        if matches_filter(wanted, to_field_values(wanted, values)):
            yield row_id
