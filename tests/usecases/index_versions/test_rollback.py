"""An older index version counts again, and old ones are deleted."""

import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict, NotFound
from tests.usecases.index_harness import FOLDER, POINTER_PATH, IndexHarness, publish_version, unit_vectors


def test_the_version_before_counts_again_and_nothing_is_missing() -> None:
    world = IndexHarness()
    (first,) = world.add_rows(unit_vectors(1))
    old = world.reindex.build()
    live = world.open_live_index()
    (second,) = world.add_rows(unit_vectors(1))
    world.reindex.build()
    assert world.versions.roll_back() == old
    current = world.versions.current()
    assert current and current.version == old.version
    hits, info = live.index.search(unit_vectors(1), 9, CancelToken())
    assert {hit.row_id for hit in hits[0]} == {first, second}
    assert (info.version, info.rows, info.tail_rows) == (old.version, 2, 1)
    newest = world.reindex.build()
    assert newest.rows == 2 and world.open_live_index().index.warm().version == newest.version


def test_a_version_that_is_named_counts_again() -> None:
    world = IndexHarness()
    first = publish_version(world)
    publish_version(world)
    third = publish_version(world)
    assert world.versions.roll_back(first.version) == first
    assert world.versions.roll_back(third.version) == third
    with pytest.raises(NotFound):
        world.versions.roll_back("20200101T000000Z-abcdef")


def test_there_is_no_way_back_from_the_first() -> None:
    world = IndexHarness()
    with pytest.raises(NotFound):
        world.versions.roll_back()
    publish_version(world)
    with pytest.raises(NotFound, match="before"):
        world.versions.roll_back()


def test_scheduled_builds_leave_what_somebody_went_back_to(caplog: pytest.LogCaptureFixture) -> None:
    world = IndexHarness()
    world.add_rows(unit_vectors(2))
    old = world.reindex.build()
    world.reindex.build()
    world.versions.roll_back()
    world.add_rows(unit_vectors(2))
    assert world.reindex.build_if_due() is None and "pinned" in caplog.text
    pointer = world.versions.current()
    assert pointer and (pointer.version, pointer.pinned) == (old.version, True)
    newest = world.reindex.build()
    pointer = world.versions.current()
    assert pointer and (pointer.version, pointer.pinned) == (newest.version, False)
    world.add_rows(unit_vectors(1))
    assert world.reindex.build_if_due()


def test_a_version_that_is_not_whole_never_counts_again() -> None:
    world = IndexHarness()
    old = publish_version(world)
    newest = publish_version(world)
    world.store.delete(f"{FOLDER}/{old.version}/{ID_MAP_PART}")
    with pytest.raises(NotFound):
        world.versions.roll_back()
    current = world.versions.current()
    assert current and current.version == newest.version


def test_who_rolls_back_while_another_publishes_loses() -> None:
    world = IndexHarness()
    publish_version(world)
    publish_version(world)
    late = world.versions.current()
    assert late
    world.versions.current = lambda known=None: late  # type: ignore[method-assign]
    world.store.put(POINTER_PATH, world.store.get(POINTER_PATH) + b" ", "application/json", late.generation)
    with pytest.raises(Conflict):
        world.versions.roll_back()


@pytest.mark.parametrize(("keep", "left"), [(1, [0, 2]), (2, [0, 1, 2]), (9, [0, 1, 2])])
def test_old_versions_are_deleted_but_not_the_one_that_counts(keep: int, left: list[int]) -> None:
    world = IndexHarness()
    made = [publish_version(world) for _ in range(3)]
    world.versions.roll_back(made[0].version)
    gone = world.versions.prune(keep)
    assert [one.version for one in world.versions.list_manifests()] == [made[number].version for number in left]
    assert set(gone) == {one.version for one in made} - {made[number].version for number in left}
