"""Rolling back to an older index version, pinning and pruning."""

import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict, NotFound
from tests.usecases.index_harness import FOLDER, POINTER_PATH, IndexHarness, publish_version, unit_vectors


def test_roll_back_makes_previous_version_current_and_loses_no_rows() -> None:
    harness = IndexHarness()
    (first,) = harness.add_rows(unit_vectors(1))
    old = harness.reindex.build()
    live = harness.open_live_index()
    (second,) = harness.add_rows(unit_vectors(1))
    harness.reindex.build()
    assert harness.versions.roll_back() == old
    current = harness.versions.current()
    assert current and current.version == old.version
    hits, info = live.index.search(unit_vectors(1), 9, CancelToken())
    assert {hit.row_id for hit in hits[0]} == {first, second}
    assert (info.version, info.rows, info.tail_rows) == (old.version, 2, 1)
    newest = harness.reindex.build()
    assert newest.rows == 2 and harness.open_live_index().index.warm_up().version == newest.version


def test_roll_back_to_named_version() -> None:
    harness = IndexHarness()
    first = publish_version(harness)
    publish_version(harness)
    third = publish_version(harness)
    assert harness.versions.roll_back(first.version) == first
    assert harness.versions.roll_back(third.version) == third
    with pytest.raises(NotFound):
        harness.versions.roll_back("20200101T000000Z-abcdef")


def test_roll_back_from_first_version_raises_not_found() -> None:
    harness = IndexHarness()
    with pytest.raises(NotFound):
        harness.versions.roll_back()
    publish_version(harness)
    with pytest.raises(NotFound, match="before"):
        harness.versions.roll_back()


def test_scheduled_builds_keep_pinned_version(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(2))
    old = harness.reindex.build()
    harness.reindex.build()
    harness.versions.roll_back()
    harness.add_rows(unit_vectors(2))
    assert harness.reindex.build_if_due() is None and "pinned" in caplog.text
    pointer = harness.versions.current()
    assert pointer and (pointer.version, pointer.pinned) == (old.version, True)
    newest = harness.reindex.build()
    pointer = harness.versions.current()
    assert pointer and (pointer.version, pointer.pinned) == (newest.version, False)
    harness.add_rows(unit_vectors(1))
    assert harness.reindex.build_if_due()


def test_roll_back_rejects_incomplete_version() -> None:
    harness = IndexHarness()
    old = publish_version(harness)
    newest = publish_version(harness)
    harness.store.delete(f"{FOLDER}/{old.version}/{ID_MAP_PART}")
    with pytest.raises(NotFound):
        harness.versions.roll_back()
    current = harness.versions.current()
    assert current and current.version == newest.version


def test_roll_back_raises_conflict_if_pointer_changed() -> None:
    harness = IndexHarness()
    publish_version(harness)
    publish_version(harness)
    stale = harness.versions.current()
    assert stale
    harness.versions.current = lambda known=None: stale  # type: ignore[method-assign]
    harness.store.put(POINTER_PATH, harness.store.get(POINTER_PATH) + b" ", "application/json", stale.generation)
    with pytest.raises(Conflict):
        harness.versions.roll_back()


@pytest.mark.parametrize(("keep", "remaining"), [(1, [0, 2]), (2, [0, 1, 2]), (9, [0, 1, 2])])
def test_prune_keeps_newest_versions_and_current_one(keep: int, remaining: list[int]) -> None:
    harness = IndexHarness()
    published = [publish_version(harness) for _ in range(3)]
    harness.versions.roll_back(published[0].version)
    deleted = harness.versions.prune(keep)
    assert [manifest.version for manifest in harness.versions.list_manifests()] == [
        published[number].version for number in remaining
    ]
    assert set(deleted) == {manifest.version for manifest in published} - {
        published[number].version for number in remaining
    }
