"""Which rows fulfil a filter. The database narrows them down, and what it compares otherwise than we do is looked at again."""

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

from lookalike.adapters.catalog.database import Database, reading
from lookalike.adapters.catalog.reembedding import has_vector
from lookalike.adapters.catalog.tables import image_details, originals, splitted_images
from lookalike.adapters.catalog.values import named, words
from lookalike.domain.filter import GARMENT_FIELDS, Condition, Filter, matches_filter

NEAR = 1e-3
"""How far a number may be from what was stored, where a column is of single precision."""
LISTS = ("tags", "size")


class MatchingRows(Database):
    @reading
    def matching_row_ids(self, tx: Connection, embedder: str | None, wanted: Filter) -> NDArray[np.int64]:
        found = {row_id for query in queries(embedder, wanted) for row_id in fulfilling(tx, query, wanted)}
        return np.array(sorted(found), np.int64)

    @reading
    def row_ids_of_owner(self, tx: Connection, user: str) -> list[int]:
        rows = splitted_images.c
        of_photo = rows.original_image_id == originals.c.name
        found = select(rows.id).join_from(originals, splitted_images, of_photo).where(named(originals.c.owner, user))
        return list(tx.execute(found.order_by(rows.id)).scalars())

    @reading
    def row_ids_of_photo_hash(self, tx: Connection, sha256: str) -> frozenset[int]:
        of_photo = splitted_images.c.original_image_id == originals.c.name
        found = select(splitted_images.c.id).join_from(originals, splitted_images, of_photo)
        return frozenset(tx.execute(found.where(originals.c.sha256 == sha256)).scalars())


def queries(embedder: str | None, wanted: Filter) -> Iterator[Select[Any]]:
    """One for what the garment says itself; two where the product counts: details of the garment, and else of its photo."""
    rows, details = splitted_images.c, image_details.c
    asked = [(rows if name in GARMENT_FIELDS else details)[name] for name in wanted]
    narrowed = and_(
        true() if embedder is None else has_vector(embedder), *(narrow(column, wanted[column.name]) for column in asked)
    )
    # under our names: both tables might have a column of one name
    chosen = select(rows.id.label("row_id"), *asked).where(narrowed)
    if all(name in GARMENT_FIELDS for name in wanted):
        yield chosen
        return
    yield chosen.join_from(splitted_images, image_details, details.image_id == rows.splitted_image_id)
    own = image_details.alias()
    of_photo = chosen.join_from(splitted_images, image_details, details.image_id == rows.original_image_id)
    yield of_photo.where(~exists().where(own.c.image_id == rows.splitted_image_id))


def narrow(column: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """What holds wherever the condition does: databases fold case, round numbers, and know lists in their own ways."""
    if isinstance(column.type, JSON):
        return column.is_not(None)
    if not isinstance(column.type, Float):
        texts = [value for value in condition.any_of if isinstance(value, str) and is_storable(value)]
        return column.in_(texts) if texts else false()
    numbers = [value for value in condition.any_of if not isinstance(value, str)]
    if condition.is_equality:
        return or_(false(), *(column.between(number - NEAR, number + NEAR) for number in numbers))
    least = [] if condition.minimum is None else [column >= condition.minimum - NEAR]
    most = [] if condition.maximum is None else [column <= condition.maximum + NEAR]
    return and_(*least, *most)


def is_storable(text: str) -> bool:
    """Whether a database could hold it at all: what comes from JSON may have half a character."""
    try:
        return "\0" not in text and bool(text.encode() or True)
    except UnicodeEncodeError:
        return False


def fulfilling(tx: Connection, query: Select[Any], wanted: Filter) -> Iterator[int]:
    for row in tx.execute(query).mappings():
        if matches_filter(wanted, read(row)):
            yield row["row_id"]


def read(row: RowMapping) -> dict[str, object]:
    """The values as `ProductDetails` has them."""
    return {name: words(value) if name in LISTS else value for name, value in row.items()}
