"""The vectors, as the index needs them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, or_, select

from lookalike.adapters.catalog.database import Database, reading
from lookalike.adapters.catalog.old_rows import is_served_as, old_vector_bytes
from lookalike.adapters.catalog.tables import commits, deleted_images, other_embeddings, splitted_images
from lookalike.adapters.catalog.values import BATCH, batches, named, numbered
from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import ORIGINAL_EMBEDDER, Changes, Vectors

_others = other_embeddings.c


class ChangeRows(Database):
    @reading
    def changes(self, tx: Connection, embedder: str, since: int) -> Changes:
        seen = SqlSnapshot(tx, embedder, since)
        return Changes(seen.last_commit, seen.row_ids, _together([*seen.pages()]), seen.deleted)

    @contextmanager
    def snapshot(self, embedder: str, since: int) -> Iterator["SqlSnapshot"]:
        with self.transaction() as tx:
            yield SqlSnapshot(tx, embedder, since)

    @reading
    def vectors(self, tx: Connection, embedder: str, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        found = (item for some in batches(row_ids) for item in _embeddings(tx, embedder, some).items())
        return {row_id: np.frombuffer(held, "<f4").astype(np.float32) for row_id, held in found}


class SqlSnapshot:
    """The port `Snapshot`: one transaction, that reads row by row number, since a cursor would have to be kept open."""

    def __init__(self, tx: Connection, embedder: str, since: int) -> None:
        self._tx, self._embedder = tx, embedder
        self.last_commit: int = tx.execute(select(commits.c.number)).scalar_one()
        self.row_ids = _usable_ids(tx, embedder, since)
        self.deleted = _deleted(tx, embedder, since) if since > 0 else np.empty(0, np.int64)

    def pages(self) -> Iterator[Vectors]:
        for start in range(0, len(self.row_ids), BATCH):
            row_ids = self.row_ids[start : start + BATCH].tolist()
            found = _embeddings(self._tx, self._embedder, row_ids)
            yield _as_vectors([found[row_id] for row_id in row_ids])


def _usable_ids(tx: Connection, embedder: str, since: int) -> NDArray[np.int64]:
    rows = splitted_images.c
    late = (is_served_as(embedder), rows.commit_number > since)
    beside = select(_others.row_id).where(named(_others.embedder, embedder), _others.commit_number > since)
    chosen = select(rows.id).where(*late).union(beside).order_by("id").execution_options(yield_per=10_000)
    row_ids = np.fromiter(tx.execute(chosen).scalars(), np.int64)
    if embedder != ORIGINAL_EMBEDDER:
        return row_ids
    old = select(rows.id, rows.vector).where(*late, rows.embedding.is_(None)).execution_options(yield_per=100)
    useless = [row_id for row_id, vector in tx.execute(old) if old_vector_bytes(row_id, vector) is None]
    return row_ids[~np.isin(row_ids, np.array(useless, np.int64))]


def _embeddings(tx: Connection, embedder: str, row_ids: Sequence[int]) -> dict[int, bytes]:
    """By row number, of those that have a vector that can be used."""
    own = {row.id: found for row in _asked(tx, embedder, row_ids) if (found := _own(row, embedder)) is not None}
    beside = select(_others.row_id, _others.embedding).where(
        numbered(row_ids, _others.row_id), named(_others.embedder, embedder)
    )
    return own | {row.row_id: row.embedding for row in tx.execute(beside)}


def _asked(tx: Connection, embedder: str, row_ids: Sequence[int]) -> Iterable[Row[Any]]:
    # whose they are is looked at afterwards: told so, SQLite would walk through all rows of the embedder for a few
    rows = splitted_images.c
    columns = (rows.id, rows.embedder, rows.embedding, *((rows.vector,) if embedder == ORIGINAL_EMBEDDER else ()))
    return tx.execute(select(*columns).where(numbered(row_ids)))


def _own(row: Row[Any], embedder: str) -> bytes | None:
    """As `is_served_as` has it."""
    if row.embedding is not None:
        found: bytes | None = row.embedding if row.embedder == embedder else None
        return found
    is_old = embedder == ORIGINAL_EMBEDDER and row.embedder is None and row.vector is not None
    return old_vector_bytes(row.id, row.vector) if is_old else None


def _deleted(tx: Connection, embedder: str, since: int) -> NDArray[np.int64]:
    of = or_(named(deleted_images.c.embedder, embedder), deleted_images.c.embedder.is_(None))
    late = (of, deleted_images.c.commit_number > since)
    found = tx.execute(select(deleted_images.c.row_id).where(*late).order_by(deleted_images.c.row_id))
    return np.array(found.scalars().all(), np.int64)


def _as_vectors(embeddings: Sequence[bytes]) -> Vectors:
    """Shape (n, dim)."""
    _require_one({len(one) for one in embeddings})
    found = np.frombuffer(b"".join(embeddings), "<f4").reshape(len(embeddings), -1)
    return found.astype(np.float32, copy=False)


def _together(pages: Sequence[Vectors]) -> Vectors:
    _require_one({page.shape[1] for page in pages})
    return np.concatenate(pages) if pages else np.empty((0, 0), np.float32)


def _require_one(lengths: set[int]) -> None:
    if len(lengths) > 1:
        raise LookalikeError("One embedder's vectors have several lengths")
