"""What users searched for, and what was found."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, select, true

from lookalike.adapters.catalog.database import Database, reading, writing
from lookalike.adapters.catalog.tables import search_hits, searches, splitted_images
from lookalike.adapters.catalog.values import aware, checked, naive, named, numbered
from lookalike.domain.model import PastHit, PastSearch

_searches, _hits = searches.c, search_hits.c


class HistoryRows(Database):
    @writing
    def remember(self, tx: Connection, search: PastSearch, most: int) -> None:
        _forget(tx, search.owner, search.id)
        key = {"owner": search.owner, "id": search.id}
        row = checked(searches, **key, create_time=naive(search.searched_at)) | {"question": dict(search.request)}
        tx.execute(insert(searches).values(row))
        # locked: none of them is deleted, and looked for here, before our commit
        there = select(splitted_images.c.id).where(numbered([hit.row_id for hit in search.hits]))
        living = set(tx.execute(there.with_for_update(read=True)).scalars())
        of = {"owner": search.owner, "search_id": search.id}
        rows = [of | {"place": at} | _columns(hit) for at, hit in enumerate(search.hits) if hit.row_id in living]
        if rows:
            tx.execute(insert(search_hits), rows)
        _forget_oldest(tx, search.owner, most)

    @reading
    def searches_of(self, tx: Connection, owner: str, limit: int, before: datetime | None = None) -> list[PastSearch]:
        late = true() if before is None else _searches.create_time < naive(before)
        newest = (
            select(searches)
            .where(named(_searches.owner, owner), late)
            .order_by(_searches.create_time.desc(), _searches.id)
        )
        return [_past(row, []) for row in tx.execute(newest.limit(limit)).mappings()]

    @reading
    def search_of(self, tx: Connection, owner: str, search_id: str) -> PastSearch | None:
        row = tx.execute(select(searches).where(_this(owner, search_id))).mappings().first()
        if row is None:
            return None
        of = named(_hits.owner, owner), named(_hits.search_id, search_id)
        found = tx.execute(select(search_hits).where(*of).order_by(_hits.place)).mappings()
        return _past(row, [PastHit(one["garment"], one["row_id"], one["similarity"]) for one in found])

    @writing
    def forget_searches(self, tx: Connection, owner: str, search_id: str | None = None) -> int:
        return _forget(tx, owner, search_id)


def forget_hits(tx: Connection, row_id: int) -> None:
    """Of a garment that is deleted."""
    tx.execute(delete(search_hits).where(_hits.row_id == row_id))


def _forget(tx: Connection, owner: str, search_id: str | None) -> int:
    of = named(_hits.search_id, search_id) if search_id is not None else true()
    tx.execute(delete(search_hits).where(named(_hits.owner, owner), of))
    these = _this(owner, search_id) if search_id is not None else named(_searches.owner, owner)
    return tx.execute(delete(searches).where(these)).rowcount


def _forget_oldest(tx: Connection, owner: str, most: int) -> None:
    newest = select(_searches.id).where(_searches.owner == owner).order_by(_searches.create_time.desc(), _searches.id)
    for search_id in tx.execute(newest.offset(most).limit(100)).scalars().all():
        _forget(tx, owner, search_id)


def _this(owner: str, search_id: str) -> ColumnElement[bool]:
    return and_(named(_searches.owner, owner), named(_searches.id, search_id))


def _columns(hit: PastHit) -> dict[str, object]:
    return {"garment": hit.garment_index, "row_id": hit.row_id, "similarity": hit.similarity}


def _past(row: RowMapping, hits: Sequence[PastHit]) -> PastSearch:
    return PastSearch(row["id"], row["owner"], aware(row["create_time"]), row["question"], hits)
