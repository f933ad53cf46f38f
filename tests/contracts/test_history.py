"""Contract of the port `History`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lookalike.domain.errors import InvalidField, NotFound
from lookalike.domain.history import Choice, PastHit, PastSearch, PhotoVectors
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


def test_vectors_of_photos_are_stored_with_the_search_and_deleted_with_it(history: FakeCatalog) -> None:
    vectors = np.eye(2, 640, dtype=np.float32)
    saved = replace(search("one"), photo_vectors=PhotoVectors.encode("model-1", vectors))
    history.save_searches([saved], 9)
    stored = history.get_search("anna", "one")
    assert stored and (stored.photo_vectors, stored.request) == (saved.photo_vectors, saved.request)
    assert history.list_searches("anna", 1)[0].photo_vectors == saved.photo_vectors
    history.delete_searches("anna", "one")
    history.save_searches([search("one")], 9)
    assert history.list_searches("anna", 9)[0].photo_vectors is None


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


def choice(row_id: int, minute: int = 0) -> Choice:
    return Choice(row_id, START + timedelta(minutes=minute))


class TestChoices:
    """Results that users chose."""

    def test_choices_are_returned_with_their_search_in_order_of_time(self, history: FakeCatalog) -> None:
        row_ids = add_photo(history, "look", 3)
        history.save_searches([search(row_ids=tuple(row_ids)), search("two", row_ids=tuple(row_ids))], 9)
        assert history.add_choice("anna", "one", choice(row_ids[1], 7)) == choice(row_ids[1], 7)
        history.add_choice("anna", "one", choice(row_ids[2], 5))
        found, other = history.get_search("anna", "one"), history.get_search("anna", "two")
        assert found and found.choices == (choice(row_ids[2], 5), choice(row_ids[1], 7))
        assert other and not other.choices and not any(one.choices for one in history.list_searches("anna", 9))

    def test_second_choice_of_a_hit_changes_nothing(self, history: FakeCatalog) -> None:
        (row_id,) = add_photo(history)
        history.save_searches([search(row_ids=(row_id, row_id))], 9)
        for minute in (3, 8, 1):
            assert history.add_choice("anna", "one", choice(row_id, minute)) == choice(row_id, 3)
        found = history.get_search("anna", "one")
        assert found and found.choices == (choice(row_id, 3),)

    def test_only_hits_of_own_searches_can_be_chosen(self, history: FakeCatalog) -> None:
        row_ids = add_photo(history, "look", 2)
        history.save_searches([search(row_ids=(row_ids[0],)), search("berts", "bert", row_ids=(row_ids[0],))], 9)
        for owner, name, row_id in (
            ("anna", "one", row_ids[1]),
            ("anna", "one", 10_000),
            ("anna", "one", 2**70),
            ("anna", "two", row_ids[0]),
            ("anna", "berts", row_ids[0]),
            ("clara", "one", row_ids[0]),
            ("anna", "x" * 300, row_ids[0]),
            ("\ud800", "one", row_ids[0]),
        ):
            with pytest.raises(NotFound):
                history.add_choice(owner, name, choice(row_id))
        assert history.list_chosen_searches(9) == []

    def test_choices_are_deleted_with_their_search(self, history: FakeCatalog) -> None:
        (row_id,) = add_photo(history)
        for owner, name in (("anna", "one"), ("anna", "two"), ("bert", "one")):
            history.save_searches([search(name, owner, row_ids=(row_id,))], 9)
            history.add_choice(owner, name, choice(row_id))
        history.delete_searches("anna", "one")
        # the same id again: nothing of the deleted search may come back
        history.save_searches([search("one", row_ids=(row_id,))], 9)
        assert [(one.owner, one.id) for one in history.list_chosen_searches(9)] == [("anna", "two"), ("bert", "one")]
        history.delete_searches("anna")
        history.save_searches([search(name, row_ids=(row_id,)) for name in ("one", "two")], 9)
        assert [(one.owner, one.id) for one in history.list_chosen_searches(9)] == [("bert", "one")]

    def test_choices_are_deleted_with_searches_above_the_maximum(self, history: FakeCatalog) -> None:
        (row_id,) = add_photo(history)
        history.save_searches([search("old", minute=0, row_ids=(row_id,))], 9)
        history.add_choice("anna", "old", choice(row_id))
        history.save_searches([search("new", minute=1)], 1)
        history.save_searches([search("old", minute=2, row_ids=(row_id,))], 9)
        assert history.list_chosen_searches(9) == []

    def test_replaced_search_has_no_choices(self, history: FakeCatalog) -> None:
        (row_id,) = add_photo(history)
        for _ in range(2):
            history.save_searches([search(row_ids=(row_id,))], 9)
            assert history.list_chosen_searches(9) == []
            history.add_choice("anna", "one", choice(row_id))

    def test_choices_are_deleted_with_their_garment(self, history: FakeCatalog) -> None:
        row_ids = add_photo(history, "look", 2)
        history.save_searches([search(row_ids=tuple(row_ids)), search("two", row_ids=tuple(row_ids))], 9)
        for name, row_id in (("one", row_ids[0]), ("one", row_ids[1]), ("two", row_ids[0])):
            history.add_choice("anna", name, choice(row_id))
        history.delete_segment("look_segment_0")
        (left,) = history.list_chosen_searches(9)
        assert left.id == "one" and left.choices == (choice(row_ids[1]),)
        with pytest.raises(NotFound):
            history.add_choice("anna", "two", choice(row_ids[0]))

    def test_chosen_searches_are_listed_in_pages(self, history: FakeCatalog) -> None:
        (row_id,) = add_photo(history)
        saved = [search(name, owner, row_ids=(row_id,)) for owner in ("bert", "anna", "Ärmel") for name in "cab"]
        history.save_searches(saved, 9)
        for one in saved:
            if one.id != "c":
                history.add_choice(one.owner, one.id, choice(row_id))
        first = history.list_chosen_searches(4)
        assert [(one.owner, one.id) for one in first] == [("anna", "a"), ("anna", "b"), ("bert", "a"), ("bert", "b")]
        assert first[0].hits and first[0].choices == (choice(row_id),)
        rest = history.list_chosen_searches(4, (first[-1].owner, first[-1].id))
        assert [(one.owner, one.id) for one in rest] == [("Ärmel", "a"), ("Ärmel", "b")]
        assert history.list_chosen_searches(4, ("Ärmel", "b")) == []

    def test_concurrent_choices_of_a_hit_are_one(self, world: World) -> None:
        history: FakeCatalog = world.catalog  # type: ignore[assignment]
        (row_id,) = add_photo(history)
        history.save_searches([search(row_ids=(row_id,))], 9)
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda minute: history.add_choice("anna", "one", choice(row_id, minute)), range(8)))
        assert len(set(results)) == 1
        (found,) = history.list_chosen_searches(9)
        assert list(found.choices) == results[:1]
