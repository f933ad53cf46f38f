"""Search history: past searches of users with their results, and which of these the users chose."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, exists, insert, or_, select, true
from sqlalchemy.exc import IntegrityError

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import search_choices, search_hits, searches, splitted_images
from lookalike.adapters.catalog.values import batches, name_in, row_id_in, to_aware_utc, to_naive_utc, validated
from lookalike.domain.errors import NotFound
from lookalike.domain.history import Choice, PastHit, PastSearch, PhotoVectors

_searches, _hits, _choices = searches.c, search_hits.c, search_choices.c
_PHOTO_VECTORS = "photo_vectors"
"""Key in the column `question`, beside the fields of the request."""
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
        return [_to_search(row) for row in tx.execute(newest.limit(limit)).mappings()]

    @read_transaction
    def get_search(self, tx: Connection, owner: str, search_id: str) -> PastSearch | None:
        """Return one search of the owner with its hits and choices, or `None`."""
        row = tx.execute(select(searches).where(_is_search(owner, search_id))).mappings().first()
        return None if row is None else _read_search(tx, row)

    @write_transaction
    def add_choice(self, tx: Connection, owner: str, search_id: str, choice: Choice) -> Choice:
        """Record that the owner chose a hit of a search, and return the first choice of it. Raises `NotFound`."""
        if tx.execute(select(_searches.id).where(_is_search(owner, search_id))).first() is None:
            raise NotFound(f"There is no search {search_id!r} in your history")
        is_hit = and_(_is_hit(owner, search_id), row_id_in([choice.row_id], _hits.row_id))
        # Shared lock on the hit: a concurrent deletion of the garment or the search, which deletes hits before choices,
        # waits for this commit and then deletes the choice.
        if tx.execute(select(_hits.place).where(is_hit).with_for_update(read=True)).first() is None:
            raise NotFound(f"The garment {choice.row_id} is not among the results of the search {search_id!r}")
        row = {"owner": owner, "search_id": search_id, "row_id": choice.row_id}
        try:
            with tx.begin_nested():
                tx.execute(insert(search_choices), {**row, "create_time": to_naive_utc(choice.chosen_at)})
        except IntegrityError:
            # it was chosen before, or by a concurrent request
            pass
        return next(one for one in _read_choices(tx, owner, search_id) if one.row_id == choice.row_id)

    @read_transaction
    def list_chosen_searches(
        self, tx: Connection, limit: int, after: tuple[str, str] | None = None
    ) -> list[PastSearch]:
        """Return searches of all users that have a choice, with hits and choices, ordered by owner and id."""
        is_chosen = exists().where(_choices.owner == _searches.owner, _choices.search_id == _searches.id)
        is_after: ColumnElement[bool] = true()
        if after is not None:
            owner, search_id = after
            is_after = or_(_searches.owner > owner, and_(_searches.owner == owner, _searches.id > search_id))
        page = select(searches).where(is_chosen, is_after).order_by(_searches.owner, _searches.id).limit(limit)
        return [_read_search(tx, row) for row in tx.execute(page).mappings().all()]

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
    tx.execute(delete(search_choices).where(_choices.row_id == row_id))


def _delete_searches(tx: Connection, owner: str, search_ids: Sequence[str] | None) -> int:
    """Delete the owner's searches with these ids, or all of them. Returns the number of deleted searches."""
    for table in (search_hits, search_choices):
        is_part = true() if search_ids is None else name_in(table.c.search_id, *search_ids)
        tx.execute(delete(table).where(name_in(table.c.owner, owner), is_part))
    is_deleted = true() if search_ids is None else name_in(_searches.id, *search_ids)
    return tx.execute(delete(searches).where(name_in(_searches.owner, owner), is_deleted)).rowcount


def _delete_oldest(tx: Connection, owner: str, max_searches: int) -> None:
    newest = select(_searches.id).where(_searches.owner == owner).order_by(_searches.create_time.desc(), _searches.id)
    if oldest := tx.execute(newest.offset(max_searches).limit(_DELETE_LIMIT)).scalars().all():
        _delete_searches(tx, owner, oldest)


def _is_search(owner: str, search_id: str) -> ColumnElement[bool]:
    return and_(name_in(_searches.owner, owner), name_in(_searches.id, search_id))


def _is_hit(owner: str, search_id: str) -> ColumnElement[bool]:
    return and_(name_in(_hits.owner, owner), name_in(_hits.search_id, search_id))


def _read_search(tx: Connection, row: RowMapping) -> PastSearch:
    """Return a search with its hits and choices."""
    owner, search_id = row["owner"], row["id"]
    rows = tx.execute(select(search_hits).where(_is_hit(owner, search_id)).order_by(_hits.place)).mappings()
    hits = [PastHit(hit["garment"], hit["row_id"], hit["similarity"]) for hit in rows]
    return _to_search(row, hits, _read_choices(tx, owner, search_id))


def _read_choices(tx: Connection, owner: str, search_id: str) -> tuple[Choice, ...]:
    is_choice = _choices.owner == owner, _choices.search_id == search_id
    rows = tx.execute(select(search_choices).where(*is_choice).order_by(_choices.create_time, _choices.row_id))
    return tuple(Choice(row["row_id"], to_aware_utc(row["create_time"])) for row in rows.mappings())


def _search_row(search: PastSearch) -> dict[str, object]:
    key = {"owner": search.owner, "id": search.id}
    return {
        **validated(searches, **key, create_time=to_naive_utc(search.searched_at)),
        "question": {**search.request, **_vector_fields(search.photo_vectors)},
    }


def _vector_fields(vectors: PhotoVectors | None) -> dict[str, object]:
    if vectors is None:
        return {}
    encoded = [base64.b64encode(vector).decode() for vector in vectors.encoded]
    return {_PHOTO_VECTORS: {"embedder": vectors.embedder, "vectors": encoded}}


def _hit_columns(hit: PastHit) -> dict[str, object]:
    return {"garment": hit.garment_index, "row_id": hit.row_id, "similarity": hit.similarity}


def _to_search(row: RowMapping, hits: Sequence[PastHit] = (), choices: tuple[Choice, ...] = ()) -> PastSearch:
    request: dict[str, Any] = dict(row["question"])
    stored = request.pop(_PHOTO_VECTORS, None)
    vectors = stored and PhotoVectors(stored["embedder"], tuple(map(base64.b64decode, stored["vectors"])))
    time = to_aware_utc(row["create_time"])
    return PastSearch(row["id"], row["owner"], time, request, hits, choices, vectors)
