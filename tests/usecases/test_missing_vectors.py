"""The count of garments that have vectors of other models only."""

import pytest

from lookalike.usecases import missing_vectors
from lookalike.usecases.missing_vectors import MissingVectors
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import EMBEDDER, IndexHarness, unit_vectors


def test_no_notice_if_every_garment_has_a_vector() -> None:
    harness = IndexHarness(FakeStore())
    harness.add_rows(unit_vectors(3))
    missing = MissingVectors(harness.catalog, EMBEDDER)
    assert (missing.count(), missing.notice()) == (0, None)


def test_the_notice_names_count_model_and_command() -> None:
    harness = IndexHarness(FakeStore())
    harness.add_rows(unit_vectors(3))
    notice = MissingVectors(harness.catalog, "newer-2").notice()
    assert notice and "3 garments have vectors of another model only" in notice
    assert "`lookalike reembed`" in notice and "newer-2" in notice


def test_rows_are_not_examined_if_the_index_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = IndexHarness(FakeStore())
    harness.add_rows(unit_vectors(3))
    monkeypatch.setattr(harness.catalog, "count_missing_vectors", lambda embedder: pytest.fail("counted"))
    assert MissingVectors(harness.catalog, EMBEDDER).count(searched_rows=3) == 0


def test_garments_are_counted_again_after_a_while_until_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = IndexHarness(FakeStore())
    row_ids = harness.add_rows(unit_vectors(2))
    missing = MissingVectors(harness.catalog, "newer-2")
    assert missing.count() == 2
    harness.catalog.add_vectors("newer-2", dict(zip(row_ids, unit_vectors(2), strict=True)))
    assert missing.count() == 2, "the count is still valid"
    monkeypatch.setattr(missing_vectors, "SECONDS_VALID", -1)
    assert missing.count() == 0
