"""Reembed: new vectors for stored segments while searches use the old ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict, LookalikeError, Unavailable
from lookalike.domain.model import Vectors
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.reembed import BATCH_SIZE, Reembed
from lookalike.usecases.reindex import Reindex
from tests.fakes.models import FakeDetector
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import EMBEDDER, IndexHarness, unit_vectors

NEW_EMBEDDER = "color-1"


class ColorEmbedder:
    """Embedder whose vector is the RGBA color of the middle pixel.

    Counts embedded images in `image_count` and calls all of `callbacks` before each batch.
    """

    name, dim = NEW_EMBEDDER, 4

    def __init__(self) -> None:
        self.image_count, self.callbacks = 0, list[Callable[[], object]]()

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        self.image_count += len(images)
        for call in self.callbacks:
            call()
        pixels = [image.convert("RGBA").getpixel((1, 1)) for image in images]
        rows = np.array(pixels, np.float32).reshape(-1, 4) + 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class ReembedHarness:
    """Segments with images of different colors, and the use case that changes to the color embedder."""

    def __init__(self, count: int) -> None:
        self.index_harness, self.embedder = IndexHarness(FakeStore()), ColorEmbedder()
        self.add(count)
        versions = self.index_harness.open_versions(embedder=NEW_EMBEDDER, dim=4)
        self.index = LiveIndex(versions, self.index_harness.catalog, NEW_EMBEDDER, 4, 0)
        self.reindex = Reindex(self.index_harness.catalog, versions, clock=self.index_harness.clock)
        models = Models(FakeDetector(), self.embedder, max_waiting=4)
        catalog = self.index_harness.catalog
        self.task = Reembed(catalog, catalog, self.index_harness.store, models, self.reindex, self.index)

    def add(self, count: int) -> list[int]:
        """Add rows with images; return their ids."""
        row_ids = self.index_harness.add_rows(unit_vectors(count))
        for row_id in row_ids:
            image = Image.new("RGBA", (3, 3), (row_id % 250, 100 + row_id // 250, 30, 200))
            self.index_harness.store.put(self.path(row_id), images.png(image), "image/png")
        return row_ids

    def path(self, row_id: int) -> str:
        """Return the path of a row's image."""
        segment = self.index_harness.catalog.segment(row_id)
        assert segment
        return segment.path

    def nearest(self, row_id: int) -> int:
        """Search for the row's own new vector; return the first hit."""
        vector = self.index_harness.catalog.vectors(NEW_EMBEDDER, [row_id])[row_id]
        hits, _ = self.index.search(vector[None], 1, CancelToken())
        return hits[0][0].row_id


def test_reembed_embeds_all_segments_and_builds_index() -> None:
    harness, progress = ReembedHarness(2 * BATCH_SIZE + 3), list[int]()
    summary = harness.task.run(progress=progress.append)
    assert (summary.embedded, summary.failed, sum(progress)) == (2 * BATCH_SIZE + 3, {}, 2 * BATCH_SIZE + 3)
    manifest = harness.reindex.versions.read_manifest(summary.version)
    assert (manifest.embedder, manifest.rows) == (NEW_EMBEDDER, 2 * BATCH_SIZE + 3)
    assert [harness.nearest(row_id) for row_id in (1, 5, BATCH_SIZE + 1)] == [1, 5, BATCH_SIZE + 1]
    assert harness.index.warm_up().tail_rows == 0


def test_reembed_does_not_affect_current_embedder() -> None:
    harness = ReembedHarness(10)
    published, live = harness.index_harness.reindex.build(), harness.index_harness.open_live_index()
    harness.embedder.callbacks = [lambda: live.is_exact() or pytest.fail("search is not exact during reembed")]
    harness.task.run()
    assert live.is_exact() and live.info().version == published.version
    assert harness.index_harness.reindex.build_if_due() is None


def test_reembed_skips_segments_with_vectors() -> None:
    harness = ReembedHarness(5)
    harness.task.run()
    row_ids = harness.add(2)
    assert harness.task.run().embedded == 2 and harness.embedder.image_count == 7
    assert harness.nearest(row_ids[0]) == row_ids[0]


def test_reembed_resumes_after_interruption() -> None:
    harness = ReembedHarness(3 * BATCH_SIZE)

    def interrupt() -> None:
        if harness.embedder.image_count > 2 * BATCH_SIZE:
            raise KeyboardInterrupt

    harness.embedder.callbacks = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        harness.task.run()
    harness.embedder.callbacks = []
    assert harness.task.run().embedded == BATCH_SIZE
    assert harness.index_harness.catalog.count_missing_vectors(NEW_EMBEDDER) == 0


def test_broken_image_is_recorded_and_retried_on_request() -> None:
    harness = ReembedHarness(4)
    path = harness.path(2)
    harness.index_harness.tamper(path, b"not an image")
    for _ in range(2):
        summary = harness.task.run()
        assert list(summary.failed) == ["photo-0-1"] and "not an image" in summary.failed["photo-0-1"]
    assert harness.embedder.image_count == 3
    with pytest.raises(Conflict, match="1 garments have no vector"):
        harness.task.drop_old_vectors()
    harness.index_harness.tamper(path, images.png(Image.new("RGB", (3, 3), "red")))
    assert harness.task.run().embedded == 0
    summary = harness.task.run(retry_failed=True)
    assert (summary.embedded, summary.failed) == (1, {})


def test_new_segment_with_name_of_failed_one_is_embedded() -> None:
    harness = ReembedHarness(1)
    segment = harness.index_harness.catalog.segment(1)
    assert segment
    harness.index_harness.tamper(segment.path, b"not an image")
    assert list(harness.task.run().failed) == [segment.name]
    harness.index_harness.delete_row(1)
    (row_id,) = harness.add(1)
    row = harness.index_harness.catalog._rows[row_id]
    row.segment = replace(row.segment, name=segment.name)
    summary = harness.task.run()
    assert (summary.embedded, summary.failed) == (1, {})


def test_drop_old_vectors_keeps_those_of_failed_segments() -> None:
    harness = ReembedHarness(4)
    harness.index_harness.tamper(harness.path(2), b"not an image")
    failed = harness.task.run().failed
    assert harness.task.drop_old_vectors(len(failed)) == 3
    assert harness.index_harness.catalog.changes(EMBEDDER, 0).row_ids.tolist() == [2]
    assert harness.index_harness.catalog.changes(NEW_EMBEDDER, 0).row_ids.tolist() == [1, 3, 4]


def test_segment_deleted_meanwhile_is_not_a_failure() -> None:
    harness = ReembedHarness(3)
    harness.embedder.callbacks = [lambda: harness.index_harness.delete_row(2)]
    summary = harness.task.run()
    assert (summary.embedded, summary.failed) == (2, {})
    harness.embedder.callbacks = []
    (row_id,) = harness.add(1)
    harness.index_harness.store.delete(harness.path(row_id))
    segment = harness.index_harness.catalog.segment(row_id)
    assert segment and list(harness.task.run().failed) == [segment.name]


def test_temporary_errors_are_raised() -> None:
    harness = ReembedHarness(3)
    harness.index_harness.store.is_unavailable = True
    with pytest.raises(Unavailable):
        harness.task.run()
    harness.index_harness.store.is_unavailable = False
    assert harness.task.run().embedded == 3


def test_reembed_rejects_index_that_lacks_segments() -> None:
    harness = ReembedHarness(6)
    empty_versions = IndexHarness(FakeStore()).open_versions(embedder=NEW_EMBEDDER, dim=4)
    harness.task.run()
    task = Reembed(
        harness.index_harness.catalog,
        harness.index_harness.catalog,
        harness.index_harness.store,
        harness.task.models,
        harness.reindex,
        LiveIndex(empty_versions, IndexHarness().catalog, NEW_EMBEDDER, 4, 0),
    )
    with pytest.raises(LookalikeError, match="do not find themselves"):
        task.run()


def test_drop_old_vectors_removes_vectors_and_index_of_other_embedders() -> None:
    harness = ReembedHarness(7)
    harness.index_harness.reindex.build()
    harness.task.run()
    assert harness.task.drop_old_vectors() == 7
    paths = [stored.path for stored in harness.index_harness.store.list("index/")]
    assert paths and all(path.startswith(f"index/{NEW_EMBEDDER}/") for path in paths)
    assert harness.index_harness.catalog.changes(EMBEDDER, 0).row_ids.size == 0
    assert harness.nearest(3) == 3 and harness.index.warm_up().rows == 7
    assert harness.reindex.build_if_due() is None


def test_tasks_share_the_segments_and_a_later_run_builds_the_index() -> None:
    harness = ReembedHarness(3 * BATCH_SIZE + 5)
    summaries = [harness.task.run(share=(index, 3)) for index in (2, 0)]
    assert [summary.version for summary in summaries] == ["", ""]
    assert harness.index_harness.catalog.count_missing_vectors(NEW_EMBEDDER) == BATCH_SIZE + 2
    # a task that is started again finds nothing left of its share
    assert harness.task.run(share=(2, 3)).embedded == 0
    assert harness.task.run(share=(1, 3)).embedded == BATCH_SIZE + 2
    assert harness.embedder.image_count == 3 * BATCH_SIZE + 5
    assert harness.reindex.versions.current() is None
    assert harness.task.run().version and harness.nearest(BATCH_SIZE) == BATCH_SIZE
