"""Contract of the port `Catalog`: the ledger of ingested objects."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.adapters.catalog import ledger
from lookalike.domain.errors import Conflict, InvalidField
from lookalike.domain.ledger import LedgerPage, LedgerSelection
from lookalike.domain.model import LedgerEntry, LedgerStatus
from lookalike.domain.ports import Catalog
from tests.contracts.rows import MODEL, garment, photo

START = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
DONE, FAILED = LedgerStatus.DONE, LedgerStatus.FAILED
Record = Callable[..., LedgerEntry]


@pytest.fixture
def record(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Return a function that records an entry `seconds` after `START`: failed with a reason, or done with a photo."""

    def record_entry(
        name: str, seconds: float = 0, status: LedgerStatus = DONE, bucket: str = "inbox", generation: str = "1"
    ) -> LedgerEntry:
        moment = (START + timedelta(seconds=seconds)).replace(tzinfo=None)
        monkeypatch.setattr(ledger, "utc_now_seconds", lambda: moment)
        photo, reason = (name, None) if status is DONE else (None, "not an image")
        entry = LedgerEntry(bucket, name, generation, status, photo, reason)
        catalog.record_ledger_entry(entry)
        return entry

    return record_entry


def names(page: LedgerPage) -> list[str]:
    return [entry.name for entry in page.entries]


def all_pages(catalog: Catalog, selection: LedgerSelection, limit: int) -> list[list[str]]:
    """Return the names on each page, and follow the cursors to the end."""
    page = catalog.ledger_page(selection, limit)
    pages = [names(page)]
    while page.cursor:
        page = catalog.ledger_page(selection, limit, page.cursor)
        pages.append(names(page))
    return pages


class TestEntriesOfObjects:
    def test_entries_are_sorted_by_generation(self, catalog: Catalog) -> None:
        first = LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.FAILED, reason="not an image")
        second = LedgerEntry("inbox", "a.jpg", "10", LedgerStatus.DONE, photo="a")
        other_bucket = LedgerEntry("other", "a.jpg", "9", LedgerStatus.DONE)
        for entry in (second, first, other_bucket):
            catalog.record_ledger_entry(entry)
        assert catalog.ledger_entries("inbox", ["a.jpg", "b.jpg"]) == [first, second]
        assert catalog.ledger_entries("other", ["a.jpg"]) == [other_bucket]
        assert catalog.ledger_entries("inbox", []) == []

    def test_recorded_entry_is_replaced(self, catalog: Catalog) -> None:
        catalog.record_ledger_entry(LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.FAILED, reason="broken"))
        done = LedgerEntry("inbox", "a.jpg", "9", LedgerStatus.DONE, photo="a")
        catalog.record_ledger_entry(done)
        assert catalog.ledger_entries("inbox", ["a.jpg"]) == [done]

    def test_entry_is_recorded_only_with_its_photo(self, catalog: Catalog) -> None:
        first, second = (LedgerEntry("inbox", "look.jpg", number, DONE, photo="look") for number in ("1", "2"))
        catalog.add_photo(photo(), [garment()], MODEL, None, first)
        with pytest.raises(Conflict):
            catalog.add_photo(photo(), [garment(number=1)], MODEL, None, second)
        assert catalog.ledger_entries("inbox", ["look.jpg"]) == [first]

    def test_entries_of_a_photo_match_its_exact_name(self, catalog: Catalog) -> None:
        old, new = (LedgerEntry("inbox", "a.jpg", number, LedgerStatus.DONE, photo="a") for number in ("9", "10"))
        for entry in (new, old, *(replace(old, name=f"{name}.jpg", photo=name) for name in ("A", "b"))):
            catalog.record_ledger_entry(entry)
        assert catalog.ledger_entries_of_photo("a") == [old, new]
        assert catalog.ledger_entries_of_photo("nothing") == []

    def test_any_file_name_is_accepted(self, catalog: Catalog) -> None:
        names = ["x" * 2000, "A.jpg", "a.jpg", "a.jpg ", "bad\udcff.jpg", "é/👗.png"]
        for name in names:
            catalog.record_ledger_entry(LedgerEntry("/in box/", name, "1", LedgerStatus.DONE))
        assert [entry.name for entry in catalog.ledger_entries("/in box/", names)] == sorted(names)

    def test_entry_has_the_time_of_its_recording(self, catalog: Catalog, record: Record) -> None:
        record("a.jpg", 90)
        (entry,) = catalog.ledger_entries("inbox", ["a.jpg"])
        assert entry.recorded == START + timedelta(seconds=90)
        assert catalog.ledger_page(LedgerSelection(), 10).entries[0].recorded == entry.recorded


class TestPages:
    def test_pages_list_each_entry_once_newest_first(self, catalog: Catalog, record: Record) -> None:
        for number in range(7):
            record(f"{number}.jpg", seconds=number)
        pages = all_pages(catalog, LedgerSelection(), 3)
        assert pages == [["6.jpg", "5.jpg", "4.jpg"], ["3.jpg", "2.jpg", "1.jpg"], ["0.jpg"]]
        assert [len(page) for page in all_pages(catalog, LedgerSelection(), 7)] == [7], "no empty last page"

    def test_entries_of_the_same_second_are_on_one_page_each(self, catalog: Catalog, record: Record) -> None:
        expected = {f"{number}.jpg" for number in range(9)} | {"old.jpg"}
        for name in expected:
            record(name, seconds=0 if name == "old.jpg" else 5)
        for generation in ("2", "10"):
            record("0.jpg", 5, generation=generation)
        listed = [name for page in all_pages(catalog, LedgerSelection(), 2) for name in page]
        assert len(listed) == 12 and set(listed) == expected and listed[-1] == "old.jpg"

    def test_new_entries_do_not_disturb_later_pages(self, catalog: Catalog, record: Record) -> None:
        for number in range(4):
            record(f"{number}.jpg", seconds=number)
        first = catalog.ledger_page(LedgerSelection(), 2)
        record("new.jpg", seconds=60)
        record("3.jpg", seconds=61)
        assert names(catalog.ledger_page(LedgerSelection(), 2, first.cursor)) == ["1.jpg", "0.jpg"]
        assert catalog.count_ledger_entries(LedgerSelection(), first.cursor) == {("inbox", DONE): 2}

    @pytest.mark.parametrize(
        "cursor", ["x", "20260506070809", "20260506070809.a", "2026.a.1", "20261306070809.a.1", "\udcff.a.\udcff"]
    )
    def test_unknown_cursor_is_rejected(self, catalog: Catalog, cursor: str) -> None:
        with pytest.raises(InvalidField) as error:
            catalog.ledger_page(LedgerSelection(), 2, cursor)
        assert error.value.details == {"field": "cursor"}


class TestSelection:
    def test_conditions_must_all_match(self, catalog: Catalog, record: Record) -> None:
        record("a/1.jpg", 1, FAILED)
        record("a/2.jpg", 2)
        record("b/3.jpg", 3, FAILED)
        record("a/1.jpg", 4, FAILED, bucket="other")
        for selection, expected in (
            (LedgerSelection(), ["a/1.jpg", "b/3.jpg", "a/2.jpg", "a/1.jpg"]),
            (LedgerSelection(FAILED), ["a/1.jpg", "b/3.jpg", "a/1.jpg"]),
            (LedgerSelection(bucket="inbox"), ["b/3.jpg", "a/2.jpg", "a/1.jpg"]),
            (LedgerSelection(FAILED, "inbox", "a/"), ["a/1.jpg"]),
            (LedgerSelection(None, "inbox", names=["a/2.jpg", "b/3.jpg", "c.jpg"]), ["b/3.jpg", "a/2.jpg"]),
            (LedgerSelection(names=["a/2.jpg"]), []),
            (LedgerSelection(None, "inbox", names=[]), []),
        ):
            assert names(catalog.ledger_page(selection, 10)) == expected, selection

    @pytest.mark.parametrize("prefix", ["Rot", "rote%", "rot_", "é", "e", "rot ", "日", "\udcff", "x" * 300])
    def test_prefix_matches_exact_text(self, catalog: Catalog, record: Record, prefix: str) -> None:
        stored = [
            "rot.jpg",
            "Rot.jpg",
            "rote%.jpg",
            "rote.jpg",
            "rot_x",
            "rotax",
            "é.jpg",
            "e.jpg",
            "rot x",
            "rot",
            "日本",
        ]
        for name in stored:
            record(name)
        expected = {name for name in stored if name.startswith(prefix)}
        assert set(names(catalog.ledger_page(LedgerSelection(prefix=prefix), 50))) == expected

    def test_bucket_matches_exact_text(self, catalog: Catalog, record: Record) -> None:
        for bucket in ("file:/a", "file:/A", "file:/a ", "file:/b\udcff"):
            record("x.jpg", bucket=bucket)
            assert len(catalog.ledger_page(LedgerSelection(bucket=bucket), 50).entries) == 1
        assert len(catalog.count_ledger_entries(LedgerSelection())) == 4

    def test_entries_of_reembedding_are_not_selected(self, catalog: Catalog, record: Record) -> None:
        record("look_segment_0", bucket="reembed:compact-6", status=FAILED)
        assert catalog.ledger_page(LedgerSelection(), 10).entries == []
        assert catalog.count_ledger_entries(LedgerSelection()) == {}
        assert catalog.ledger_entries("reembed:compact-6", ["look_segment_0"])


class TestCounts:
    def test_entries_are_counted_by_bucket_and_status(self, catalog: Catalog, record: Record) -> None:
        for number in range(3):
            record(f"{number}.jpg")
        record("3.jpg", status=FAILED)
        record("4.jpg", status=FAILED, bucket="file:/photos")
        counts = {("inbox", DONE): 3, ("inbox", FAILED): 1, ("file:/photos", FAILED): 1}
        assert catalog.count_ledger_entries(LedgerSelection()) == counts
        assert catalog.count_ledger_entries(LedgerSelection(FAILED, "inbox")) == {("inbox", FAILED): 1}

    def test_ingested_photos_are_counted_from_a_time_on(self, catalog: Catalog, record: Record) -> None:
        for number in range(5):
            record(f"{number}.jpg", seconds=10 * number)
        record("bad.jpg", 40, FAILED)
        catalog.record_ledger_entry(LedgerEntry("inbox", "old.jpg", "1", DONE, None, "superseded"))
        assert catalog.count_ingested_photos(LedgerSelection(), START + timedelta(seconds=20)) == 3
        assert catalog.count_ingested_photos(LedgerSelection(prefix="4"), START) == 1
