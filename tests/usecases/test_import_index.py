"""Import of an index of the original system: it must belong to the catalog."""

import numpy as np
import pytest

from lookalike.domain.errors import Untrusted
from lookalike.domain.model import Vectors
from lookalike.usecases.import_index import ImportIndex
from tests.usecases.index_harness import DIM, IndexHarness, unit_vectors


def make_import(harness: IndexHarness) -> ImportIndex:
    return ImportIndex(harness.catalog, harness.catalog, harness.reindex)


def perturb(vectors: Vectors) -> Vectors:
    """Return slightly different unit vectors, as the arithmetic of another machine would compute."""
    moved = vectors + np.float32(1e-4)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


def assert_refused(harness: IndexHarness, row_ids: list[int], vectors: Vectors, message: str) -> None:
    """Check that an import fails with this message and changes nothing."""
    before = harness.catalog.changes("fake-1", 0)
    with pytest.raises(Untrusted, match=message):
        make_import(harness).run(np.array(row_ids), vectors)
    assert harness.versions.current() is None
    assert harness.catalog.changes("fake-1", 0).row_ids.tolist() == before.row_ids.tolist()


def test_import_adds_missing_vectors_and_publishes_a_version() -> None:
    harness, vectors = IndexHarness(), unit_vectors(5)
    # rows of another embedder lack a vector of this one
    known, missing = harness.add_rows(vectors[:2]), harness.add_rows(unit_vectors(3, 4), "other-1")
    row_ids, unknown_row = np.array([*known, *missing]), 999
    all_vectors = np.concatenate([perturb(vectors), unit_vectors(1)])
    summary = make_import(harness).run(np.append(row_ids, unknown_row), all_vectors)
    assert (summary.known, summary.added, summary.unknown_rows) == (2, 3, 1)
    live = harness.open_live_index()
    assert live.info().version == summary.version and live.info().rows == 5
    assert [live.search_ids(vector, 1)[0] for vector in vectors] == [*known, *missing]
    second = make_import(harness).run(row_ids, perturb(vectors))
    assert (second.known, second.added, second.unknown_rows) == (5, 0, 0)


def test_import_refuses_an_index_that_does_not_fit_the_catalog() -> None:
    harness, vectors = IndexHarness(), unit_vectors(2)
    known, missing = harness.add_rows(vectors), harness.add_rows(unit_vectors(1, 4), "other-1")
    assert_refused(harness, [*missing, *known], unit_vectors(3, DIM + 1), "length 9, not 8")
    different = np.concatenate([unit_vectors(1), -vectors])
    assert_refused(harness, [*missing, *known], different, "Row 1 has a different vector")
    assert_refused(harness, [1000, 1001], unit_vectors(2), "none of the index's rows")


def test_import_needs_a_vector_to_compare_with_unless_unchecked() -> None:
    """Matching row ids prove nothing, because every database counts from 1."""
    harness = IndexHarness()
    missing = harness.add_rows(unit_vectors(3, 4), "other-1")
    assert_refused(harness, missing, unit_vectors(3), "No garment has a vector to compare")
    assert make_import(harness).run(np.array(missing), unit_vectors(3), unchecked=True).added == 3


def test_import_refuses_a_row_whose_catalog_vector_has_another_length() -> None:
    harness = IndexHarness()
    (row_id,) = harness.add_rows(unit_vectors(1, DIM + 1))
    assert_refused(harness, [row_id], unit_vectors(1), f"Row {row_id} has a different vector")
