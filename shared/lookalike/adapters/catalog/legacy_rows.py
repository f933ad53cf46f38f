"""Rows of the original system, with vectors as JSON and images as blobs. They are served unchanged until adopted."""

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
from lookalike.adapters.catalog.values import name_in, photo_row, validated, vector_bytes
from lookalike.domain.legacy_rows import AdoptedRow, LegacyRow
from lookalike.domain.model import ORIGINAL_EMBEDDER, Photo

log = logging.getLogger("lookalike.catalog")
_rows = splitted_images.c
_is_legacy = or_(_rows.vector.is_not(None), _rows.splitted_image_data.is_not(None))


class LegacyRowQueries(Database):
    """Queries of the port `LegacyRows`."""

    @read_transaction
    def count_legacy_rows(self, tx: Connection) -> int:
        """Return the number of rows that are not adopted."""
        return tx.execute(select(func.count()).select_from(splitted_images).where(_is_legacy)).scalar_one()

    @read_transaction
    def legacy_row_ids(self, tx: Connection, after: int, limit: int) -> list[int]:
        """Return the next ids of legacy rows above `after`, in order."""
        query = select(_rows.id).where(_is_legacy, _rows.id > after).order_by(_rows.id).limit(limit)
        return list(tx.execute(query).scalars())

    @read_transaction
    def legacy_row(self, tx: Connection, row_id: int) -> LegacyRow | None:
        """Return a legacy row with its normalized vector and its image, or `None` if it is adopted or deleted."""
        columns = (_rows.splitted_image_path, _rows.original_image_id, _rows.vector, _rows.splitted_image_data)
        row = tx.execute(select(*columns).where(_rows.id == row_id, _is_legacy)).first()
        return LegacyRow(row_id, row[0], row[1], unit_vector(row[2]), row[3]) if row else None

    @read_transaction
    def legacy_image(self, tx: Connection, row_id: int) -> bytes | None:
        """Return the image stored in the row itself, or `None`."""
        image: bytes | None = tx.execute(select(_rows.splitted_image_data).where(_rows.id == row_id)).scalar()
        return image

    @write_transaction
    def adopt(self, tx: Connection, rows: Sequence[AdoptedRow], embedder: str) -> None:
        """Convert legacy rows to current ones and delete their JSON vectors and image blobs."""
        _insert_missing_photos(tx, {row.photo for row in rows})
        for row in rows:
            is_row = _rows.id == row.row_id
            if row.vector is not None:
                # Only where the row has no embedding: `drop_other_vectors` may have stored one of another embedder
                # since the row was read.
                own_vector = validated(splitted_images, embedder=embedder, embedding=vector_bytes(row.vector))
                tx.execute(update(splitted_images).where(is_row, _rows.embedding.is_(None)).values(own_vector))
            tx.execute(update(splitted_images).where(is_row).values(_adopted_columns(row)))
        assign_commit_number(tx, [row.row_id for row in rows])


def has_own_vector(embedder: str) -> ColumnElement[bool]:
    """Match rows whose own vector is of this embedder. Legacy rows count as rows of the original embedder."""
    is_adopted = name_in(_rows.embedder, embedder)
    if embedder != ORIGINAL_EMBEDDER:
        return and_(is_adopted, _rows.embedding.is_not(None))
    is_unadopted = and_(_rows.embedding.is_(None), _rows.embedder.is_(None), _rows.vector.is_not(None))
    return or_(and_(is_adopted, _rows.embedding.is_not(None)), is_unadopted)


def legacy_vector_bytes(row_id: int, vector: object) -> bytes | None:
    """Return a JSON vector in the format of the `embedding` column, or log a warning and return `None` if invalid."""
    unit = unit_vector(vector)
    if unit is None:
        log.warning("The vector of a legacy row is not valid", extra={"row_id": row_id})
        return None
    return vector_bytes(unit)


def unit_vector(value: Any) -> NDArray[np.float32] | None:
    """Return a normalized vector (dim,) of a list of numbers or of its JSON text, or `None` for other values."""
    try:
        numbers = np.asarray(json.loads(value) if isinstance(value, str) else value, np.float64)
        length = float(np.linalg.norm(numbers))
    except (ValueError, TypeError, RecursionError):
        return None
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(length) or length == 0:
        return None
    return np.asarray(numbers / length, np.float32)


def _adopted_columns(row: AdoptedRow) -> dict[str, object]:
    paths = validated(splitted_images, splitted_image_path=row.path, thumbnail_path=row.thumbnail)
    # update_time = update_time: otherwise MySQL sets it (ON UPDATE CURRENT_TIMESTAMP).
    return {**paths, "vector": None, "splitted_image_data": None, "update_time": _rows.update_time}


def _insert_missing_photos(tx: Connection, names: set[str]) -> None:
    existing = set(tx.execute(select(originals.c.name).where(name_in(originals.c.name, *names))).scalars())
    for name in sorted(names - existing):
        # The original system did not keep the uploaded file. An empty hash never equals the hash of an upload.
        tx.execute(insert(originals), photo_row(Photo(name, "", 0, 0)))
