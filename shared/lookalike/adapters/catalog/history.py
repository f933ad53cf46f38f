"""Search history: past searches of users with their results."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, select, true

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import search_hits, searches, splitted_images
from lookalike.adapters.catalog.values import batches, name_in, row_id_in, to_aware_utc, to_naive_utc, validated
from lookalike.domain.model import PastHit, PastSearch

_searches, _hits = searches.c, search_hits.c
_DELETE_LIMIT = 100
"""Old searches deleted at a time. There are more only after the maximum was lowered."""


class HistoryQueries(Database):
    """Queries of the port `History`."""

    @write_transaction
    def save_searches(self, tx: Connection, past_searches: Sequence[PastSearch], max_searches: int) -> None:
        """Insert or replace searches, and delete each owner's oldest ones above `max_searches`. Raises `InvalidField`."""
        rows = [_search_row(search) for search in past_searches]
        ids_by_owner: dict[str, list[str]] = {}
        for search in past_searches:
            ids_by_owner.setdefault(search.owner, []).append(search.id)
        for owner, search_ids in ids_by_owner.items():
            _delete_searches(tx, owner, search_ids)
        tx.execute(insert(searches), rows)
        _insert_hits(tx, past_searches)
        for owner in ids_by_owner:
            _delete_oldest(tx, owner, max_searches)

    @read_transaction
    def list_searches(self, tx: Connection, owner: str, limit: int, before: datetime | None = None) -> list[PastSearch]:
        """Return a page of the owner's searches, newest first, without their hits."""
        is_before = true() if before is None else _searches.create_time < to_naive_utc(before)
        newest = (
            select(searches)
            .where(name_in(_searches.owner, owner), is_before)
            .order_by(_searches.create_time.desc(), _searches.id)
        )
        return [_to_search(row, []) for row in tx.execute(newest.limit(limit)).mappings()]

    @read_transaction
    def get_search(self, tx: Connection, owner: str, search_id: str) -> PastSearch | None:
        """Return one search of the owner with its hits, or `None`."""
        row = tx.execute(select(searches).where(_is_search(owner, search_id))).mappings().first()
        if row is None:
            return None
        is_hit = name_in(_hits.owner, owner), name_in(_hits.search_id, search_id)
        hits = tx.execute(select(search_hits).where(*is_hit).order_by(_hits.place)).mappings()
        return _to_search(row, [PastHit(hit["garment"], hit["row_id"], hit["similarity"]) for hit in hits])

    @write_transaction
    def delete_searches(self, tx: Connection, owner: str, search_id: str | None = None) -> int:
        """Delete one search of the owner, or all without an id. Returns the number of deleted searches."""
        return _delete_searches(tx, owner, None if search_id is None else [search_id])


def _insert_hits(tx: Connection, past_searches: Sequence[PastSearch]) -> None:
    """Insert the hits whose rows still exist."""
    row_ids = sorted({hit.row_id for search in past_searches for hit in search.hits})
    existing: set[int] = set()
    for batch in batches(row_ids):
        # Shared lock on the rows: a concurrent `delete_segment` waits for this commit and then deletes the hits.
        # Without it the deletion could miss hits that are not committed yet.
        query = select(splitted_images.c.id).where(row_id_in(batch)).with_for_update(read=True)
        existing.update(tx.execute(query).scalars())
    rows = [
        {"owner": search.owner, "search_id": search.id, "place": place, **_hit_columns(hit)}
        for search in past_searches
        for place, hit in enumerate(search.hits)
        if hit.row_id in existing
    ]
    if rows:
        tx.execute(insert(search_hits), rows)


def delete_hits_of_row(tx: Connection, row_id: int) -> None:
    """Delete a garment from all past searches."""
    tx.execute(delete(search_hits).where(_hits.row_id == row_id))


def _delete_searches(tx: Connection, owner: str, search_ids: Sequence[str] | None) -> int:
    """Delete the owner's searches with these ids, or all of them. Returns the number of deleted searches."""
    is_hit = true() if search_ids is None else name_in(_hits.search_id, *search_ids)
    tx.execute(delete(search_hits).where(name_in(_hits.owner, owner), is_hit))
    is_deleted = true() if search_ids is None else name_in(_searches.id, *search_ids)
    return tx.execute(delete(searches).where(name_in(_searches.owner, owner), is_deleted)).rowcount


def _delete_oldest(tx: Connection, owner: str, max_searches: int) -> None:
    newest = select(_searches.id).where(_searches.owner == owner).order_by(_searches.create_time.desc(), _searches.id)
    if oldest := tx.execute(newest.offset(max_searches).limit(_DELETE_LIMIT)).scalars().all():
        _delete_searches(tx, owner, oldest)


def _is_search(owner: str, search_id: str) -> ColumnElement[bool]:
    return and_(name_in(_searches.owner, owner), name_in(_searches.id, search_id))


def _search_row(search: PastSearch) -> dict[str, object]:
    key = {"owner": search.owner, "id": search.id}
    return {
        **validated(searches, **key, create_time=to_naive_utc(search.searched_at)),
        "question": dict(search.request),
    }


def _hit_columns(hit: PastHit) -> dict[str, object]:
    return {"garment": hit.garment_index, "row_id": hit.row_id, "similarity": hit.similarity}


def _to_search(row: RowMapping, hits: Sequence[PastHit]) -> PastSearch:
    return PastSearch(row["id"], row["owner"], to_aware_utc(row["create_time"]), row["question"], hits)
