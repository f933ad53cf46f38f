"""Inspection and repair of catalog, bucket and index, with fakes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.domain.errors import Conflict
from lookalike.domain.model import Segment
from lookalike.usecases.consistency import Findings, Inspection, Repair, RepairSummary
from lookalike.usecases.consistency.index_check import VersionCheck
from lookalike.usecases.consistency.object_paths import ObjectPaths
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.reindex import Reindex
from tests.fakes.catalog import FakeCatalog
from tests.usecases.test_recut import RecutHarness
from tests.usecases.upload_harness import BLUE, RED


class ConsistencyHarness(RecutHarness):
    """The photo `look` with two garments, and an index version of them."""

    def __init__(self, *, keep_originals: bool = True) -> None:
        super().__init__(keep_originals=keep_originals)
        self.versions = IndexVersions(self.store, NeighborsFormat(), b"key", "fake-1", 3, lambda: datetime.now(UTC))
        self.reindex = Reindex(self.catalog, self.versions)
        self.check = VersionCheck(self.catalog, self.versions)
        self.hours = 30.0

    def inspect(self) -> Findings:
        """Inspect as if all objects were `hours` old."""
        clock = lambda: datetime.now(UTC) + timedelta(hours=self.hours)  # noqa: E731
        return Inspection(self.catalog, self.catalog, self.store, self.check, clock).run()

    def repair(self, stores_photos: bool = False) -> RepairSummary:
        parts = self.segments, self.jobs, self.check, self.make_ingest, lambda: self.recut
        return Repair(self.catalog, self.catalog, self.store, *parts).run(self.inspect(), stores_photos)

    def segment(self, number: int = 0) -> Segment:
        found = self.catalog.segment(f"look_segment_{number}")
        assert found
        return found

    def restore_catalog(self, older: FakeCatalog) -> None:
        """Replace the database, as a restore does. Everything else stays."""
        self.catalog.__dict__.update(older.__dict__)


def test_healthy_system_has_no_findings_and_repair_changes_nothing() -> None:
    harness = ConsistencyHarness()
    harness.reindex.build()
    before = harness.paths()
    assert harness.inspect().is_empty and harness.inspect().summary() == ""
    assert harness.repair().done == {} and harness.paths() == before


def test_garment_without_image_is_cut_out_of_its_photo_again() -> None:
    harness = ConsistencyHarness()
    before = harness.segment()
    harness.store.delete(before.path)
    assert harness.inspect().recuttable == (before,)
    assert harness.repair().done == {"garments cut out again": 1}
    after = harness.segment()
    assert (after.row_id, after.box, after.label) == (before.row_id, before.box, before.label)
    assert harness.image(after).size == (20, 30) and after.thumbnail and harness.store.stat(after.thumbnail)
    assert harness.inspect().is_empty


def test_garment_without_image_and_photo_is_deleted_and_its_photo_kept() -> None:
    harness = ConsistencyHarness()
    harness.store.delete(harness.segment().path)
    harness.store.delete("look/original.jpg")
    findings = harness.inspect()
    assert findings.lost == (harness.segment(),) and [one.name for one in findings.without_original] == ["look"]
    assert "1 garments without an image and without a photo" in findings.summary()
    assert harness.repair().done == {"garments deleted": 1, "originals forgotten": 1}
    photo = harness.catalog.photo("look")
    assert harness.catalog.segment("look_segment_0") is None and harness.segment(1) and photo and photo.path is None
    assert harness.inspect().is_empty


def test_missing_thumbnail_is_computed_from_the_image() -> None:
    harness = ConsistencyHarness()
    thumbnail = str(harness.segment().thumbnail)
    data = harness.store.get(thumbnail)
    harness.store.delete(thumbnail)
    assert harness.inspect().without_thumbnail == (harness.segment(),)
    harness.repair()
    assert harness.store.get(thumbnail) == data


def test_unreadable_photo_is_reported_and_its_garment_kept() -> None:
    harness = ConsistencyHarness()
    harness.store.delete(harness.segment().path)
    harness.store.delete("look/original.jpg")
    harness.store.put("look/original.jpg", b"damaged", "image/jpeg")
    summary = harness.repair()
    assert list(summary.failed) == ["look_segment_0"] and summary.done == {}
    assert harness.segment()


def test_objects_of_running_uploads_are_kept() -> None:
    harness = ConsistencyHarness()
    for path in ("other/segment_0.png", "look/segment_9.png", "incoming/new.jpg", "index/fake-1/x/part"):
        harness.store.put(path, b"", "image/png")
    harness.hours = 23.9
    assert harness.inspect().is_empty
    harness.hours = 24.1
    assert [stored.path for stored in harness.inspect().orphans] == ["look/segment_9.png", "other/segment_0.png"]
    assert harness.repair().done == {"objects deleted": 2}
    assert {"incoming/new.jpg", "index/fake-1/x/part"} <= {*harness.paths()}


@pytest.mark.parametrize("stores_photos", [False, True])
def test_photo_without_row_is_stored_again_only_on_request(stores_photos: bool) -> None:
    harness = ConsistencyHarness()
    older = FakeCatalog()
    harness.restore_catalog(older)
    findings = harness.inspect()
    assert findings.unknown_photos == ("look",) and findings.orphans == ()
    before = harness.paths()
    done = harness.repair(stores_photos).done
    assert done == ({"photos stored again": 1} if stores_photos else {})
    assert len(harness.catalog.segments_of_photo("look")) == 2 * stores_photos
    assert harness.paths() == before


def test_failed_upload_leaves_the_only_copy_of_a_photo() -> None:
    harness = ConsistencyHarness()
    harness.restore_catalog(FakeCatalog())
    harness.store.delete("look/original.jpg")
    harness.store.put("look/original.jpg", b"damaged", "image/jpeg")
    assert list(harness.repair(stores_photos=True).failed) == ["look"]
    assert harness.store.get("look/original.jpg") == b"damaged"


def test_index_ahead_of_a_restored_catalog_is_rebuilt() -> None:
    harness = ConsistencyHarness()
    older = FakeCatalog()
    harness.upload_photo("newer", BLUE)
    harness.reindex.build()
    harness.restore_catalog(older)
    for build in (harness.reindex.build_if_due, harness.reindex.build):
        with pytest.raises(Conflict, match="doctor --repair"):
            build()
    assert "the catalog only 0" in harness.inspect().index_problem
    assert harness.repair().done["indexes rebuilt"] == 1
    assert harness.inspect().index_problem == "" and harness.reindex.build_if_due() is None


def test_index_of_another_history_is_found_when_the_commits_have_caught_up() -> None:
    harness = ConsistencyHarness()
    harness.upload_photo("newer", BLUE)
    harness.reindex.build()
    harness.restore_catalog(FakeCatalog())
    for number in range(5):
        harness.upload_photo(f"photo-{number}", RED)
    assert "differs from the catalog in" in harness.inspect().index_problem
    harness.repair()
    assert harness.inspect().index_problem == ""


def test_rows_changed_after_the_build_are_no_problem() -> None:
    harness = ConsistencyHarness()
    harness.reindex.build()
    harness.upload_photo("newer", BLUE)
    harness.segments.delete_segment("look_segment_1")
    assert harness.check.problem() == ""


@given(st.sets(st.text(max_size=5)), st.sets(st.text(max_size=5)))
def test_object_paths_know_exactly_the_given_paths(stored: set[str], wanted: set[str]) -> None:
    stored, wanted = ({path for path in paths if path.isprintable()} for paths in (stored, wanted))
    assert set(ObjectPaths(stored).missing(sorted(wanted))) == wanted - stored
    assert ObjectPaths(np.array(sorted(stored), dtype=object)).missing([]) == []
