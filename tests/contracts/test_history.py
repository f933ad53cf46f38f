"""The contract of the port `History`."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.errors import InvalidField
from lookalike.domain.model import PastHit, PastSearch
from tests.contracts.rows import World, add
from tests.fakes.catalog import FakeCatalog

START = datetime(2026, 11, 24, 6, 0, 0, 5000, tzinfo=UTC)


@pytest.fixture
def history(world: World) -> FakeCatalog:
    """Typed as the fake: every catalogue is this port, too."""
    return world.catalogue  # type: ignore[return-value]


def search(
    name: str = "one", owner: str = "anna", minute: int = 0, row_ids: tuple[int, ...] = (), **asked: object
) -> PastSearch:
    hits = [PastHit(number % 2, row_id, 0.5 - number / 64) for number, row_id in enumerate(row_ids)]
    return PastSearch(name, owner, START + timedelta(minutes=minute), {"num": 5, **asked}, hits)


def test_what_was_asked_and_found_comes_back(history: FakeCatalog) -> None:
    row_ids = add(history, "look", 3)
    asked = search("one", row_ids=(row_ids[2], row_ids[0]), filter={"brand": "Ünter'\"", "rating": {"min": 4.5}})
    history.remember(asked, 9)
    assert history.search_of("anna", "one") == asked
    assert history.search_of("anna", "two") is None and history.search_of("bert", "one") is None


def test_the_newest_come_first_in_pages(history: FakeCatalog) -> None:
    for minute in (2, 0, 3, 1):
        history.remember(search(f"at {minute}", minute=minute), 9)
    history.remember(search("berts", "bert"), 9)
    first = history.searches_of("anna", 3)
    assert [one.id for one in first] == ["at 3", "at 2", "at 1"] and not any(one.hits for one in first)
    assert [one.id for one in history.searches_of("anna", 3, first[-1].searched_at)] == ["at 0"]


def test_one_id_may_be_several_users_and_is_replaced_for_one(history: FakeCatalog) -> None:
    (row_id,) = add(history)
    for owner in ("anna", "bert"):
        history.remember(search("same", owner, row_ids=(row_id,)), 9)
    history.remember(search("same", "anna", minute=5), 9)
    anna, bert = history.search_of("anna", "same"), history.search_of("bert", "same")
    assert anna and bert and (len(anna.hits), len(bert.hits)) == (0, 1)
    assert len(history.searches_of("anna", 9)) == 1


def test_the_oldest_are_forgotten(history: FakeCatalog) -> None:
    history.remember(search("berts", "bert"), 2)
    for minute in range(5):
        history.remember(search(f"at {minute}", minute=minute), 3)
    assert [one.id for one in history.searches_of("anna", 9)] == ["at 4", "at 3", "at 2"]
    assert history.search_of("anna", "at 0") is None and history.search_of("bert", "berts")


def test_what_is_forgotten_is_gone(history: FakeCatalog) -> None:
    for name in ("one", "two", "three"):
        history.remember(search(name), 9)
    history.remember(search("one", "bert"), 9)
    assert history.forget_searches("anna", "one") == 1 and history.forget_searches("anna", "one") == 0
    assert history.search_of("anna", "one") is None and history.search_of("bert", "one")
    assert history.forget_searches("anna") == 2 and history.searches_of("anna", 9) == []
    assert len(history.searches_of("bert", 9)) == 1


def test_a_garment_that_is_deleted_is_in_none_of_them(history: FakeCatalog) -> None:
    row_ids = add(history, "look", 3)
    history.remember(search(row_ids=tuple(row_ids)), 9)
    history.delete_segment("look_segment_1")
    found = history.search_of("anna", "one")
    assert found and [hit.row_id for hit in found.hits] == [row_ids[0], row_ids[2]]


def test_a_garment_that_was_deleted_meanwhile_is_not_remembered(history: FakeCatalog) -> None:
    row_ids = add(history, "look", 2)
    history.delete_segment("look_segment_0")
    history.remember(search(row_ids=(*row_ids, 10_000)), 9)
    found = history.search_of("anna", "one")
    assert found and [hit.row_id for hit in found.hits] == row_ids[1:]


def test_what_is_no_name_is_refused_and_not_found(history: FakeCatalog) -> None:
    for name in ("x" * 300, "\ud800"):
        with pytest.raises(InvalidField):
            history.remember(search(name), 9)
        assert history.search_of("anna", name) is None and history.forget_searches("anna", name) == 0
