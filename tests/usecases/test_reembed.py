"""Garments change to another embedder while searches go on."""

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
from tests.usecases.index_world import EMBEDDER, World, unit

NEW = "colours-1"


class Colours:
    """What the middle pixel is; transparency counts."""

    name, dim = NEW, 4

    def __init__(self) -> None:
        self.seen, self.meanwhile = 0, list[Callable[[], object]]()

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        self.seen += len(images)
        for call in self.meanwhile:
            call()
        pixels = [one.convert("RGBA").getpixel((1, 1)) for one in images]
        rows = np.array(pixels, np.float32).reshape(-1, 4) + 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class Change:
    """A world whose garments have pictures, each of a colour of its own, and the embedder it changes to."""

    def __init__(self, count: int) -> None:
        self.world, self.embedder = World(FakeStore()), Colours()
        self.add(count)
        versions = self.world.versions_with(embedder=NEW, dim=4)
        self.index = LiveIndex(versions, self.world.catalog, NEW, 4, 0)
        self.reindex = Reindex(self.world.catalog, versions, clock=self.world.clock)
        models = Models(FakeDetector(), self.embedder, max_waiting=4)
        catalog = self.world.catalog
        self.task = Reembed(catalog, catalog, self.world.store, models, self.reindex, self.index)

    def add(self, count: int) -> list[int]:
        row_ids = self.world.add(unit(count))
        for row_id in row_ids:
            picture = Image.new("RGBA", (3, 3), (row_id % 250, 100 + row_id // 250, 30, 200))
            self.world.store.put(self.path(row_id), images.png(picture), "image/png")
        return row_ids

    def path(self, row_id: int) -> str:
        segment = self.world.catalog.segment(row_id)
        assert segment
        return segment.path

    def nearest(self, row_id: int) -> int:
        vector = self.world.catalog.vectors(NEW, [row_id])[row_id]
        hits, _ = self.index.search(vector[None], 1, CancelToken())
        return hits[0][0].row_id


def test_every_garment_gets_a_vector_and_the_index_is_checked() -> None:
    change, told = Change(2 * BATCH_SIZE + 3), list[int]()
    summary = change.task.run(progress=told.append)
    assert (summary.embedded, summary.failed, sum(told)) == (2 * BATCH_SIZE + 3, {}, 2 * BATCH_SIZE + 3)
    manifest = change.reindex.versions.read_manifest(summary.version)
    assert (manifest.embedder, manifest.rows) == (NEW, 2 * BATCH_SIZE + 3)
    assert [change.nearest(row_id) for row_id in (1, 5, BATCH_SIZE + 1)] == [1, 5, BATCH_SIZE + 1]
    assert change.index.warm().tail_rows == 0


def test_the_embedder_in_use_notices_nothing() -> None:
    change = Change(10)
    published, live = change.world.reindex.build(), change.world.live()
    change.embedder.meanwhile = [lambda: live.is_exact() or pytest.fail("not exact meanwhile")]
    change.task.run()
    assert live.is_exact() and live.info().version == published.version
    assert change.world.reindex.build_if_due() is None


def test_what_is_there_is_not_embedded_again() -> None:
    change = Change(5)
    change.task.run()
    new = change.add(2)
    assert change.task.run().embedded == 2 and change.embedder.seen == 7
    assert change.nearest(new[0]) == new[0]


def test_it_goes_on_where_it_was_interrupted() -> None:
    change = Change(3 * BATCH_SIZE)

    def die() -> None:
        if change.embedder.seen > 2 * BATCH_SIZE:
            raise KeyboardInterrupt

    change.embedder.meanwhile = [die]
    with pytest.raises(KeyboardInterrupt):
        change.task.run()
    change.embedder.meanwhile = []
    assert change.task.run().embedded == BATCH_SIZE
    assert change.world.catalog.count_missing_vectors(NEW) == 0


def test_what_is_broken_is_noted_once_and_tried_again_when_asked() -> None:
    change = Change(4)
    path = change.path(2)
    change.world.tamper(path, b"no picture")
    for _ in range(2):
        summary = change.task.run()
        assert list(summary.failed) == ["photo-0-1"] and "not a photo" in summary.failed["photo-0-1"]
    assert change.embedder.seen == 3
    with pytest.raises(Conflict, match="1 garments have no vector"):
        change.task.drop_old_vectors()
    change.world.tamper(path, images.png(Image.new("RGB", (3, 3), "red")))
    assert change.task.run().embedded == 0
    summary = change.task.run(retry_failed=True)
    assert (summary.embedded, summary.failed) == (1, {})


def test_another_garment_of_a_broken_ones_name_is_tried() -> None:
    change = Change(1)
    segment = change.world.catalog.segment(1)
    assert segment
    change.world.tamper(segment.path, b"no picture")
    assert list(change.task.run().failed) == [segment.name]
    change.world.delete(1)
    (again,) = change.add(1)
    row = change.world.catalog._rows[again]
    row.segment = replace(row.segment, name=segment.name)
    summary = change.task.run()
    assert (summary.embedded, summary.failed) == (1, {})


def test_what_cannot_be_embedded_keeps_its_vector_and_keeps_nobody_else_from_settling() -> None:
    change = Change(4)
    change.world.tamper(change.path(2), b"no picture")
    failed = change.task.run().failed
    assert change.task.drop_old_vectors(len(failed)) == 3
    assert change.world.catalog.changes(EMBEDDER, 0).row_ids.tolist() == [2]
    assert change.world.catalog.changes(NEW, 0).row_ids.tolist() == [1, 3, 4]


def test_what_is_deleted_meanwhile_is_no_failure() -> None:
    change = Change(3)
    change.embedder.meanwhile = [lambda: change.world.delete(2)]
    summary = change.task.run()
    assert (summary.embedded, summary.failed) == (2, {})
    change.embedder.meanwhile = []
    (late,) = change.add(1)
    change.world.store.delete(change.path(late))
    segment = change.world.catalog.segment(late)
    assert segment and list(change.task.run().failed) == [segment.name]


def test_what_may_pass_is_raised() -> None:
    change = Change(3)
    change.world.store.is_unavailable = True
    with pytest.raises(Unavailable):
        change.task.run()
    change.world.store.is_unavailable = False
    assert change.task.run().embedded == 3


def test_an_index_in_which_garments_are_lost_is_not_approved() -> None:
    change = Change(6)
    stale = World(FakeStore()).versions_with(embedder=NEW, dim=4)
    change.task.run()
    lost = Reembed(
        change.world.catalog,
        change.world.catalog,
        change.world.store,
        change.task.models,
        change.reindex,
        LiveIndex(stale, World().catalog, NEW, 4, 0),
    )
    with pytest.raises(LookalikeError, match="do not find themselves"):
        lost.run()


def test_settled_the_new_embedder_is_alone() -> None:
    change = Change(7)
    change.world.reindex.build()
    change.task.run()
    assert change.task.drop_old_vectors() == 7
    paths = [one.path for one in change.world.store.list("index/")]
    assert paths and all(path.startswith(f"index/{NEW}/") for path in paths)
    assert change.world.catalog.changes(EMBEDDER, 0).row_ids.size == 0
    assert change.nearest(3) == 3 and change.index.warm().rows == 7
    assert change.reindex.build_if_due() is None
