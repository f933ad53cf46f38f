"""Photos and their garment segments."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from lookalike.adapters.catalog import jobs
from lookalike.adapters.catalog.commits import assign_commit_number, insert_tombstone
from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.decisions import delete_decisions_of_row
from lookalike.adapters.catalog.history import delete_hits_of_row
from lookalike.adapters.catalog.ledger import entry_row
from lookalike.adapters.catalog.tables import ledger, originals, other_embeddings, splitted_images
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import (
    batches,
    box_text,
    name_in,
    photo_row,
    row_id_in,
    segment_row,
    to_photo,
    to_segment,
    utc_now_seconds,
    validated,
)
from lookalike.domain.errors import InvalidField
from lookalike.domain.model import ORIGINAL_EMBEDDER, Box, LedgerEntry, NewSegment, Photo, Segment

_id, _name, _photo = (
    splitted_images.c.id,
    splitted_images.c.splitted_image_id,
    splitted_images.c.original_image_id,
)
_LARGE_COLUMNS = {"vector", "splitted_image_data", "embedding"}
_COLUMNS = [column for column in splitted_images.c if column.name not in _LARGE_COLUMNS]
_PATHS = (splitted_images.c.splitted_image_path, splitted_images.c.thumbnail_path, originals.c.path)


class SegmentQueries(Database):
    """Queries of the port `Catalog` about photos and segments."""

    @write_transaction
    def add_photo(
        self,
        tx: Connection,
        photo: Photo,
        segments: Sequence[NewSegment],
        embedder: str,
        job: str | None = None,
        entry: LedgerEntry | None = None,
    ) -> list[Segment]:
        """Insert a photo with its segments, record the ledger entry and complete the job, in one transaction.

        Raises `Conflict` if a name exists already, `Cancelled` if the job's cancellation was requested, `InvalidField`.
        """
        tx.execute(insert(originals), photo_row(photo))
        if entry:
            upsert(tx, ledger, [entry_row(entry)])
        return _insert_and_complete(tx, photo.name, segments, embedder, job)

    @write_transaction
    def add_segment(
        self, tx: Connection, photo: Photo, segment: NewSegment, embedder: str, job: str | None = None
    ) -> Segment:
        """Insert a segment, and its photo if missing. Raises the errors of `add_photo`."""
        _ensure_photo(tx, photo)
        return _insert_and_complete(tx, photo.name, [segment], embedder, job)[0]

    @read_transaction
    def photo(self, tx: Connection, name: str) -> Photo | None:
        """Return a photo by name, or `None`."""
        row = tx.execute(select(originals).where(name_in(originals.c.name, name))).mappings().first()
        return to_photo(row) if row else None

    @read_transaction
    def segment(self, tx: Connection, key: str | int) -> Segment | None:
        """Return a segment by name or row id, or `None`."""
        rows = _select_rows(tx, name_in(_name, key) if isinstance(key, str) else row_id_in([key]))
        return to_segment(rows[0]) if rows else None

    @read_transaction
    def segments(self, tx: Connection, row_ids: Sequence[int]) -> dict[int, Segment]:
        """Return the existing segments by row id."""
        rows = (row for batch in batches(row_ids) for row in _select_rows(tx, row_id_in(batch)))
        return {row["id"]: to_segment(row) for row in rows}

    @read_transaction
    def segment_names(self, tx: Connection, row_ids: Sequence[int]) -> dict[int, str]:
        """Return the names of the existing segments by row id."""
        query = select(_id, _name)
        return {
            row_id: name for batch in batches(row_ids) for row_id, name in tx.execute(query.where(row_id_in(batch)))
        }

    @read_transaction
    def segments_of_photo(self, tx: Connection, photo: str) -> list[Segment]:
        """Return the segments of a photo, ordered by row id."""
        return [to_segment(row) for row in _select_rows(tx, name_in(_photo, photo))]

    @write_transaction
    def update_segment(self, tx: Connection, name: str, changes: Mapping[str, object]) -> Segment | None:
        """Change `bounding_box`, `label` or `score`, and return the segment or `None`. Raises `InvalidField`."""
        values = update_values(changes)
        tx.execute(update(splitted_images).where(name_in(_name, name)).values(values))
        rows = _select_rows(tx, name_in(_name, name))
        return to_segment(rows[0]) if rows else None

    @write_transaction
    def replace_segment(
        self, tx: Connection, row_id: int, segment: NewSegment, embedder: str, job: str | None = None
    ) -> Segment | None:
        """Replace everything but the id and the name of a segment, and complete the job, in one transaction.

        Returns the segment, or `None` if it does not exist. Raises the errors of `add_photo`.
        """
        # The locks and their order are those of `delete_segment`.
        rows = _select_rows(tx, row_id_in([row_id]))
        if not rows:
            return None
        photo = to_segment(rows[0]).photo
        _lock_photo(tx, photo)
        query = select(splitted_images.c.embedder).where(_id == row_id).with_for_update()
        if (row := tx.execute(query).first()) is None:
            return None
        has_secondary = tx.execute(delete(other_embeddings).where(other_embeddings.c.row_id == row_id)).rowcount > 0
        tx.execute(update(splitted_images).where(_id == row_id).values(_replaced_values(segment, photo, embedder)))
        delete_decisions_of_row(tx, row_id)
        if job is not None:
            jobs.complete_job(tx, job)
        if has_secondary or row.embedder != embedder:
            # Indexes of other embedders have a vector of the replaced image.
            insert_tombstone(tx, row_id, None)
        assign_commit_number(tx, [row_id])
        return to_segment(_select_rows(tx, row_id_in([row_id]))[0])

    @write_transaction
    def delete_segment(self, tx: Connection, name: str) -> Segment | None:
        """Delete a segment, and its photo if it was the last one. Returns the deleted segment, or `None`."""
        rows = _select_rows(tx, name_in(_name, name))
        if not rows:
            return None
        segment = to_segment(rows[0])
        # Lock the photo before the row, in the order of `add_segment`, so that the two cannot deadlock. No segment is
        # added to the photo between the count below and the commit.
        _lock_photo(tx, segment.photo)
        # Read the embedder under the row lock: `drop_other_vectors` may be replacing the row's vector.
        query = select(splitted_images.c.embedder).where(_id == segment.row_id).with_for_update()
        if (row := tx.execute(query).first()) is None:
            return None
        tx.execute(delete(splitted_images).where(_id == segment.row_id))
        is_secondary = other_embeddings.c.row_id == segment.row_id
        has_secondary = tx.execute(delete(other_embeddings).where(is_secondary)).rowcount > 0
        _delete_photo_without_segments(tx, segment.photo)
        delete_hits_of_row(tx, segment.row_id)
        delete_decisions_of_row(tx, segment.row_id)
        # Legacy rows have no embedder: indexes of the original embedder contain them.
        insert_tombstone(tx, segment.row_id, None if has_secondary else row.embedder or ORIGINAL_EMBEDDER)
        return segment

    @read_transaction
    def referenced_paths(self, tx: Connection, paths: Sequence[str]) -> set[str]:
        """Return those of the object paths that a photo or segment refers to."""
        known: set[str] = set()
        for batch in batches(paths):
            for column in _PATHS:
                known.update(tx.execute(select(column).where(name_in(column, *batch))).scalars())
        return known


def update_values(changes: Mapping[str, object]) -> dict[str, object]:
    """Return the column values of a change. Raises `InvalidField` for other fields and for values of another type."""
    types: Mapping[str, Any] = {"bounding_box": Box, "label": str, "score": int | float}
    for key, value in changes.items():
        if key not in types:
            raise InvalidField(f"{key} cannot be changed", field=key)
        if not isinstance(value, types[key] | None):
            raise InvalidField(f"{key} cannot have a value of type {type(value).__name__}", field=key)
    values = {key: box_text(value) if isinstance(value, Box) else value for key, value in changes.items()}
    return validated(splitted_images, **values, update_time=utc_now_seconds())


def _replaced_values(segment: NewSegment, photo: str, embedder: str) -> dict[str, object]:
    kept = {"splitted_image_id", "original_image_id", "create_time"}
    values = {name: value for name, value in segment_row(segment, photo, embedder).items() if name not in kept}
    # what a row of the original system has
    return {**values, "vector": None, "splitted_image_data": None}


def insert_rows(tx: Connection, photo: str, segments: Sequence[NewSegment], embedder: str) -> list[Segment]:
    """Insert segments without a commit number. Call `assign_commit_number` before the commit."""
    rows = [segment_row(segment, photo, embedder) for segment in segments]
    # each alone, as one statement for all does not return the ids on MySQL
    keys = [tx.execute(insert(splitted_images), row).inserted_primary_key for row in rows]
    return [to_segment(row) for row in _select_rows(tx, row_id_in([key[0] for key in keys if key]))]


def _insert_and_complete(
    tx: Connection, photo: str, segments: Sequence[NewSegment], embedder: str, job: str | None
) -> list[Segment]:
    stored = insert_rows(tx, photo, segments, embedder)
    if job is not None:
        jobs.complete_job(tx, job)
    assign_commit_number(tx, [segment.row_id for segment in stored])
    return stored


def select_segments(tx: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[Segment]:
    """Return the first matching segments, or all, ordered by row id."""
    return [to_segment(row) for row in _select_rows(tx, where, limit)]


def _select_rows(tx: Connection, where: ColumnElement[bool], limit: int | None = None) -> Sequence[RowMapping]:
    statement: Select[Any] = select(*_COLUMNS).where(where).order_by(_id).limit(limit)
    return tx.execute(statement).mappings().all()


def _lock_photo(tx: Connection, name: str) -> bool:
    """Lock a photo until the commit, so that no other transaction adds or deletes its segments. False if missing."""
    lock = select(originals.c.name).where(name_in(originals.c.name, name)).with_for_update()
    return tx.execute(lock).first() is not None


def _ensure_photo(tx: Connection, photo: Photo) -> None:
    """Insert the photo if missing. In both cases it is locked until the commit."""
    row = photo_row(photo)
    if _lock_photo(tx, photo.name):
        return
    try:
        with tx.begin_nested():
            tx.execute(insert(originals), row)
    except IntegrityError:
        # A concurrent transaction inserted the photo first. If it is deleted again by now, this is another conflict.
        if not _lock_photo(tx, photo.name):
            raise


def _delete_photo_without_segments(tx: Connection, name: str) -> None:
    count = tx.execute(select(func.count()).select_from(splitted_images).where(_photo == name))
    if not count.scalar_one():
        tx.execute(delete(originals).where(originals.c.name == name))
