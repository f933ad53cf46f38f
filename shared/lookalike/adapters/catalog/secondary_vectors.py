"""Secondary vectors: vectors of further embedders, stored in addition to the vector of the row itself."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, or_, select, update

from lookalike.adapters.catalog.commits import next_commit_number
from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.legacy_rows import has_own_vector
from lookalike.adapters.catalog.segments import select_segments
from lookalike.adapters.catalog.tables import other_embeddings, splitted_images
from lookalike.adapters.catalog.values import name_in, row_id_in, vector_bytes
from lookalike.domain.model import Segment

_rows, _secondary = splitted_images.c, other_embeddings.c


class SecondaryVectorQueries(Database):
    """Queries of the port `SecondaryVectors`."""

    @read_transaction
    def count_segments(self, tx: Connection) -> int:
        """Return the number of all rows."""
        return tx.execute(select(func.count()).select_from(splitted_images)).scalar_one()

    @read_transaction
    def count_missing_vectors(self, tx: Connection, embedder: str) -> int:
        """Return the number of rows without a vector of the embedder."""
        return tx.execute(select(func.count()).select_from(splitted_images).where(_lacks_vector(embedder))).scalar_one()

    @read_transaction
    def segments_missing_vectors(self, tx: Connection, embedder: str, after: int, limit: int) -> list[Segment]:
        """Return the next segments with row ids above `after` and without a vector of the embedder."""
        return select_segments(tx, _lacks_vector(embedder) & (_rows.id > after), limit)

    @write_transaction
    def add_vectors(self, tx: Connection, embedder: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        """Store vectors (dim,) by row id. Skips rows that are deleted or have one. Returns the number stored."""
        # Lock the rows: none is deleted or given a vector by others until the commit.
        tx.execute(select(_rows.id).where(row_id_in([*vectors])).with_for_update()).all()
        # A second query after the lock is held. A single one would evaluate its conditions on rows as they were before
        # it waited, and miss vectors that were stored meanwhile.
        is_missing = (row_id_in([*vectors]), _lacks_vector(embedder))
        row_ids = tx.execute(select(_rows.id).where(*is_missing)).scalars().all()
        rows = [
            {"row_id": row_id, "embedder": embedder, "embedding": vector_bytes(vectors[row_id])} for row_id in row_ids
        ]
        if rows:
            number = next_commit_number(tx)
            tx.execute(insert(other_embeddings), [{**row, "commit_number": number} for row in rows])
        return len(rows)

    @write_transaction
    def drop_other_vectors(self, tx: Connection, embedder: str, limit: int) -> int:
        """Keep only the vectors of this embedder for up to `limit` rows that have one. Returns 0 when done."""
        query = select(other_embeddings).where(name_in(_secondary.embedder, embedder)).limit(limit)
        secondary = tx.execute(query).mappings().all()
        for row in secondary:
            # Keep the commit number: indexes of this embedder already contain the vector. A new number would make them
            # load it again.
            moved = {name: row[name] for name in ("embedder", "embedding", "commit_number")}
            # update_time = update_time: otherwise MySQL sets it (ON UPDATE CURRENT_TIMESTAMP).
            own = {**moved, "vector": None, "update_time": _rows.update_time}
            tx.execute(update(splitted_images).where(_rows.id == row["row_id"]).values(own))
        tx.execute(delete(other_embeddings).where(_secondary.row_id.in_([row["row_id"] for row in secondary])))
        return len(secondary) or _delete_vectors_of_others(tx, embedder, limit)


def has_vector(embedder: str) -> ColumnElement[bool]:
    """Match rows that have a vector of this embedder, and so can be found by a search.

    Also matches legacy rows with an invalid JSON vector. Excluding them would require reading every vector. Once adopted,
    they no longer match.
    """
    return or_(has_own_vector(embedder), _secondary_row_id(embedder).exists())


def _lacks_vector(embedder: str) -> ColumnElement[bool]:
    # coalesce: the condition is NULL for rows without an embedder, and so would be its negation.
    has_own = func.coalesce(has_own_vector(embedder), False)
    # A scalar subquery instead of NOT EXISTS: MariaDB would materialize all secondary vectors for every page.
    return and_(~has_own, _secondary_row_id(embedder).scalar_subquery().is_(None))


def _secondary_row_id(embedder: str) -> Select[tuple[int]]:
    """Return a correlated query for the secondary vector of a row."""
    is_of_row = (_secondary.row_id == _rows.id, name_in(_secondary.embedder, embedder))
    return select(_secondary.row_id).where(*is_of_row).correlate(splitted_images)


def _delete_vectors_of_others(tx: Connection, embedder: str, limit: int) -> int:
    """Delete secondary vectors of rows whose own vector is of this embedder. Returns the number of vectors."""
    has_own = exists().where(_rows.id == _secondary.row_id, has_own_vector(embedder)).correlate(other_embeddings)
    row_ids = tx.execute(select(_secondary.row_id).where(has_own).limit(limit)).scalars().all()
    tx.execute(delete(other_embeddings).where(_secondary.row_id.in_(row_ids)))
    return len(row_ids)
