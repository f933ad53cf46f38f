"""Full-text index of product details: FTS5 on SQLite, FULLTEXT on MySQL and MariaDB.

The databases split text differently, and MySQL leaves out short words and its stop words. The index therefore contains
not the words but a hash of each, which looks like one ordinary word to every database. Splitting and comparison happen
in `domain.words` only, and a query consists of hashes, so its text cannot contain operators of the query language.

Besides words, the index contains two hashes of each whole value of the fields in `VALUE_FIELDS`: folded and exact.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, exists, or_, select, text

from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.secondary_vectors import has_vector
from lookalike.adapters.catalog.tables import details_words, image_details, splitted_images
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import batches, to_details
from lookalike.domain.model import ProductDetails
from lookalike.domain.words import MAX_FIELD_VALUES, VALUE_FIELDS, field_values, fold, split_words
from lookalike.domain.words import details_words as words_of_details

HASH_BYTES = 10
"""80 bits. Among a million different words, two have the same hash with a probability of 4e-13."""
_rows, _details, _words = splitted_images.c, image_details.c, details_words.c


class FullTextQueries(Database):
    """Queries of the port `Catalog` about the words of product details."""

    @read_transaction
    def row_ids_with_text(self, tx: Connection, embedder: str | None, text: str) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of rows whose details contain every word of the text."""
        words = split_words(text)
        queries = _row_id_queries(tx, embedder, [hash_word(word) for word in words]) if words else []
        row_ids = {row_id for query in queries for row_id in tx.execute(query).scalars()}
        return np.array(sorted(row_ids), np.int64)

    @read_transaction
    def has_text(self, tx: Connection, text: str) -> bool:
        """Return whether some product details contain every word of the text."""
        words = split_words(text)
        return bool(words) and _exists(tx, _contains_all(tx, [hash_word(word) for word in words]))

    @read_transaction
    def details_fields_with_value(self, tx: Connection, phrase: str) -> list[tuple[str, str]]:
        """Return up to `MAX_FIELD_VALUES` pairs of field name and stored value that equal the phrase when folded."""
        folded = fold(phrase)
        hashes = {name: hash_value(name, folded) for name in VALUE_FIELDS}
        if not _exists(tx, _contains_any(tx, [*hashes.values()])):
            return []
        pairs = [(name, value) for name in VALUE_FIELDS for value in _spellings(tx, name, folded)]
        return pairs[:MAX_FIELD_VALUES]


def write_words(tx: Connection, rows: Sequence[Mapping[str, Any] | RowMapping]) -> None:
    """Index rows of `image_details`, in place of what is indexed for the same images."""
    indexed = [
        {"image_id": row["image_id"], "update_time": row["update_time"], "words": _hashes(to_details(row))}
        for row in rows
    ]
    upsert(tx, details_words, indexed, "image_id")


def index_outdated_details(tx: Connection) -> int:
    """Index the rows of `image_details` that other programs inserted or changed. Returns their number.

    A row counts as changed if its `update_time` is, which MySQL sets with every change and SQLite does not.
    """
    is_outdated = or_(_words.id.is_(None), _words.update_time.is_distinct_from(_details.update_time))
    query = select(_details.image_id).outerjoin(details_words, _words.image_id == _details.image_id)
    image_ids = tx.execute(query.where(is_outdated)).scalars().all()
    for batch in batches(image_ids):
        write_words(tx, tx.execute(select(image_details).where(_details.image_id.in_(batch))).mappings().all())
    return len(image_ids)


@lru_cache(65_536)
def hash_word(word: str) -> str:
    """Return a hash of a folded word: 17 ASCII letters and digits.

    This is within all limits of MySQL, whose shortest words have 3 characters (16 at most, if configured) and whose
    longest have 84.
    """
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=HASH_BYTES).digest()
    return "w" + base64.b32encode(digest).decode().lower()


def hash_value(name: str, folded: str) -> str:
    """Return the hash of a field with a folded value. No word has the same one: words contain no `=`."""
    return hash_word(f"{name}={folded}")


def hash_exact_value(name: str, value: str) -> str:
    """Return the hash of a field with a value as it is stored. No folded value has the same one."""
    return hash_word(f"={name}={value}")


def _hashes(details: ProductDetails) -> str:
    hashes = {hash_word(word) for word in words_of_details(details)}
    for name, value in field_values(details, VALUE_FIELDS):
        hashes |= {hash_value(name, fold(value)), hash_exact_value(name, value)}
    return " ".join(sorted(hashes))


def _contains_all(tx: Connection, hashes: Iterable[str], without: Sequence[str] = ()) -> ColumnElement[bool]:
    if tx.dialect.name == "sqlite":
        return _matches_fts5(" NOT ".join([" AND ".join(hashes), *without]))
    return _words.words.match(" ".join([*(f"+{hashed}" for hashed in hashes), *(f"-{hashed}" for hashed in without)]))


def _contains_any(tx: Connection, hashes: Iterable[str]) -> ColumnElement[bool]:
    if tx.dialect.name == "sqlite":
        return _matches_fts5(" OR ".join(hashes))
    return _words.words.match(" ".join(hashes))


def _matches_fts5(query: str) -> ColumnElement[bool]:
    found = text("SELECT rowid FROM details_words_index WHERE details_words_index MATCH :query")
    return _words.id.in_(found.bindparams(query=query))


def _exists(tx: Connection, matches: ColumnElement[bool]) -> bool:
    return tx.execute(_with_details(select(_words.id)).where(matches).limit(1)).first() is not None


def _with_details(query: Select[Any]) -> Select[Any]:
    """Join the details, so that index rows do not count whose details another program has deleted."""
    return query.select_from(details_words).join(image_details, _details.image_id == _words.image_id)


def _row_id_queries(tx: Connection, embedder: str | None, hashes: Sequence[str]) -> Iterator[Select[tuple[int]]]:
    """Yield a query for details of garments themselves, and one for details of photos whose garment has none."""
    conditions = [_contains_all(tx, hashes)]
    if embedder is not None:
        conditions.append(has_vector(embedder))
    query = _with_details(select(_rows.id)).where(*conditions)
    yield query.join(splitted_images, _rows.splitted_image_id == _details.image_id)
    own = image_details.alias()
    of_photo = query.join(splitted_images, _rows.original_image_id == _details.image_id)
    yield of_photo.where(~exists().where(own.c.image_id == _rows.splitted_image_id))


def _spellings(tx: Connection, name: str, folded: str) -> list[str]:
    """Return up to `MAX_FIELD_VALUES` stored values of a field that are the same when folded, sorted.

    Each query finds a row with a value that is not known yet. This is faster than to read all rows with the value.
    """
    known: set[str] = set()
    while len(known) < MAX_FIELD_VALUES:
        without = [hash_exact_value(name, value) for value in known]
        query = _with_details(select(image_details)).where(_contains_all(tx, [hash_value(name, folded)], without))
        row = tx.execute(query.limit(1)).mappings().first()
        values = [value for _, value in field_values(to_details(row), (name,))] if row else []
        new = {value for value in values if fold(value) == folded} - known
        if not new:
            break
        known |= new
    return sorted(known)
