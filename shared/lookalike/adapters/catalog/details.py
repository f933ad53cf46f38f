"""What shops say of garments, and what became of each object that was ingested."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select
from sqlalchemy.dialects import mysql, sqlite

from lookalike.adapters.catalog.database import Database, reading, writing
from lookalike.adapters.catalog.tables import image_details, ledger
from lookalike.adapters.catalog.values import (
    batches,
    checked,
    details_row,
    named,
    this_second,
    to_details,
)
from lookalike.domain.model import LedgerEntry, LedgerStatus, ProductDetails


class DetailRows(Database):
    @reading
    def details(self, tx: Connection, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        found: dict[str, ProductDetails] = {}
        for some in batches(image_ids):
            rows = tx.execute(select(image_details).where(named(image_details.c.image_id, *some)))
            found.update((row["image_id"], to_details(row)) for row in rows.mappings())
        return found

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        moment = this_second()
        times = {"create_time": moment, "update_time": moment}
        return self._put([details_row(one) | times for one in details])

    @writing
    def _put(self, tx: Connection, rows: Sequence[Mapping[str, object]]) -> int:
        for some in batches(rows):
            upsert(tx, image_details, some)
        return len(rows)

    @reading
    def ledger_entries(self, tx: Connection, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
        keys = {object_key(bucket, name): name for name in names}
        entries: list[LedgerEntry] = []
        for some in batches(list(keys)):
            rows = tx.execute(select(ledger).where(ledger.c.object_key.in_(some))).mappings()
            entries += [_to_entry(bucket, keys[row["object_key"]], row) for row in rows]
        return sorted(entries, key=ledger_order)

    @reading
    def ledger_entries_of_photo(self, tx: Connection, photo: str) -> list[LedgerEntry]:
        rows = tx.execute(select(ledger).where(named(ledger.c.photo, photo))).mappings()
        return sorted((_to_entry(row["bucket"], row["name"], row) for row in rows), key=ledger_order)

    @writing
    def record_ledger_entry(self, tx: Connection, entry: LedgerEntry) -> None:
        upsert(tx, ledger, [entry_row(entry)])


def entry_row(entry: LedgerEntry) -> dict[str, object]:
    return checked(
        ledger,
        object_key=object_key(entry.bucket, entry.name),
        generation=entry.generation,
        bucket=printable(entry.bucket),
        name=printable(entry.name),
        status=entry.status.value,
        photo=entry.photo,
        reason=entry.reason,
        update_time=this_second(),
    )


def object_key(bucket: str, name: str) -> str:
    """Names of files may be longer than an index allows, and need not be valid text."""
    return hashlib.sha256(f"{bucket}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()


def printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()[:4000]


def ledger_order(entry: LedgerEntry) -> tuple[str, int, str]:
    """By name, then by generation, a number as a rule."""
    return entry.name, len(entry.generation), entry.generation


def upsert(tx: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert or replace; `create_time` stays."""
    keys = [column.name for column in table.primary_key]
    replaced = [name for name in rows[0] if name not in {*keys, "create_time"}]
    insert: Any
    if tx.dialect.name == "sqlite":
        insert = sqlite.insert(table)
        insert = insert.on_conflict_do_update(keys, set_={name: insert.excluded[name] for name in replaced})
    else:
        insert = mysql.insert(table)
        insert = insert.on_duplicate_key_update({name: insert.inserted[name] for name in replaced})
    tx.execute(insert, rows)


def _to_entry(bucket: str, name: str, row: RowMapping) -> LedgerEntry:
    status = LedgerStatus(row["status"])
    return LedgerEntry(bucket, name, row["generation"], status, row["photo"], row["reason"])
