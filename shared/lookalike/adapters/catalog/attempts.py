"""Rate limit counters: the number of attempts under each key."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, case, delete, func, insert, select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import IntegrityError

from lookalike.adapters.catalog.database import Database, write_transaction
from lookalike.adapters.catalog.tables import attempts
from lookalike.adapters.catalog.values import to_naive_utc, utc_now

_key, _count, _start = attempts.c.key, attempts.c.count, attempts.c.create_time


class AttemptQueries(Database):
    """Queries of the port `Attempts`."""

    @write_transaction
    def add_attempt(self, tx: Connection, keys: Sequence[str], since: datetime) -> dict[str, int]:
        """Increment the counter of each key and return the new counts. Counters started before `since` restart at 1."""
        # All transactions lock the rows in sorted order. Two of them with the same keys can then not deadlock.
        return {key: _increment(tx, _hash_key(key), to_naive_utc(since)) for key in sorted(keys)}

    @write_transaction
    def count_in_window(self, tx: Connection, key: str, start: datetime) -> int:
        """Increment the counter of a key in the window that began at `start`, in one statement. Return its new count."""
        row = {"key": _hash_key(key), "count": 1, "create_time": to_naive_utc(start)}
        return _count_sqlite(tx, row) if tx.dialect.name == "sqlite" else _count_mysql(tx, row)

    @write_transaction
    def reduce_attempts(self, tx: Connection, keys: Sequence[str], count: int | None = None) -> None:
        """Subtract `count` from the counter of each key, down to 0, or delete the counters if it is `None`."""
        has_key = _key.in_([_hash_key(key) for key in keys])
        if count is None:
            tx.execute(delete(attempts).where(has_key))
        else:
            tx.execute(update(attempts).where(has_key).values(count=case((_count > count, _count - count), else_=0)))

    @write_transaction
    def delete_expired_attempts(self, tx: Connection, before: datetime) -> int:
        """Delete counters started before that time. Returns their number."""
        return tx.execute(delete(attempts).where(_start < to_naive_utc(before))).rowcount


def _increment(tx: Connection, digest: str, since: datetime) -> int:
    is_expired = _start < since
    # UPDATE first: it locks the row until the commit, so no concurrent increment is lost.
    increment = (
        update(attempts)
        .values(count=case((is_expired, 1), else_=_count + 1), create_time=case((is_expired, utc_now()), else_=_start))
        .where(_key == digest)
    )
    if not tx.execute(increment).rowcount:
        try:
            # A savepoint: the failed INSERT must not undo the increments of other keys.
            with tx.begin_nested():
                tx.execute(insert(attempts).values(key=digest, count=1, create_time=utc_now()))
        except IntegrityError:
            # A concurrent transaction inserted the key after our UPDATE.
            tx.execute(increment)
    count: int = tx.execute(select(_count).where(_key == digest)).scalar_one()
    return count


def _count_sqlite(tx: Connection, row: Mapping[str, object]) -> int:
    statement = sqlite.insert(attempts).values(row)
    is_new_window = _start < statement.excluded.create_time
    values = {
        "count": case((is_new_window, 1), else_=_count + 1),
        "create_time": case((is_new_window, statement.excluded.create_time), else_=_start),
    }
    count: int = tx.execute(statement.on_conflict_do_update(["key"], set_=values).returning(_count)).scalar_one()
    return count


def _count_mysql(tx: Connection, row: Mapping[str, object]) -> int:
    statement = mysql.insert(attempts).values(row)
    is_new_window = _start < statement.inserted.create_time
    # A list: MySQL assigns from left to right, and the count depends on the old time. LAST_INSERT_ID(n) makes n the
    # result of the statement; MySQL, unlike MariaDB, has no RETURNING.
    values: list[tuple[str, object]] = [
        ("count", func.last_insert_id(case((is_new_window, 1), else_=_count + 1))),
        ("create_time", case((is_new_window, statement.inserted.create_time), else_=_start)),
    ]
    result = tx.execute(statement.on_duplicate_key_update(values))
    # one affected row: inserted; two: updated
    return 1 if result.rowcount == 1 else int(result.lastrowid)


def _hash_key(key: str) -> str:
    """Return the SHA-256 of a key, which may name an account or an address that must not be stored."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
