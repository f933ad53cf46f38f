"""Contract of the port `History`."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.errors import InvalidField
from lookalike.domain.model import PastHit, PastSearch
from tests.contracts.rows import World, add_photo
from tests.fakes.catalog import FakeCatalog

START = datetime(2026, 11, 24, 6, 0, 0, 5000, tzinfo=UTC)


@pytest.fixture
def history(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


def search(
    name: str = "one", owner: str = "anna", minute: int = 0, row_ids: tuple[int, ...] = (), **fields: object
) -> PastSearch:
    hits = [PastHit(number % 2, row_id, 0.5 - number / 64) for number, row_id in enumerate(row_ids)]
    return PastSearch(name, owner, START + timedelta(minutes=minute), {"num": 5, **fields}, hits)


def test_search_is_stored_with_request_and_hits(history: FakeCatalog) -> None:
    row_ids = add_photo(history, "look", 3)
    saved = search("one", row_ids=(row_ids[2], row_ids[0]), filter={"brand": "Ünter'\"", "rating": {"min": 4.5}})
    history.save_searches([saved], 9)
    assert history.get_search("anna", "one") == saved
    assert history.get_search("anna", "two") is None and history.get_search("bert", "one") is None


def test_searches_are_listed_newest_first_in_pages(history: FakeCatalog) -> None:
    for minute in (2, 0, 3, 1):
        history.save_searches([search(f"at {minute}", minute=minute)], 9)
    history.save_searches([search("berts", "bert")], 9)
    first = history.list_searches("anna", 3)
    assert [past.id for past in first] == ["at 3", "at 2", "at 1"] and not any(past.hits for past in first)
    assert [past.id for past in history.list_searches("anna", 3, first[-1].searched_at)] == ["at 0"]


def test_search_ids_are_separate_for_each_owner(history: FakeCatalog) -> None:
    (row_id,) = add_photo(history)
    for owner in ("anna", "bert"):
        history.save_searches([search("same", owner, row_ids=(row_id,))], 9)
    history.save_searches([search("same", "anna", minute=5)], 9)
    anna, bert = history.get_search("anna", "same"), history.get_search("bert", "same")
    assert anna and bert and (len(anna.hits), len(bert.hits)) == (0, 1)
    assert len(history.list_searches("anna", 9)) == 1


def test_save_search_deletes_the_oldest(history: FakeCatalog) -> None:
    history.save_searches([search("berts", "bert")], 2)
    for minute in range(5):
        history.save_searches([search(f"at {minute}", minute=minute)], 3)
    assert [past.id for past in history.list_searches("anna", 9)] == ["at 4", "at 3", "at 2"]
    assert history.get_search("anna", "at 0") is None and history.get_search("bert", "berts")


def test_searches_of_several_owners_are_saved_at_once(history: FakeCatalog) -> None:
    (row_id,) = add_photo(history)
    history.save_searches([search("old", minute=-1)], 9)
    searches = [
        search("one", "anna", 1, (row_id,)),
        search("two", "bert", 2, (row_id, 10_000)),
        search("three", "anna", 3),
        search("old", "anna", 4),
    ]
    history.save_searches(searches, 2)
    assert [past.id for past in history.list_searches("anna", 9)] == ["old", "three"]
    two = history.get_search("bert", "two")
    assert two and [hit.row_id for hit in two.hits] == [row_id]


def test_delete_searches_deletes_one_or_all(history: FakeCatalog) -> None:
    for name in ("one", "two", "three"):
        history.save_searches([search(name)], 9)
    history.save_searches([search("one", "bert")], 9)
    assert history.delete_searches("anna", "one") == 1 and history.delete_searches("anna", "one") == 0
    assert history.get_search("anna", "one") is None and history.get_search("bert", "one")
    assert history.delete_searches("anna") == 2 and history.list_searches("anna", 9) == []
    assert len(history.list_searches("bert", 9)) == 1


def test_deleted_garment_is_removed_from_searches(history: FakeCatalog) -> None:
    row_ids = add_photo(history, "look", 3)
    history.save_searches([search(row_ids=tuple(row_ids))], 9)
    history.delete_segment("look_segment_1")
    found = history.get_search("anna", "one")
    assert found and [hit.row_id for hit in found.hits] == [row_ids[0], row_ids[2]]


def test_save_search_skips_deleted_garments(history: FakeCatalog) -> None:
    row_ids = add_photo(history, "look", 2)
    history.delete_segment("look_segment_0")
    history.save_searches([search(row_ids=(*row_ids, 10_000))], 9)
    found = history.get_search("anna", "one")
    assert found and [hit.row_id for hit in found.hits] == row_ids[1:]


def test_invalid_id_is_rejected_or_not_found(history: FakeCatalog) -> None:
    for name in ("x" * 300, "\ud800"):
        with pytest.raises(InvalidField):
            history.save_searches([search(name)], 9)
        assert history.get_search("anna", name) is None and history.delete_searches("anna", name) == 0
