"""Rows of the original system: vectors as JSON and pictures as blobs, served as they are until they are adopted."""

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from lookalike.adapters.catalog.commits import assign_commit_number
from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import originals, splitted_images
from lookalike.adapters.catalog.values import validated, name_in, photo_row, vector_bytes
from lookalike.domain.model import ORIGINAL_EMBEDDER, AdoptedRow, LegacyRow, Photo

log = logging.getLogger("lookalike.catalog")
_rows = splitted_images.c
_old = or_(_rows.vector.is_not(None), _rows.splitted_image_data.is_not(None))


class LegacyRowQueries(Database):
    @read_transaction
    def count_legacy_rows(self, tx: Connection) -> int:
        return tx.execute(select(func.count()).select_from(splitted_images).where(_old)).scalar_one()

    @read_transaction
    def legacy_row_ids(self, tx: Connection, after: int, limit: int) -> list[int]:
        found = select(_rows.id).where(_old, _rows.id > after).order_by(_rows.id).limit(limit)
        return list(tx.execute(found).scalars())

    @read_transaction
    def legacy_row(self, tx: Connection, row_id: int) -> LegacyRow | None:
        columns = (_rows.splitted_image_path, _rows.original_image_id, _rows.vector, _rows.splitted_image_data)
        row = tx.execute(select(*columns).where(_rows.id == row_id, _old)).first()
        return LegacyRow(row_id, row[0], row[1], unit_vector(row[2]), row[3]) if row else None

    @read_transaction
    def legacy_image(self, tx: Connection, row_id: int) -> bytes | None:
        found: bytes | None = tx.execute(select(_rows.splitted_image_data).where(_rows.id == row_id)).scalar()
        return found

    @write_transaction
    def adopt(self, tx: Connection, rows: Sequence[AdoptedRow], embedder: str) -> None:
        _ensure_photos(tx, {row.photo for row in rows})
        for row in rows:
            this = _rows.id == row.row_id
            if row.vector is not None:
                # it may have got another embedder's since it was read
                own = validated(splitted_images, embedder=embedder, embedding=vector_bytes(row.vector))
                tx.execute(update(splitted_images).where(this, _rows.embedding.is_(None)).values(own))
            tx.execute(update(splitted_images).where(this).values(_adopted(row)))
        assign_commit_number(tx, [row.row_id for row in rows])


def has_own_vector(embedder: str) -> ColumnElement[bool]:
    """The rows whose vectors are that embedder's: those not adopted count as the original's."""
    adopted = name_in(_rows.embedder, embedder)
    if embedder != ORIGINAL_EMBEDDER:
        return and_(adopted, _rows.embedding.is_not(None))
    unadopted = and_(_rows.embedding.is_(None), _rows.embedder.is_(None), _rows.vector.is_not(None))
    return or_(and_(adopted, _rows.embedding.is_not(None)), unadopted)


def legacy_vector_bytes(row_id: int, vector: object) -> bytes | None:
    """As `embedding` holds it; none, and a warning, where the JSON is no vector."""
    found = unit_vector(vector)
    if found is None:
        log.warning("The vector of row %d cannot be used", row_id)
    return None if found is None else vector_bytes(found)


def unit_vector(value: Any) -> NDArray[np.float32] | None:
    """Shape (dim,), length 1, from a list of numbers or the text of one; none for anything else."""
    try:
        numbers = np.asarray(json.loads(value) if isinstance(value, str) else value, np.float64)
        length = float(np.linalg.norm(numbers))
    except (ValueError, TypeError, RecursionError):
        return None
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(length) or length == 0:
        return None
    return np.asarray(numbers / length, np.float32)


def _adopted(row: AdoptedRow) -> dict[str, object]:
    paths = validated(splitted_images, splitted_image_path=row.path, thumbnail_path=row.thumbnail)
    return {**paths, "vector": None, "splitted_image_data": None, "update_time": _rows.update_time}


def _ensure_photos(tx: Connection, names: set[str]) -> None:
    there = set(tx.execute(select(originals.c.name).where(name_in(originals.c.name, *names))).scalars())
    for name in sorted(names - there):
        # its bytes were never kept: no upload can be the same photo
        tx.execute(insert(originals).values(photo_row(Photo(name, "", 0, 0))))
