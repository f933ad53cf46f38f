"""Cutting a stored garment out of its photo again: what is replaced, what is refused, and what an interruption leaves."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image

from lookalike import images
from lookalike.domain.errors import Cancelled, Conflict, InvalidField, NotFound, Unavailable
from lookalike.domain.model import Box, Caller, Detection, JobStatus, NewSegment, Segment
from lookalike.usecases.claims import Claims
from lookalike.usecases.models import Models
from lookalike.usecases.name_claims import NameClaims
from lookalike.usecases.recut import Recut, detection_of_box
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeEmbedder
from tests.fakes.store import FakeStore
from tests.usecases.upload_harness import UploadHarness

LEFT_HALF, RIGHT_HALF = Box(0, 0, 30, 40), Box(30, 0, 60, 40)


def two_colors() -> bytes:
    """Return a PNG of 60 x 40 pixels, red on the left and blue on the right."""
    photo = Image.new("RGB", (60, 40), "red")
    photo.paste("blue", (30, 0, 60, 40))
    return images.png(photo)


class RecutHarness(UploadHarness):
    """A stored photo with two garments, both on its left half."""

    def __init__(self, catalog: FakeCatalog | None = None, *, keep_originals: bool = True) -> None:
        super().__init__(FakeStore(), catalog, keep_originals=keep_originals)
        self.detector.detections = [
            Detection(Box(0, 0, 20, 30), "top", 0.9),
            Detection(Box(2, 2, 25, 38), "skirt", 0.8),
        ]
        self.upload_photo(data=two_colors())
        self.changes = 0
        models = Models(self.detector, FakeEmbedder(), max_waiting=4)
        claims = NameClaims(Claims(self.store, timedelta(seconds=60)), self.store, self.catalog)
        self.recut = Recut(models, self.store, self.catalog, claims, self._count_change)

    def _count_change(self) -> None:
        self.changes += 1

    def run(self, box: Box, key: str = "look_segment_0", label: str | None = None) -> Segment:
        with self.jobs.run_job("recut", Caller("anna"), "recut-job") as job:
            return self.recut.recut(key, box, job, label)

    def image(self, segment: Segment) -> Image.Image:
        return Image.open(io.BytesIO(self.store.get(segment.path)))

    def vector(self, segment: Segment) -> list[float]:
        return [round(float(value), 1) for value in self.catalog.vectors("fake-1", [segment.row_id])[segment.row_id]]


def test_recut_replaces_image_vector_color_and_box_of_one_garment() -> None:
    harness = RecutHarness()
    before, other = harness.catalog.segments_of_photo("look")
    stored = harness.run(RIGHT_HALF)
    assert (stored.row_id, stored.name, stored.label) == (before.row_id, before.name, "top")
    assert stored.box == RIGHT_HALF and stored.score is None
    assert harness.image(stored).size == (30, 40) and harness.vector(stored) == [0, 0, 1]
    assert stored.color and before.color and stored.color[2] < 0 < before.color[2]
    assert stored.thumbnail and harness.store.stat(stored.thumbnail)
    assert harness.catalog.segment(other.row_id) == other and harness.vector(other) == [1, 0, 0]
    assert harness.paths() == sorted(
        ["look/original.jpg", other.path, str(other.thumbnail), stored.path, str(stored.thumbnail)]
    )
    job = harness.catalog.job("recut-job")
    assert harness.changes == 1 and job and job.status is JobStatus.COMPLETED
    assert harness.run(LEFT_HALF, str(before.row_id), "dress").label == "dress"


def test_box_is_clipped_and_must_be_in_the_photo() -> None:
    harness = RecutHarness()
    assert harness.run(Box(-5, 10, 1000, 30)).box == Box(0, 10, 60, 30)
    before = harness.paths()
    for outside in (Box(60, 0, 90, 40), Box(10, 10, 10, 30), Box(20, 20, 10, 10), Box(5, 5, 5.5, 30)):
        with pytest.raises(InvalidField, match="60 x 40"):
            harness.run(outside)
    assert harness.paths() == before


def test_mask_and_score_of_a_detection_in_about_the_same_place_are_used() -> None:
    mask = np.zeros((40, 28), np.uint8)
    mask[:, :14] = 255
    harness = RecutHarness()
    harness.detector.detections = [Detection(Box(30, 0, 58, 40), "dress", 0.7, mask)]
    stored = harness.run(RIGHT_HALF)
    cut_out = harness.image(stored)
    assert stored.score == 0.7 and cut_out.mode == "RGBA" and cut_out.size == (30, 40)
    alpha = np.asarray(cut_out.getchannel("A"))
    assert alpha[:, :10].min() == 255 and alpha[:, 20:].max() == 0
    far = detection_of_box(LEFT_HALF, harness.detector.detections, (60, 40))
    assert far.mask is None and far.score is None


def test_photo_without_original_is_refused_and_nothing_changes() -> None:
    harness = RecutHarness(keep_originals=False)
    before = harness.paths()
    with pytest.raises(Conflict, match="without its original"):
        harness.run(RIGHT_HALF)
    assert harness.paths() == before
    harness = RecutHarness()
    harness.store.delete("look/original.jpg")
    with pytest.raises(Conflict, match="missing in the bucket"):
        harness.run(RIGHT_HALF)
    with pytest.raises(NotFound):
        harness.run(RIGHT_HALF, "unknown")
    assert harness.changes == 0


class InterruptedCatalog(FakeCatalog):
    """Calls `interrupt` instead of, or before, replacing a garment."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupt: Callable[[], object] = lambda: None
        self.fails_after = False

    def replace_segment(
        self, row_id: int, segment: NewSegment, embedder: str, job: str | None = None
    ) -> Segment | None:
        self.interrupt()
        stored = super().replace_segment(row_id, segment, embedder, job)
        if self.fails_after:
            raise Unavailable("The connection was lost after the commit")
        return stored


@pytest.mark.parametrize("kind", ["cancelled", "deleted"])
def test_change_that_comes_too_late_leaves_no_new_objects(kind: str) -> None:
    catalog = InterruptedCatalog()
    harness = RecutHarness(catalog)
    before, paths = catalog.segment("look_segment_0"), harness.paths()
    if kind == "cancelled":
        catalog.interrupt = lambda: catalog.request_cancel("recut-job")
    else:
        catalog.interrupt = lambda: harness.segments.delete_segment("look_segment_0")
    with pytest.raises(Cancelled if kind == "cancelled" else NotFound):
        harness.run(RIGHT_HALF)
    assert catalog.segment("look_segment_0") == (before if kind == "cancelled" else None)
    gone = set() if kind == "cancelled" else {"look/segment_0.png", "look/segment_0.thumbnail.jpg"}
    assert set(harness.paths()) == set(paths) - gone


def test_lost_response_of_the_commit_keeps_both_images_for_the_sweep() -> None:
    catalog = InterruptedCatalog()
    harness = RecutHarness(catalog)
    before = catalog.segment("look_segment_0")
    catalog.fails_after = True
    with pytest.raises(Unavailable):
        harness.run(RIGHT_HALF)
    stored = catalog.segment("look_segment_0")
    assert before and stored and stored != replace(before, box=RIGHT_HALF)
    assert harness.store.stat(before.path) and harness.image(stored).size == (30, 40)
    assert not harness.store.stat("look/claim")
