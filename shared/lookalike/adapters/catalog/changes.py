"""Queries of the vector index: rows and vectors written or deleted since a commit."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, or_, select

from lookalike.adapters.catalog.commits import select_last_commit
from lookalike.adapters.catalog.database import Database, read_transaction
from lookalike.adapters.catalog.legacy_rows import has_own_vector, legacy_vector_bytes
from lookalike.adapters.catalog.tables import deleted_images, other_embeddings, splitted_images
from lookalike.adapters.catalog.values import BATCH_SIZE, batches, name_in, row_id_in
from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import ORIGINAL_EMBEDDER, Changes, Vectors

_secondary = other_embeddings.c


class ChangeQueries(Database):
    """Queries of the port `Catalog` about commits and vectors."""

    @read_transaction
    def changes(self, tx: Connection, embedder: str, since: int) -> Changes:
        """Return the rows of an embedder that were written or deleted after commit `since`, with their vectors."""
        if since > 0 and select_last_commit(tx) == since:
            # the usual case of a search: one query instead of three
            no_ids = np.empty(0, np.int64)
            return Changes(since, no_ids, np.empty((0, 0), np.float32), no_ids)
        snapshot = SqlSnapshot(tx, embedder, since)
        vectors = _concatenate([*snapshot.pages()])
        return Changes(snapshot.last_commit, snapshot.row_ids, vectors, snapshot.deleted)

    @contextmanager
    def snapshot(self, embedder: str, since: int) -> Iterator["SqlSnapshot"]:
        """Open a consistent view of the changes since a commit. It is valid inside the context and in one thread."""
        with self.transaction() as tx:
            yield SqlSnapshot(tx, embedder, since)

    @read_transaction
    def vectors(self, tx: Connection, embedder: str, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return unit vectors (dim,) by row id. Omits rows that are deleted or have no vector of this embedder."""
        stored = (item for batch in batches(row_ids) for item in _vector_bytes(tx, embedder, batch).items())
        return {row_id: np.frombuffer(data, "<f4").astype(np.float32) for row_id, data in stored}


class SqlSnapshot:
    """SQL implementation of the port `Snapshot`, bound to one open transaction.

    Reads the row ids first and the vectors in pages by id. A server-side cursor would block the connection meanwhile.
    """

    def __init__(self, tx: Connection, embedder: str, since: int) -> None:
        self._tx, self._embedder = tx, embedder
        self.last_commit = select_last_commit(tx)
        self.row_ids = _changed_row_ids(tx, embedder, since)
        # An empty index needs no tombstones.
        deleted = _deleted_row_ids(tx, embedder, since) if since > 0 else np.empty(0, np.int64)
        # A row whose image was replaced has a tombstone, for the indexes of embedders of which it has no vector now.
        self.deleted = np.setdiff1d(deleted, self.row_ids)

    def pages(self) -> Iterator[Vectors]:
        """Yield the vectors of `row_ids` in order, as arrays (m, dim) of at most `BATCH_SIZE` rows."""
        for start in range(0, len(self.row_ids), BATCH_SIZE):
            row_ids = self.row_ids[start : start + BATCH_SIZE].tolist()
            data = _vector_bytes(self._tx, self._embedder, row_ids)
            yield _to_vectors([data[row_id] for row_id in row_ids])


def _changed_row_ids(tx: Connection, embedder: str, since: int) -> NDArray[np.int64]:
    """Return the sorted ids of rows with a valid vector of the embedder that were written after the commit."""
    rows = splitted_images.c
    is_changed = (has_own_vector(embedder), rows.commit_number > since)
    secondary = select(_secondary.row_id).where(
        name_in(_secondary.embedder, embedder), _secondary.commit_number > since
    )
    # yield_per streams the result: there may be millions of ids.
    query = select(rows.id).where(*is_changed).union(secondary).order_by("id").execution_options(yield_per=10_000)
    row_ids = np.fromiter(tx.execute(query).scalars(), np.int64)
    if embedder != ORIGINAL_EMBEDDER:
        return row_ids
    legacy = select(rows.id, rows.vector).where(*is_changed, rows.embedding.is_(None)).execution_options(yield_per=100)
    invalid = [row_id for row_id, vector in tx.execute(legacy) if legacy_vector_bytes(row_id, vector) is None]
    return row_ids[~np.isin(row_ids, np.array(invalid, np.int64))]


def _vector_bytes(tx: Connection, embedder: str, row_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the valid vectors of the embedder by row id, as little-endian float32."""
    own = {
        row.id: data
        for row in _select_vectors(tx, embedder, row_ids)
        if (data := _own_vector_bytes(row, embedder)) is not None
    }
    secondary = select(_secondary.row_id, _secondary.embedding).where(
        row_id_in(row_ids, _secondary.row_id), name_in(_secondary.embedder, embedder)
    )
    return own | {row.row_id: row.embedding for row in tx.execute(secondary)}


def _select_vectors(tx: Connection, embedder: str, row_ids: Sequence[int]) -> Iterable[Row[Any]]:
    # The embedder is compared in Python: with it in WHERE, SQLite scans all rows of the embedder instead of a few ids.
    rows = splitted_images.c
    columns = (rows.id, rows.embedder, rows.embedding, *((rows.vector,) if embedder == ORIGINAL_EMBEDDER else ()))
    return tx.execute(select(*columns).where(row_id_in(row_ids)))


def _own_vector_bytes(row: Row[Any], embedder: str) -> bytes | None:
    """Return the row's own vector if it is of this embedder. The same condition as `has_own_vector`, in Python."""
    if row.embedding is not None:
        data: bytes | None = row.embedding if row.embedder == embedder else None
        return data
    is_legacy = embedder == ORIGINAL_EMBEDDER and row.embedder is None and row.vector is not None
    return legacy_vector_bytes(row.id, row.vector) if is_legacy else None


def _deleted_row_ids(tx: Connection, embedder: str, since: int) -> NDArray[np.int64]:
    tombstones = deleted_images.c
    # A tombstone without an embedder is valid for all embedders.
    is_of_embedder = or_(name_in(tombstones.embedder, embedder), tombstones.embedder.is_(None))
    query = select(tombstones.row_id).where(is_of_embedder, tombstones.commit_number > since)
    return np.array(tx.execute(query.order_by(tombstones.row_id)).scalars().all(), np.int64)


def _to_vectors(embeddings: Sequence[bytes]) -> Vectors:
    """Return float32 of shape (n, dim)."""
    _check_same_length({len(embedding) for embedding in embeddings})
    vectors = np.frombuffer(b"".join(embeddings), "<f4").reshape(len(embeddings), -1)
    return vectors.astype(np.float32, copy=False)


def _concatenate(pages: Sequence[Vectors]) -> Vectors:
    _check_same_length({page.shape[1] for page in pages})
    return np.concatenate(pages) if pages else np.empty((0, 0), np.float32)


def _check_same_length(lengths: set[int]) -> None:
    if len(lengths) > 1:
        raise LookalikeError(f"Vectors of one embedder have different lengths: {sorted(lengths)}")
