"""Product details of garments, and the ledger of ingested objects."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select
from sqlalchemy.dialects import mysql, sqlite

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import image_details, ledger
from lookalike.adapters.catalog.values import (
    batches,
    details_row,
    name_in,
    to_details,
    utc_now_seconds,
    validated,
)
from lookalike.domain.model import LedgerEntry, LedgerStatus, ProductDetails

MAX_NAME_LENGTH = 4000
"""Characters of a file name kept in the ledger for display. The column holds 65,535 bytes, at most 4 a character."""


class DetailQueries(Database):
    """Queries of the port `Catalog` about product details and the ledger."""

    @read_transaction
    def details(self, tx: Connection, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        """Return the existing product details by image id."""
        details: dict[str, ProductDetails] = {}
        for batch in batches(image_ids):
            rows = tx.execute(select(image_details).where(name_in(image_details.c.image_id, *batch)))
            details.update((row["image_id"], to_details(row)) for row in rows.mappings())
        return details

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        """Insert or replace product details in one transaction. Returns their number. Raises `InvalidField`."""
        moment = utc_now_seconds()
        times = {"create_time": moment, "update_time": moment}
        # Validated before the transaction starts, which then writes all rows or none.
        return self._put_rows([details_row(entry) | times for entry in details])

    @write_transaction
    def _put_rows(self, tx: Connection, rows: Sequence[Mapping[str, object]]) -> int:
        for batch in batches(rows):
            upsert(tx, image_details, batch)
        return len(rows)

    @read_transaction
    def ledger_entries(self, tx: Connection, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
        """Return the ledger entries of the named objects of a bucket, sorted by name and generation."""
        names_by_key = {object_key(bucket, name): name for name in names}
        entries: list[LedgerEntry] = []
        for batch in batches(list(names_by_key)):
            rows = tx.execute(select(ledger).where(ledger.c.object_key.in_(batch))).mappings()
            entries += [_to_entry(bucket, names_by_key[row["object_key"]], row) for row in rows]
        return sorted(entries, key=ledger_sort_key)

    @read_transaction
    def ledger_entries_of_photo(self, tx: Connection, photo: str) -> list[LedgerEntry]:
        """Return the entries of the objects that were ingested as this photo. Invalid text in names is escaped."""
        rows = tx.execute(select(ledger).where(name_in(ledger.c.photo, photo))).mappings()
        return sorted((_to_entry(row["bucket"], row["name"], row) for row in rows), key=ledger_sort_key)

    @write_transaction
    def record_ledger_entry(self, tx: Connection, entry: LedgerEntry) -> None:
        """Insert or replace the entry of a bucket, name and generation."""
        upsert(tx, ledger, [entry_row(entry)])


def entry_row(entry: LedgerEntry) -> dict[str, object]:
    """Return the column values of a ledger entry. Raises `InvalidField`."""
    return validated(
        ledger,
        object_key=object_key(entry.bucket, entry.name),
        generation=entry.generation,
        bucket=escape_invalid_text(entry.bucket),
        name=escape_invalid_text(entry.name),
        status=entry.status.value,
        photo=entry.photo,
        reason=entry.reason,
        update_time=utc_now_seconds(),
    )


def object_key(bucket: str, name: str) -> str:
    """Return the SHA-256 that identifies an object. Names can be longer than an index key, or invalid Unicode."""
    return hashlib.sha256(f"{bucket}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()


def escape_invalid_text(name: str) -> str:
    """Return the name with lone surrogates escaped, shortened to `MAX_NAME_LENGTH` characters."""
    return name.encode("utf-8", "backslashreplace").decode()[:MAX_NAME_LENGTH]


def ledger_sort_key(entry: LedgerEntry) -> tuple[str, int, str]:
    """Sort by name, then by generation. Generations are decimal numbers, so shorter ones are smaller."""
    return entry.name, len(entry.generation), entry.generation


def upsert(tx: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows or replace those with the same primary key. `create_time` of a replaced row is kept."""
    keys = [column.name for column in table.primary_key]
    replaced = [name for name in rows[0] if name not in {*keys, "create_time"}]
    statement: Any
    if tx.dialect.name == "sqlite":
        statement = sqlite.insert(table)
        statement = statement.on_conflict_do_update(keys, set_={name: statement.excluded[name] for name in replaced})
    else:
        statement = mysql.insert(table)
        statement = statement.on_duplicate_key_update({name: statement.inserted[name] for name in replaced})
    tx.execute(statement, rows)


def _to_entry(bucket: str, name: str, row: RowMapping) -> LedgerEntry:
    status = LedgerStatus(row["status"])
    return LedgerEntry(bucket, name, row["generation"], status, row["photo"], row["reason"])
