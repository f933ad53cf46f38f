"""What an index of the original knows goes into the catalog, if it is that catalog's."""

import numpy as np
import pytest

from lookalike.domain.errors import Untrusted
from lookalike.domain.model import Vectors
from lookalike.usecases.import_index import ImportIndex
from tests.usecases.index_world import DIM, World, unit


def imported(world: World) -> ImportIndex:
    return ImportIndex(world.catalog, world.catalog, world.reindex)


def near(vectors: Vectors) -> Vectors:
    """As another machine's arithmetic would have it."""
    moved = vectors + np.float32(1e-4)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


def test_garments_without_a_vector_get_theirs_and_are_found() -> None:
    world, vectors = World(), unit(5)
    known, bare = world.add(vectors[:2]), world.add(unit(3, 4), "other-1")
    summary = imported(world).run(np.array([*known, *bare, 999]), np.concatenate([near(vectors), unit(1)]))
    assert (summary.known, summary.added, summary.unknown_rows) == (2, 3, 1)
    live = world.live()
    assert live.info().version == summary.version and live.info().rows == 5
    assert [live.ids(vector, 1)[0] for vector in vectors] == [*known, *bare]
    again = imported(world).run(np.array([*known, *bare]), near(vectors))
    assert (again.known, again.added, again.unknown_rows) == (5, 0, 0)


def refused(world: World, row_ids: list[int], vectors: Vectors, why: str) -> None:
    before = world.catalog.changes("fake-1", 0)
    with pytest.raises(Untrusted, match=why):
        imported(world).run(np.array(row_ids), vectors)
    assert world.versions.current() is None
    assert world.catalog.changes("fake-1", 0).row_ids.tolist() == before.row_ids.tolist()


def test_an_index_of_something_else_is_refused_and_changes_nothing() -> None:
    world, vectors = World(), unit(2)
    row_ids, bare = world.add(vectors), world.add(unit(1, 4), "other-1")
    refused(world, [*bare, *row_ids], unit(3, DIM + 1), "length 9, not 8")
    refused(world, [*bare, *row_ids], np.concatenate([unit(1), -vectors]), "Row 1 has another vector")
    refused(world, [1000, 1001], unit(2), "none of the index's rows")


def test_row_numbers_alone_do_not_tell_whose_an_index_is() -> None:
    """Every database counts from 1."""
    world = World()
    bare = world.add(unit(3, 4), "other-1")
    refused(world, bare, unit(3), "No garment has a vector to compare")
    assert imported(world).run(np.array(bare), unit(3), unchecked=True).added == 3


def test_a_vector_of_another_length_in_the_catalog_is_another_vector() -> None:
    world = World()
    (row_id,) = world.add(unit(1, DIM + 1))
    refused(world, [row_id], unit(1), f"Row {row_id} has another vector")
