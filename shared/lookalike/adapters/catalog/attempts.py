"""How often something was tried, counted under the lock of each key's row."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from lookalike.adapters.catalog.database import Database, writing
from lookalike.adapters.catalog.tables import attempts
from lookalike.adapters.catalog.values import naive, now

_key, _count, _since = attempts.c.key, attempts.c.count, attempts.c.create_time


class AttemptRows(Database):
    @writing
    def count_attempt(self, tx: Connection, keys: Sequence[str], since: datetime) -> dict[str, int]:
        # in one order, so that two of us never wait for each other
        return {key: _counted(tx, _digest(key), naive(since)) for key in sorted(keys)}

    @writing
    def forget_attempts(self, tx: Connection, keys: Sequence[str], most: int | None = None) -> None:
        these = _key.in_([_digest(key) for key in keys])
        if most is None:
            tx.execute(delete(attempts).where(these))
        else:
            tx.execute(update(attempts).where(these).values(count=case((_count > most, _count - most), else_=0)))

    @writing
    def clean_attempts(self, tx: Connection, before: datetime) -> int:
        return tx.execute(delete(attempts).where(_since < naive(before))).rowcount


def _counted(tx: Connection, digest: str, since: datetime) -> int:
    is_late = _since < since
    more = update(attempts).values(
        count=case((is_late, 1), else_=_count + 1), create_time=case((is_late, now()), else_=_since)
    )
    if not tx.execute(more.where(_key == digest)).rowcount:
        try:
            with tx.begin_nested():
                tx.execute(insert(attempts).values(key=digest, count=1, create_time=now()))
        except IntegrityError:  # another was faster
            tx.execute(more.where(_key == digest))
    found: int = tx.execute(select(_count).where(_key == digest)).scalar_one()
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
