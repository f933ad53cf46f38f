"""Photos and the garments cut out of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from lookalike.adapters.catalog import jobs
from lookalike.adapters.catalog.commits import bury, number_rows
from lookalike.adapters.catalog.database import Database, reading, writing
from lookalike.adapters.catalog.history import forget_hits
from lookalike.adapters.catalog.tables import originals, other_embeddings, splitted_images
from lookalike.adapters.catalog.values import (
    batches,
    box_text,
    checked,
    named,
    numbered,
    photo_row,
    segment_row,
    this_second,
    to_photo,
    to_segment,
)
from lookalike.domain.errors import InvalidField
from lookalike.domain.model import ORIGINAL_EMBEDDER, Box, NewSegment, Photo, Segment

_id, _name, _photo = (
    splitted_images.c.id,
    splitted_images.c.splitted_image_id,
    splitted_images.c.original_image_id,
)
_UNREAD = {"vector", "splitted_image_data", "embedding"}
_COLUMNS = [column for column in splitted_images.c if column.name not in _UNREAD]
_PATHS = (splitted_images.c.splitted_image_path, splitted_images.c.thumbnail_path, originals.c.path)


class SegmentRows(Database):
    @writing
    def add_photo(
        self,
        tx: Connection,
        photo: Photo,
        segments: Sequence[NewSegment],
        embedder: str,
        job: str | None = None,
    ) -> list[Segment]:
        tx.execute(insert(originals).values(photo_row(photo)))
        return _store(tx, photo.name, segments, embedder, job)

    @writing
    def add_segment(
        self, tx: Connection, photo: Photo, segment: NewSegment, embedder: str, job: str | None = None
    ) -> Segment:
        _ensure_photo(tx, photo)
        return _store(tx, photo.name, [segment], embedder, job)[0]

    @reading
    def photo(self, tx: Connection, name: str) -> Photo | None:
        row = tx.execute(select(originals).where(named(originals.c.name, name))).mappings().first()
        return to_photo(row) if row else None

    @reading
    def segment(self, tx: Connection, key: str | int) -> Segment | None:
        found = _rows(tx, named(_name, key) if isinstance(key, str) else numbered([key]))
        return to_segment(found[0]) if found else None

    @reading
    def segments(self, tx: Connection, row_ids: Sequence[int]) -> dict[int, Segment]:
        found = (row for some in batches(row_ids) for row in _rows(tx, numbered(some)))
        return {row["id"]: to_segment(row) for row in found}

    @reading
    def segments_of_photo(self, tx: Connection, photo: str) -> list[Segment]:
        return [to_segment(row) for row in _rows(tx, named(_photo, photo))]

    @writing
    def update_segment(self, tx: Connection, name: str, changes: Mapping[str, object]) -> Segment | None:
        new = description(changes)
        tx.execute(update(splitted_images).where(named(_name, name)).values(new))
        found = _rows(tx, named(_name, name))
        return to_segment(found[0]) if found else None

    @writing
    def delete_segment(self, tx: Connection, name: str) -> Segment | None:
        found = _rows(tx, named(_name, name))
        if not found:
            return None
        segment = to_segment(found[0])
        _lock_photo(tx, segment.photo)
        # whose vector it has is read under the lock: it may be given another's at this very moment
        asked = select(splitted_images.c.embedder).where(_id == segment.row_id).with_for_update()
        if (there := tx.execute(asked).first()) is None:
            return None
        tx.execute(delete(splitted_images).where(_id == segment.row_id))
        others = tx.execute(delete(other_embeddings).where(other_embeddings.c.row_id == segment.row_id)).rowcount
        _delete_empty_photo(tx, segment.photo)
        forget_hits(tx, segment.row_id)
        # rows that were never adopted are searched as the original's
        bury(tx, segment.row_id, None if others else there.embedder or ORIGINAL_EMBEDDER)
        return segment

    @reading
    def known_paths(self, tx: Connection, paths: Sequence[str]) -> set[str]:
        known: set[str] = set()
        for some in batches(paths):
            for column in _PATHS:
                known.update(tx.execute(select(column).where(named(column, *some))).scalars())
        return known


def description(changes: Mapping[str, object]) -> dict[str, object]:
    """The columns of a change. Raises `InvalidField` for what cannot be changed or is of another type."""
    types: Mapping[str, Any] = {"bounding_box": Box, "label": str, "score": int | float}
    for key, value in changes.items():
        if key not in types or not isinstance(value, types[key] | None):
            raise InvalidField(f"{key} cannot be changed to that", field=key)
    new = {key: box_text(value) if isinstance(value, Box) else value for key, value in changes.items()}
    return checked(splitted_images, **new, update_time=this_second())


def insert_rows(tx: Connection, photo: str, segments: Sequence[NewSegment], embedder: str) -> list[Segment]:
    """Store segments that no reader sees until `number_rows` and the commit."""
    rows = [segment_row(segment, photo, embedder) for segment in segments]
    row_ids = [tx.execute(insert(splitted_images).values(row)).inserted_primary_key for row in rows]
    return [to_segment(row) for row in _rows(tx, numbered([key[0] for key in row_ids if key]))]


def _store(tx: Connection, photo: str, segments: Sequence[NewSegment], embedder: str, job: str | None) -> list[Segment]:
    stored = insert_rows(tx, photo, segments, embedder)
    if job is not None:
        jobs.complete(tx, job)
    number_rows(tx, [segment.row_id for segment in stored])
    return stored


def segments_where(tx: Connection, where: ColumnElement[bool], limit: int) -> list[Segment]:
    """The first of them, in the order of their row numbers."""
    return [to_segment(row) for row in _rows(tx, where, limit)]


def _rows(tx: Connection, where: ColumnElement[bool], limit: int | None = None) -> Sequence[RowMapping]:
    statement: Select[Any] = select(*_COLUMNS).where(where).order_by(_id).limit(limit)
    return tx.execute(statement).mappings().all()


def _lock_photo(tx: Connection, name: str) -> bool:
    """Whether there is one; nobody else adds to it or deletes from it until the commit."""
    lock = select(originals.c.name).where(named(originals.c.name, name)).with_for_update()
    return tx.execute(lock).first() is not None


def _ensure_photo(tx: Connection, photo: Photo) -> None:
    row = photo_row(photo)
    if _lock_photo(tx, photo.name):
        return
    try:
        with tx.begin_nested():
            tx.execute(insert(originals).values(row))
    except IntegrityError:  # another transaction was faster
        if not _lock_photo(tx, photo.name):
            raise


def _delete_empty_photo(tx: Connection, name: str) -> None:
    left = tx.execute(select(func.count()).select_from(splitted_images).where(_photo == name))
    if not left.scalar_one():
        tx.execute(delete(originals).where(originals.c.name == name))
