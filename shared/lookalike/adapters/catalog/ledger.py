"""The ledger of ingested objects."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import ledger
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import (
    batches,
    is_name,
    name_in,
    to_aware_utc,
    to_naive_utc,
    utc_now_seconds,
    validated,
)
from lookalike.domain.errors import InvalidField
from lookalike.domain.ledger import REEMBED_PREFIX, LedgerPage, LedgerSelection
from lookalike.domain.model import LedgerEntry, LedgerStatus

MAX_NAME_LENGTH = 4000
"""Characters of a file name kept in the ledger for display. The column holds 65,535 bytes, at most 4 a character."""
CURSOR_TIME = "%Y%m%d%H%M%S"
Position = tuple[datetime, str, str]
"""Place of an entry in the order of pages: time of recording in UTC, object key, generation."""
_ledger = ledger.c


class LedgerQueries(Database):
    """Queries of the port `Catalog` about the ledger."""

    @read_transaction
    def ledger_entries(self, tx: Connection, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
        """Return the ledger entries of the named objects of a bucket, sorted by name and generation."""
        names_by_key = {object_key(bucket, name): name for name in names}
        entries: list[LedgerEntry] = []
        for batch in batches(list(names_by_key)):
            rows = tx.execute(select(ledger).where(_ledger.object_key.in_(batch))).mappings()
            entries += [_to_entry(bucket, names_by_key[row["object_key"]], row) for row in rows]
        return sorted(entries, key=ledger_sort_key)

    @read_transaction
    def ledger_entries_of_photo(self, tx: Connection, photo: str) -> list[LedgerEntry]:
        """Return the entries of the objects that were ingested as this photo. Invalid text in names is escaped."""
        rows = tx.execute(select(ledger).where(name_in(_ledger.photo, photo))).mappings()
        return sorted((_to_entry(row["bucket"], row["name"], row) for row in rows), key=ledger_sort_key)

    @read_transaction
    def ledger_page(
        self, tx: Connection, selection: LedgerSelection, limit: int, cursor: str | None = None
    ) -> LedgerPage:
        """Return the selected entries, newest first, and the cursor of the next page. Raises `InvalidField`."""
        order = _ledger.update_time.desc(), _ledger.object_key.desc(), _ledger.generation.desc()
        statement = select(ledger).where(*_conditions(selection, cursor)).order_by(*order).limit(limit + 1)
        rows = tx.execute(statement).mappings().all()
        entries = [_to_entry(row["bucket"], row["name"], row) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        position = (last["update_time"], last["object_key"], last["generation"]) if last else None
        return LedgerPage(entries, format_cursor(position) if position else None)

    @read_transaction
    def count_ledger_entries(
        self, tx: Connection, selection: LedgerSelection, cursor: str | None = None
    ) -> dict[tuple[str, LedgerStatus], int]:
        """Return the number of selected entries by bucket and status; with a cursor, of those from there on."""
        columns = func.min(_ledger.bucket), _ledger.status, func.count()
        statement = (
            select(*columns).where(*_conditions(selection, cursor)).group_by(func.hex(_ledger.bucket), _ledger.status)
        )
        return {(bucket, LedgerStatus(status)): count for bucket, status, count in tx.execute(statement)}

    @read_transaction
    def count_ingested_photos(self, tx: Connection, selection: LedgerSelection, since: datetime) -> int:
        """Return the number of selected entries with a photo that were recorded since that time."""
        is_new = _ledger.photo.is_not(None), _ledger.update_time >= to_naive_utc(since)
        statement = select(func.count()).select_from(ledger).where(*_conditions(selection), *is_new)
        return tx.execute(statement).scalar_one()

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


def format_cursor(position: Position) -> str:
    """Return a position as text."""
    moment, key, generation = position
    return f"{moment.strftime(CURSOR_TIME)}.{key}.{generation}"


def parse_cursor(cursor: str) -> Position:
    """Return the position of a cursor. Raises `InvalidField` for any other text."""
    moment, _, rest = cursor.partition(".")
    key, _, generation = rest.partition(".")
    try:
        position = datetime.strptime(moment, CURSOR_TIME), key, generation
    except ValueError:
        position = None
    if position is None or not is_name(key) or not is_name(generation) or format_cursor(position) != cursor:
        raise InvalidField("cursor: send the cursor of an earlier response, or none", field="cursor")
    return position


def _is_after(position: Position) -> ColumnElement[bool]:
    """Return the condition that an entry comes after the position, newest first."""
    moment, key, generation = position
    is_smaller = or_(_ledger.object_key < key, and_(_ledger.object_key == key, _ledger.generation < generation))
    return or_(_ledger.update_time < moment, and_(_ledger.update_time == moment, is_smaller))


def _conditions(selection: LedgerSelection, cursor: str | None = None) -> Iterator[ColumnElement[bool]]:
    if cursor:
        yield _is_after(parse_cursor(cursor))
    yield _ledger.bucket.not_like(f"{REEMBED_PREFIX}%")
    if selection.status is not None:
        yield _ledger.status == selection.status.value
    if selection.bucket is not None:
        yield _is_text(_ledger.bucket, selection.bucket)
    if selection.prefix:
        yield _is_text(func.substr(_ledger.name, 1, len(escape_invalid_text(selection.prefix))), selection.prefix)
    if selection.names is not None:
        yield _ledger.object_key.in_([object_key(selection.bucket or "", name) for name in selection.names])


def _is_text(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    # Compares bytes. MySQL's default collation ignores case, accents and trailing spaces.
    return func.hex(column) == escape_invalid_text(value).encode().hex().upper()


def _to_entry(bucket: str, name: str, row: RowMapping) -> LedgerEntry:
    status, moment = LedgerStatus(row["status"]), to_aware_utc(row["update_time"])
    return LedgerEntry(bucket, name, row["generation"], status, row["photo"], row["reason"], moment)
