"""Contract of the port `DuplicateDecisions`."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lookalike.adapters.catalog import SqlCatalog
from lookalike.domain.duplicates import Decision
from lookalike.domain.history import Choice, PastHit, PastSearch
from lookalike.domain.model import LedgerEntry, LedgerStatus
from tests.contracts.databases import execute
from tests.contracts.rows import MODEL, World, add_photo
from tests.fakes.catalog import FakeCatalog

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACCEPTED, REJECTED = Decision.ACCEPTED, Decision.REJECTED


@pytest.fixture
def duplicates(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


def test_rows_are_listed_in_pages(duplicates: FakeCatalog) -> None:
    row_ids = add_photo(duplicates, "a", 3)
    add_photo(duplicates, "other", 1, "other-model")
    row_ids += add_photo(duplicates, "b", 2)
    assert duplicates.next_row_ids(MODEL, 0, 2) == row_ids[:2]
    assert duplicates.next_row_ids(MODEL, row_ids[1], 9) == row_ids[2:]
    assert duplicates.next_row_ids(MODEL, row_ids[-1], 9) == duplicates.next_row_ids("unknown", 0, 9) == []


def test_decision_is_kept_in_either_order_until_it_is_removed(duplicates: FakeCatalog) -> None:
    first, second, third = add_photo(duplicates, "a", 3)
    assert duplicates.decide_duplicate(second, first, ACCEPTED) and duplicates.decide_duplicate(second, third, REJECTED)
    expected = {(first, second): ACCEPTED, (second, third): REJECTED}
    assert duplicates.duplicate_decisions([second]) == expected == duplicates.duplicate_decisions([first, third])
    assert duplicates.duplicate_decisions([first]) == {(first, second): ACCEPTED}
    assert duplicates.decide_duplicate(first, second, REJECTED)
    assert duplicates.duplicate_decisions([first]) == {(first, second): REJECTED}
    assert duplicates.decide_duplicate(third, second, None) and duplicates.duplicate_decisions([third]) == {}


def test_decision_needs_both_rows_and_ends_with_one_of_them(duplicates: FakeCatalog) -> None:
    first, second, third = add_photo(duplicates, "a", 3)
    assert not duplicates.decide_duplicate(first, third + 100, ACCEPTED)
    assert duplicates.decide_duplicate(first, second, ACCEPTED) and duplicates.decide_duplicate(first, third, ACCEPTED)
    duplicates.delete_segment("a_segment_1")
    assert duplicates.duplicate_decisions([first, second, third]) == {(first, third): ACCEPTED}
    assert not duplicates.decide_duplicate(first, second, ACCEPTED)


def test_accepted_pairs_are_listed_in_pages(duplicates: FakeCatalog) -> None:
    one, two, three, four = add_photo(duplicates, "a", 4)
    for pair in ((two, three), (one, four), (one, two)):
        duplicates.decide_duplicate(*pair, ACCEPTED)
    duplicates.decide_duplicate(one, three, REJECTED)
    assert duplicates.accepted_duplicates((0, 0), 2) == [(one, two), (one, four)]
    assert duplicates.accepted_duplicates((one, four), 9) == [(two, three)]


def search(name: str, *hits: tuple[int, int]) -> PastSearch:
    return PastSearch(name, "anna", NOON, {}, [PastHit(garment, row_id, 0.5) for garment, row_id in hits])


def test_history_refers_to_the_other_row_once(duplicates: FakeCatalog) -> None:
    old, new, third = add_photo(duplicates, "a", 3)
    searches = [
        search("old", (0, old), (0, third)),
        search("both", (0, new), (0, old), (1, old)),
        search("new", (0, new)),
    ]
    duplicates.save_searches(searches, 9)
    for name, row_id in (("old", old), ("both", old), ("both", new)):
        duplicates.add_choice("anna", name, Choice(row_id, NOON))
    assert duplicates.move_references(old, new) == 3
    duplicates.delete_segment("a_segment_0")
    found = {name: duplicates.get_search("anna", name) for name in ("old", "both", "new")}
    hits = {name: [(hit.garment_index, hit.row_id) for hit in one.hits] for name, one in found.items() if one}
    assert hits == {"old": [(0, new), (0, third)], "both": [(0, new), (1, new)], "new": [(0, new)]}
    choices = {name: [choice.row_id for choice in one.choices] for name, one in found.items() if one}
    assert choices == {"old": [new], "both": [new], "new": []}


def test_decisions_about_the_other_row_are_kept(duplicates: FakeCatalog) -> None:
    old, new, third, fourth = add_photo(duplicates, "a", 4)
    for first, second, decision in ((old, new, ACCEPTED), (old, third, ACCEPTED), (old, fourth, ACCEPTED)):
        duplicates.decide_duplicate(first, second, decision)
    duplicates.decide_duplicate(new, third, REJECTED)
    assert duplicates.move_references(old, new) == 0
    duplicates.delete_segment("a_segment_0")
    assert duplicates.duplicate_decisions([new]) == {(new, third): REJECTED, (new, fourth): ACCEPTED}


def test_ledger_names_the_other_photo_only_for_the_last_row(duplicates: FakeCatalog) -> None:
    rows = add_photo(duplicates, "a", 2)
    (new,) = add_photo(duplicates, "b")
    entry = LedgerEntry("bucket", "a.jpg", "7", LedgerStatus.DONE, "a")
    duplicates.record_ledger_entry(entry)
    assert duplicates.move_references(rows[0], new) == 0
    duplicates.delete_segment("a_segment_0")
    assert duplicates.move_references(rows[1], new) == 1
    assert duplicates.ledger_entries_of_photo("b") == [replace(entry, photo="b")]


def test_references_to_a_missing_row_are_not_moved(duplicates: FakeCatalog) -> None:
    (row_id,) = add_photo(duplicates)
    duplicates.save_searches([search("one", (0, row_id))], 9)
    assert duplicates.move_references(row_id, row_id + 1) == duplicates.move_references(row_id + 1, row_id) == 0
    found = duplicates.get_search("anna", "one")
    assert found and [hit.row_id for hit in found.hits] == [row_id]


def test_pictures_of_products_show_the_other_garment(world: World, sql: SqlCatalog) -> None:
    old, new = *add_photo(sql, "a"), *add_photo(sql, "b")
    assert world.url
    columns = "(product, position, address, photo, garment, status)"
    values = "('p', 0, 'https://shop.example/a.jpg', 'a', 'a_segment_0', 'stored')"
    execute(world.url, f"INSERT INTO product_pictures {columns} VALUES {values}")
    assert sql.move_references(old, new) == 1
    with sql.transaction() as tx:
        rows = tx.exec_driver_sql("SELECT photo, garment FROM product_pictures").all()
    assert [tuple(row) for row in rows] == [("b", "b_segment_0")]
