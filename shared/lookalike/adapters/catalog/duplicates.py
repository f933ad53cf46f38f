"""Decisions about duplicates, and the references that merging moves."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, and_, delete, exists, func, or_, select, update

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.decisions import is_about
from lookalike.adapters.catalog.secondary_vectors import has_vector
from lookalike.adapters.catalog.tables import (
    duplicate_decisions,
    ledger,
    product_pictures,
    search_choices,
    search_hits,
    splitted_images,
)
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import batches, row_id_in, utc_now
from lookalike.domain.duplicates import Decision

_decisions, _rows = duplicate_decisions.c, splitted_images.c


class DuplicateQueries(Database):
    """Queries of the port `DuplicateDecisions`."""

    @read_transaction
    def next_row_ids(self, tx: Connection, embedder: str, after: int, limit: int) -> list[int]:
        """Return the next ids of rows with a vector of the embedder."""
        query = select(_rows.id).where(_rows.id > after, has_vector(embedder)).order_by(_rows.id).limit(limit)
        return list(tx.execute(query).scalars())

    @write_transaction
    def decide_duplicate(self, tx: Connection, first: int, second: int, decision: Decision | None) -> bool:
        """Store or delete a decision. Returns whether both rows exist."""
        # Shared locks: a concurrent deletion of a row waits for this commit and then deletes the decision.
        if len(_locked_photos(tx, [first, second])) < 2:
            return False
        pair = {"first_id": min(first, second), "second_id": max(first, second)}
        if decision is None:
            tx.execute(delete(duplicate_decisions).where(*(_decisions[name] == value for name, value in pair.items())))
        else:
            moment = utc_now()
            row = {**pair, "decision": decision.value, "create_time": moment, "update_time": moment}
            upsert(tx, duplicate_decisions, [row])
        return True

    @read_transaction
    def duplicate_decisions(self, tx: Connection, row_ids: Sequence[int]) -> dict[tuple[int, int], Decision]:
        """Return the decisions about pairs of which one row is given."""
        found: dict[tuple[int, int], Decision] = {}
        for batch in batches(row_ids):
            for column in (_decisions.first_id, _decisions.second_id):
                rows = tx.execute(select(duplicate_decisions).where(row_id_in(batch, column))).mappings()
                found |= {(row["first_id"], row["second_id"]): Decision(row["decision"]) for row in rows}
        return found

    @read_transaction
    def accepted_duplicates(self, tx: Connection, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
        """Return the next accepted pairs."""
        first, second = _decisions.first_id, _decisions.second_id
        is_next = or_(first > after[0], and_(first == after[0], second > after[1]))
        query = select(first, second).where(_decisions.decision == Decision.ACCEPTED.value, is_next)
        return [(row[0], row[1]) for row in tx.execute(query.order_by(first, second).limit(limit))]

    @write_transaction
    def move_references(self, tx: Connection, old: int, new: int) -> int:
        """Move history entries, decisions and ledger entries from one row to another."""
        photos = _locked_photos(tx, [old, new])
        if len(photos) < 2:
            return 0
        count = sum(_move_history(tx, table, old, new) for table in (search_hits, search_choices))
        _move_decisions(tx, old, new)
        of_photo = select(func.count()).select_from(splitted_images).where(_rows.original_image_id == photos[old])
        if photos[old] != photos[new] and tx.execute(of_photo).scalar_one() == 1:
            moved = update(ledger).where(ledger.c.photo == photos[old]).values(photo=photos[new])
            count += tx.execute(moved).rowcount
        return count + _move_pictures(tx, old, new)


def _locked_photos(tx: Connection, row_ids: Sequence[int]) -> dict[int, str]:
    """Return the names of the photos by row id, of the rows that exist, locked against deletion."""
    query = select(_rows.id, _rows.original_image_id).where(row_id_in(row_ids)).order_by(_rows.id)
    return {row.id: row.original_image_id for row in tx.execute(query.with_for_update(read=True))}


def _move_history(tx: Connection, table: Table, old: int, new: int) -> int:
    """Replace a row in past searches that do not contain the other one. In the rest, the deletion removes it."""
    keys = [name for name in ("owner", "search_id", "garment") if name in table.c]
    # DISTINCT: MySQL reads the table that it updates only in a derived table, which must not be merged into the query.
    with_new = select(*(table.c[name] for name in keys)).where(table.c.row_id == new).distinct().subquery()
    contains_new = exists().where(*(with_new.c[name] == table.c[name] for name in keys))
    return tx.execute(update(table).where(table.c.row_id == old, ~contains_new).values(row_id=new)).rowcount


def _move_pictures(tx: Connection, old: int, new: int) -> int:
    """Let the pictures of products that show one garment show the other one."""
    query = select(_rows.id, _rows.splitted_image_id, _rows.original_image_id).where(row_id_in([old, new]))
    rows = {row.id: row for row in tx.execute(query)}
    values = {"garment": rows[new].splitted_image_id, "photo": rows[new].original_image_id}
    pictures = update(product_pictures).where(product_pictures.c.garment == rows[old].splitted_image_id)
    return tx.execute(pictures.values(values)).rowcount


def _move_decisions(tx: Connection, old: int, new: int) -> None:
    """Copy the decisions about `old` to `new` where that has none. The deletion removes the originals."""
    rows = tx.execute(select(duplicate_decisions).where(or_(is_about(old), is_about(new)))).mappings().all()
    known = {(row["first_id"], row["second_id"]) for row in rows}
    for row in rows:
        others = {row["first_id"], row["second_id"]} - {old}
        if len(others) == 1 and others != {new}:
            first, second = sorted((others.pop(), new))
            if (first, second) not in known:
                upsert(tx, duplicate_decisions, [{**row, "first_id": first, "second_id": second}])
