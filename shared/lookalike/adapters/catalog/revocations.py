"""Revoked access tokens: users whose tokens are refused if they were issued before a time."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import revocations
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import to_aware_utc, to_naive_utc, validated


class RevocationQueries(Database):
    """Queries of the port `Revocations`."""

    @write_transaction
    def revoke_tokens(self, tx: Connection, key: str, before: datetime) -> None:
        """Refuse the tokens of a user that were issued before that time."""
        upsert(tx, revocations, [validated(revocations, key=key, revoke_time=to_naive_utc(before))])

    @read_transaction
    def revocations(self, tx: Connection) -> dict[str, datetime]:
        """Return the time before which tokens are refused, by key."""
        rows = tx.execute(select(revocations.c.key, revocations.c.revoke_time))
        return {key: to_aware_utc(moment) for key, moment in rows}

    @write_transaction
    def delete_expired_revocations(self, tx: Connection, before: datetime) -> int:
        """Delete revocations made before that time. Returns their number."""
        return tx.execute(delete(revocations).where(revocations.c.revoke_time < to_naive_utc(before))).rowcount
