"""API keys. The table has no secrets, only their SHA-256."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, or_, select, update

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import api_keys
from lookalike.adapters.catalog.values import name_in, to_aware_utc, to_naive_utc, validated
from lookalike.domain.api_keys import ApiKey, KeyRole, KeyUse

_keys = api_keys.c


class ApiKeyQueries(Database):
    """Queries of the port `ApiKeyStore`."""

    @write_transaction
    def add_api_key(self, tx: Connection, key: ApiKey) -> None:
        """Store a new key. Raises `Conflict` and `InvalidField`."""
        tx.execute(insert(api_keys), api_key_row(key))

    @read_transaction
    def api_key(self, tx: Connection, key_id: str) -> ApiKey | None:
        """Return a key, or `None` if it does not exist."""
        return _select_key(tx, key_id)

    @read_transaction
    def list_api_keys(self, tx: Connection) -> list[ApiKey]:
        """Return all keys, newest first."""
        rows = tx.execute(select(api_keys).order_by(_keys.create_time.desc(), _keys.id)).mappings()
        return [_to_api_key(row) for row in rows]

    @write_transaction
    def revoke_api_key(self, tx: Connection, key_id: str, moment: datetime) -> ApiKey | None:
        """Revoke a key, unless it is revoked already, and return it."""
        is_valid = name_in(_keys.id, key_id), _keys.revoke_time.is_(None)
        tx.execute(update(api_keys).where(*is_valid).values(revoke_time=to_naive_utc(moment)))
        return _select_key(tx, key_id)

    @write_transaction
    def record_key_uses(self, tx: Connection, uses: Sequence[KeyUse]) -> None:
        """Set the time of the last use, unless it is later already."""
        # in the order of the ids, so that two transactions lock the rows in the same order and cannot deadlock
        for use in sorted(uses, key=lambda use: (use.key_id, use.moment)):
            moment = to_naive_utc(use.moment)
            is_older = or_(_keys.use_time.is_(None), _keys.use_time < moment)
            tx.execute(update(api_keys).where(name_in(_keys.id, use.key_id), is_older).values(use_time=moment))


def api_key_row(key: ApiKey) -> dict[str, object]:
    """Return the column values of a key. Raises `InvalidField`."""
    return validated(
        api_keys,
        id=key.id,
        name=key.name,
        role=key.role.value,
        secret_sha256=key.secret_sha256,
        filter=key.filter_json,
        requests_per_minute=key.requests_per_minute,
        requests_per_address=key.requests_per_address,
        origins=" ".join(key.origins),
        signature=key.signature,
        create_time=to_naive_utc(key.created),
        expire_time=to_naive_utc(key.expires) if key.expires else None,
        revoke_time=to_naive_utc(key.revoked) if key.revoked else None,
        use_time=to_naive_utc(key.last_used) if key.last_used else None,
    )


def _select_key(tx: Connection, key_id: str) -> ApiKey | None:
    row = tx.execute(select(api_keys).where(name_in(_keys.id, key_id))).mappings().first()
    return _to_api_key(row) if row else None


def _to_api_key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        role=KeyRole(row["role"]),
        secret_sha256=row["secret_sha256"],
        filter_json=row["filter"],
        requests_per_minute=row["requests_per_minute"],
        requests_per_address=row["requests_per_address"],
        origins=tuple(row["origins"].split()),
        created=to_aware_utc(row["create_time"]),
        expires=to_aware_utc(row["expire_time"]) if row["expire_time"] else None,
        revoked=to_aware_utc(row["revoke_time"]) if row["revoke_time"] else None,
        last_used=to_aware_utc(row["use_time"]) if row["use_time"] else None,
        signature=row["signature"],
    )
