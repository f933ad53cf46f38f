"""Contract of the port `Catalog`: a stored garment gets another image and vector."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from lookalike.domain.duplicates import Decision
from lookalike.domain.errors import Cancelled, InvalidField
from lookalike.domain.model import Box, JobStatus, NewSegment
from lookalike.domain.ports import Catalog
from tests.contracts.rows import ANNA, MODEL, World, add_photo, deleted_ids, garment, written_ids
from tests.fakes.catalog import FakeCatalog

OTHER = "other-1"


def new_cut_out(name: str = "look_segment_0", vector: tuple[float, ...] = (1.0, 0.0)) -> NewSegment:
    unit = np.array(vector, np.float32)
    paths = ("look/segment_0.b.png", "look/segment_0.b.thumbnail.jpg")
    return NewSegment(name, *paths, Box(3, 4, 50, 60.5), "skirt", None, unit, (10.0, 2.0, 3.0))


@pytest.fixture
def full_catalog(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements its other ports."""
    return world.catalog  # type: ignore[return-value]


def test_everything_but_id_name_and_time_is_replaced(catalog: Catalog) -> None:
    row_id, other_id = add_photo(catalog, count=2)
    before, other, commit = catalog.segment(row_id), catalog.segment(other_id), catalog.changes(MODEL, 0).last_commit
    assert before is not None
    stored = catalog.replace_segment(row_id, new_cut_out(), MODEL)
    new = new_cut_out()
    expected = replace(
        before, path=new.path, thumbnail=new.thumbnail, box=new.box, label="skirt", score=None, color=new.color
    )
    assert stored == expected == catalog.segment("look_segment_0")
    assert catalog.segment(other_id) == other
    assert np.array_equal(catalog.vectors(MODEL, [row_id])[row_id], new.vector)
    changes = catalog.changes(MODEL, commit)
    assert written_ids(changes) == [row_id] and deleted_ids(changes) == [] and changes.last_commit > commit
    paths = [before.path, new.path, new.thumbnail]
    assert catalog.referenced_paths(paths) == {new.path, new.thumbnail}


def test_indexes_of_other_embedders_lose_the_row_until_it_has_a_vector_again(full_catalog: FakeCatalog) -> None:
    (row_id,) = add_photo(full_catalog)
    full_catalog.add_vectors(OTHER, {row_id: np.array([0, 1], np.float32)})
    commit = full_catalog.changes(MODEL, 0).last_commit
    full_catalog.replace_segment(row_id, new_cut_out(), MODEL)
    assert full_catalog.vectors(OTHER, [row_id]) == {} and full_catalog.count_missing_vectors(OTHER) == 1
    assert deleted_ids(full_catalog.changes(OTHER, commit)) == [row_id]
    assert deleted_ids(full_catalog.changes(MODEL, commit)) == []
    full_catalog.add_vectors(OTHER, {row_id: np.array([1, 0], np.float32)})
    changes = full_catalog.changes(OTHER, commit)
    assert written_ids(changes) == [row_id] and deleted_ids(changes) == []


@pytest.mark.parametrize("times", [1, 2])
def test_vector_of_another_embedder_takes_the_place_of_the_old_one(full_catalog: FakeCatalog, times: int) -> None:
    (row_id,) = add_photo(full_catalog, embedder=OTHER)
    commit = full_catalog.changes(MODEL, 0).last_commit
    for _ in range(times):
        full_catalog.replace_segment(row_id, new_cut_out(), MODEL)
    assert written_ids(full_catalog.changes(MODEL, commit)) == [row_id]
    assert deleted_ids(full_catalog.changes(OTHER, commit)) == [row_id]
    full_catalog.delete_segment("look_segment_0")
    for embedder in (MODEL, OTHER):
        changes = full_catalog.changes(embedder, commit)
        assert written_ids(changes) == [] and deleted_ids(changes) == [row_id]


def test_decisions_about_the_old_image_end(full_catalog: FakeCatalog) -> None:
    first, second = add_photo(full_catalog, count=2)
    full_catalog.decide_duplicate(first, second, Decision.REJECTED)
    full_catalog.replace_segment(first, new_cut_out(), MODEL)
    assert full_catalog.duplicate_decisions([first, second]) == {}


def test_job_is_completed_in_the_same_transaction(catalog: Catalog) -> None:
    (row_id,) = add_photo(catalog)
    before, commit = catalog.segment(row_id), catalog.changes(MODEL, 0).last_commit
    catalog.start_job("recut", "recut", ANNA)
    catalog.request_cancel("recut")
    with pytest.raises(Cancelled):
        catalog.replace_segment(row_id, new_cut_out(), MODEL, "recut")
    assert catalog.segment(row_id) == before and written_ids(catalog.changes(MODEL, commit)) == []
    catalog.start_job("again", "recut", ANNA)
    catalog.replace_segment(row_id, new_cut_out(), MODEL, "again")
    job = catalog.job("again")
    assert job is not None and job.status is JobStatus.COMPLETED


def test_missing_row_and_invalid_values(catalog: Catalog) -> None:
    assert catalog.replace_segment(4711, new_cut_out(), MODEL) is None
    (row_id,) = add_photo(catalog)
    with pytest.raises(InvalidField):
        catalog.replace_segment(row_id, replace(new_cut_out(), label="x" * 300), MODEL)


def test_replacement_and_deletion_at_once_leave_no_trace(catalog: Catalog) -> None:
    for _ in range(5):
        (row_id,) = add_photo(catalog)
        commit = catalog.changes(MODEL, 0).last_commit
        with ThreadPoolExecutor(2) as pool:
            replaced = pool.submit(catalog.replace_segment, row_id, new_cut_out(), MODEL)
            assert pool.submit(catalog.delete_segment, garment().name).result() is not None
            replaced.result()
        assert catalog.segment(row_id) is None and catalog.vectors(MODEL, [row_id]) == {}
        assert deleted_ids(catalog.changes(MODEL, commit)) == [row_id]
