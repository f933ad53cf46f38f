"""The ledger of the catalog in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lookalike.adapters.catalog.ledger import (
    Position,
    entry_row,
    escape_invalid_text,
    format_cursor,
    ledger_sort_key,
    object_key,
    parse_cursor,
)
from lookalike.adapters.catalog.values import to_aware_utc
from lookalike.domain.ledger import REEMBED_PREFIX, LedgerPage, LedgerSelection
from lookalike.domain.model import LedgerEntry, LedgerStatus
from tests.fakes.api_keys import FakeApiKeys
from tests.fakes.database import transaction


class FakeLedger(FakeApiKeys):
    """Queries of the port `Catalog` about the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self._ledger: dict[tuple[str, str, str], LedgerEntry] = {}

    @transaction
    def ledger_entries(self, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
        entries = [entry for entry in self._ledger.values() if entry.bucket == bucket and entry.name in names]
        return sorted(entries, key=ledger_sort_key)

    @transaction
    def ledger_entries_of_photo(self, photo: str) -> list[LedgerEntry]:
        return sorted((entry for entry in self._ledger.values() if entry.photo == photo), key=ledger_sort_key)

    @transaction
    def ledger_page(self, selection: LedgerSelection, limit: int, cursor: str | None = None) -> LedgerPage:
        rest = self._select(selection, cursor)
        page = [
            replace(entry, bucket=escape_invalid_text(entry.bucket), name=escape_invalid_text(entry.name))
            for entry in rest[:limit]
        ]
        return LedgerPage(page, format_cursor(_position(rest[limit - 1])) if len(rest) > limit else None)

    @transaction
    def count_ledger_entries(
        self, selection: LedgerSelection, cursor: str | None = None
    ) -> dict[tuple[str, LedgerStatus], int]:
        entries = self._select(selection, cursor)
        return dict(Counter((escape_invalid_text(entry.bucket), entry.status) for entry in entries))

    @transaction
    def count_ingested_photos(self, selection: LedgerSelection, since: datetime) -> int:
        entries = self._select(selection)
        return sum(
            entry.photo is not None and entry.recorded is not None and entry.recorded >= since for entry in entries
        )

    @transaction
    def record_ledger_entry(self, entry: LedgerEntry) -> None:
        self._record(entry)

    def _record(self, entry: LedgerEntry) -> None:
        moment = entry_row(entry)["update_time"]
        assert isinstance(moment, datetime)
        self._ledger[entry.bucket, entry.name, entry.generation] = replace(entry, recorded=to_aware_utc(moment))

    def _select(self, selection: LedgerSelection, cursor: str | None = None) -> list[LedgerEntry]:
        first = parse_cursor(cursor) if cursor else None
        selected = [entry for entry in self._ledger.values() if _is_selected(entry, selection)]
        newest = sorted(selected, key=_position, reverse=True)
        return [entry for entry in newest if first is None or _position(entry) < first]


def _is_selected(entry: LedgerEntry, selection: LedgerSelection) -> bool:
    if entry.bucket.startswith(REEMBED_PREFIX) or selection.status not in (None, entry.status):
        return False
    if selection.names is not None and (entry.bucket != (selection.bucket or "") or entry.name not in selection.names):
        return False
    return selection.bucket in (None, entry.bucket) and entry.name.startswith(selection.prefix)


def _position(entry: LedgerEntry) -> Position:
    assert entry.recorded is not None
    return entry.recorded.replace(tzinfo=None), object_key(entry.bucket, entry.name), entry.generation
