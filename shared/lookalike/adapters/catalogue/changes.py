"""The vectors, as the index needs them."""

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from lookalike.adapters.catalogue.database import Database, reading
from lookalike.adapters.catalogue.old_rows import is_served_as, old_vector_bytes
from lookalike.adapters.catalogue.tables import commits, deleted_images, splitted_images
from lookalike.adapters.catalogue.values import named
from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import ORIGINAL_EMBEDDER, Changes, Vectors


class ChangeRows(Database):
    @reading
    def changes(self, tx: Connection, embedder: str, since: int) -> Changes:
        upto = tx.execute(select(commits.c.number)).scalar_one()
        deleted = _deleted(tx, embedder, since) if since > 0 else np.empty(0, np.int64)
        row_ids, vectors = _written(tx, embedder, since)
        return Changes(upto, row_ids, vectors, deleted)


def _deleted(tx: Connection, embedder: str, since: int) -> NDArray[np.int64]:
    late = (named(deleted_images.c.embedder, embedder), deleted_images.c.commit_number > since)
    found = tx.execute(select(deleted_images.c.row_id).where(*late).order_by(deleted_images.c.row_id))
    return np.array(found.scalars().all(), np.int64)


def _written(tx: Connection, embedder: str, since: int) -> tuple[NDArray[np.int64], Vectors]:
    rows = splitted_images.c
    columns = (rows.id, rows.embedding, *((rows.vector,) if embedder == ORIGINAL_EMBEDDER else ()))
    late = select(*columns).where(is_served_as(embedder), rows.commit_number > since).order_by(rows.id)
    row_ids, data, lengths = list[int](), bytearray(), set[int]()
    for part in tx.execute(late.execution_options(yield_per=2000)).partitions():
        held = [(row.id, row.embedding or old_vector_bytes(row.id, row.vector)) for row in part]
        usable = [(row_id, embedding) for row_id, embedding in held if embedding is not None]
        row_ids.extend(row_id for row_id, _ in usable)
        lengths.update(len(embedding) for _, embedding in usable)
        data += b"".join([embedding for _, embedding in usable])
    return np.array(row_ids, np.int64), _as_vectors(data, len(row_ids), lengths)


def _as_vectors(data: bytearray, count: int, lengths: set[int]) -> Vectors:
    if len(lengths) > 1:
        raise LookalikeError("One embedder's vectors have several lengths")
    vectors = np.frombuffer(data, "<f4").reshape(count, max(lengths, default=0) // 4)
    return vectors.astype(np.float32, copy=False)
