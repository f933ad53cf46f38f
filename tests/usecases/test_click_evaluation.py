"""Evaluation by the results that users chose."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from lookalike.domain.errors import NotFound
from lookalike.domain.history import Choice, PastHit, PastSearch
from lookalike.usecases import click_evaluation
from lookalike.usecases.click_evaluation import evaluate_clicks
from tests.contracts.rows import add_photo
from tests.fakes.catalog import FakeCatalog

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def history() -> FakeCatalog:
    return FakeCatalog()


def save(history: FakeCatalog, name: str, groups: Sequence[Sequence[int]], *chosen: int, owner: str = "anna") -> None:
    """Save a search with a list of row ids for each query garment, and choose some of them."""
    hits = [PastHit(number, row_id, 0.5) for number, row_ids in enumerate(groups) for row_id in row_ids]
    history.save_searches([PastSearch(name, owner, NOW, {}, hits)], 500)
    for row_id in chosen:
        history.add_choice(owner, name, Choice(row_id, NOW))


def means(history: FakeCatalog) -> list[float]:
    return [estimate.mean for estimate in evaluate_clicks(history).estimates]


def test_place_of_the_chosen_result_counts(history: FakeCatalog) -> None:
    rows = add_photo(history, "look", 12)
    save(history, "first", [rows], rows[0])
    save(history, "fourth", [rows], rows[3])
    save(history, "last", [rows], rows[11])
    save(history, "not chosen", [rows])
    assert means(history) == pytest.approx([(1 + 1 / 4 + 1 / 12) / 3, 1 / 3, 2 / 3])
    report = evaluate_clicks(history)
    assert (report.searches, report.users, report.mean_hits) == (3, 1, 12)


def test_first_of_several_choices_counts(history: FakeCatalog) -> None:
    rows = add_photo(history, "look", 5)
    save(history, "one", [rows], rows[4], rows[1])
    assert means(history) == [0.5, 0, 1]


def test_each_query_garment_has_a_ranking_of_its_own(history: FakeCatalog) -> None:
    rows = add_photo(history, "look", 5)
    save(history, "one", [rows[:3], rows[3:]], rows[3])
    assert means(history) == [1, 1, 1]


def test_deleted_garments_are_left_out(history: FakeCatalog) -> None:
    rows = add_photo(history, "look", 4)
    save(history, "one", [rows], rows[3])
    save(history, "two", [rows], rows[0])
    history.delete_segment("look_segment_0")
    assert means(history) == pytest.approx([1 / 3, 0, 1])


def test_searches_of_all_users_are_read_in_pages(history: FakeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click_evaluation, "PAGE_SIZE", 2)
    rows = add_photo(history, "look", 3)
    for number, owner in enumerate(["anna", "bert", "clara"] * 3):
        save(history, f"search {number}", [rows], rows[0] if owner == "anna" else rows[1], owner=owner)
    report = evaluate_clicks(history)
    assert (report.searches, report.users) == (9, 3)
    assert report.estimates[0].mean == pytest.approx(2 / 3)
    # users are drawn as a whole: all of them may be Bert, or all Anna
    assert (report.estimates[0].low, report.estimates[0].high) == (0.5, 1)


def test_history_without_choices_is_reported(history: FakeCatalog) -> None:
    rows = add_photo(history, "look", 2)
    save(history, "one", [rows])
    with pytest.raises(NotFound, match="POST /feedback"):
        evaluate_clicks(history)
