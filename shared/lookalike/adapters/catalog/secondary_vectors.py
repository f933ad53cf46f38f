"""Vectors of another embedder beside those that garments were stored with."""

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

_rows, _others = splitted_images.c, other_embeddings.c


class SecondaryVectorRows(Database):
    @read_transaction
    def count_missing_vectors(self, tx: Connection, embedder: str) -> int:
        return tx.execute(select(func.count()).select_from(splitted_images).where(_has_none(embedder))).scalar_one()

    @read_transaction
    def segments_missing_vectors(self, tx: Connection, embedder: str, after: int, limit: int) -> list[Segment]:
        return select_segments(tx, _has_none(embedder) & (_rows.id > after), limit)

    @write_transaction
    def add_vectors(self, tx: Connection, embedder: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        # locked: nobody deletes one of them, or gives it a vector, until our commit
        tx.execute(select(_rows.id).where(row_id_in([*vectors])).with_for_update()).all()
        # asked anew: one question would not hear of what others stored while it waited
        lacking = tx.execute(select(_rows.id).where(row_id_in([*vectors]), _has_none(embedder))).scalars().all()
        found = [
            {"row_id": row_id, "embedder": embedder, "embedding": vector_bytes(vectors[row_id])} for row_id in lacking
        ]
        if found:
            number = next_commit_number(tx)
            tx.execute(insert(other_embeddings), [{**one, "commit_number": number} for one in found])
        return len(found)

    @write_transaction
    def drop_other_vectors(self, tx: Connection, embedder: str, limit: int) -> int:
        found = (
            tx.execute(select(other_embeddings).where(name_in(_others.embedder, embedder)).limit(limit)).mappings().all()
        )
        for row in found:
            # the number stays: readers of this embedder have seen it
            kept = {name: row[name] for name in ("embedder", "embedding", "commit_number")}
            own = {**kept, "vector": None, "update_time": _rows.update_time}
            tx.execute(update(splitted_images).where(_rows.id == row["row_id"]).values(own))
        tx.execute(delete(other_embeddings).where(_others.row_id.in_([row["row_id"] for row in found])))
        return len(found) or _drop_strangers(tx, embedder, limit)


def has_vector(embedder: str) -> ColumnElement[bool]:
    """The rows that searches with this embedder can find.

    And those of the original's whose JSON is no vector: to know them, every one would have to be read. Adopted, they have none.
    """
    return or_(has_own_vector(embedder), _beside(embedder).exists())


def _has_none(embedder: str) -> ColumnElement[bool]:
    # what is compared with NULL is NULL, and so would be the negation of it
    own = func.coalesce(has_own_vector(embedder), False)
    # no EXISTS: for each page MariaDB would list all that is beside
    return and_(~own, _beside(embedder).scalar_subquery().is_(None))


def _beside(embedder: str) -> Select[tuple[int]]:
    """The row's vector of that embedder beside its own."""
    this = (_others.row_id == _rows.id, name_in(_others.embedder, embedder))
    return select(_others.row_id).where(*this).correlate(splitted_images)


def _drop_strangers(tx: Connection, embedder: str, limit: int) -> int:
    """Vectors that others have beside garments that were stored with this embedder."""
    stored = exists().where(_rows.id == _others.row_id, has_own_vector(embedder)).correlate(other_embeddings)
    found = tx.execute(select(_others.row_id).where(stored).limit(limit)).scalars().all()
    tx.execute(delete(other_embeddings).where(_others.row_id.in_(found)))
    return len(found)
