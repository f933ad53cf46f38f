"""Database of the original system: served after `db upgrade`, and adopted without loss."""

import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import images
from lookalike.adapters.catalog import SqlCatalog, open_catalog, upgrade
from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Unavailable
from lookalike.domain.legacy_rows import AdoptedRow
from lookalike.domain.model import ORIGINAL_EMBEDDER, Caller, StoredObject
from lookalike.usecases.adopt import AdoptDatabase
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.search import Include, PhotoExample, Search, SearchRequest, SearchResult
from lookalike.usecases.segments import Segments
from tests.contracts.databases import DATABASE_KINDS, execute, temporary_database
from tests.contracts.test_migrations import MYSQL_TYPES, ORIGINAL_DETAILS_TABLE, ORIGINAL_IMAGES_TABLE, SQLITE_TYPES
from tests.fakes.models import FakeDetector, FakeEmbedder
from tests.fakes.store import FakeStore
from tests.usecases.index_harness import KEY, TickingClock

COLORS = {"red": [255.0, 1, 1], "green": [1, 128, 1], "blue": [1, 1, 255]}
INVALID_VECTORS = {
    "short": "[1.0, 2.0]",
    "zero": "[0, 0, 0]",
    "words": '["a", "b"]',
    "nested": "[[1, 2, 3]]",
    "number": "7",
}


class OriginalEmbedder(FakeEmbedder):
    """Fake embedder with the name of the original one."""

    name = ORIGINAL_EMBEDDER


def png(color: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 30), color).save(file, "PNG")
    return file.getvalue()


def insert_legacy_row(url: str, number: int, vector: str, image: bytes, path: str | None = None) -> None:
    """Insert the only garment of photo `number`, as the original system did."""
    literal = f"0x{image.hex()}" if url.startswith("mysql") else f"X'{image.hex()}'"
    image_path = path or f"0{number}/segment_0.png"
    execute(
        url,
        "INSERT INTO splitted_images (splitted_image_id, splitted_image_path, original_image_id, vector, "
        f"splitted_image_data) VALUES ('0{number}_segment_0', '{image_path}', '0{number}', '{vector}', {literal})",
    )


@pytest.fixture(params=DATABASE_KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database with three legacy rows, whose vectors are not normalized."""
    with temporary_database(request.param, tmp_path) as url:
        types = MYSQL_TYPES if request.param == "mysql" else SQLITE_TYPES
        execute(url, ORIGINAL_IMAGES_TABLE.format(**types), ORIGINAL_DETAILS_TABLE.format(**types))
        for number, (color, vector) in enumerate(COLORS.items(), 1):
            insert_legacy_row(url, number, json.dumps(vector), png(color))
        upgrade(url)
        yield url


class World:
    """The use cases on one catalog and store."""

    def __init__(self, catalog: SqlCatalog, store: FakeStore) -> None:
        self.catalog, self.store = catalog, store
        self.models = Models(FakeDetector(), OriginalEmbedder(), max_waiting=4)
        self.versions = IndexVersions(
            store, NeighborsFormat(), KEY, ORIGINAL_EMBEDDER, FakeEmbedder.dim, TickingClock()
        )
        self.index = LiveIndex(self.versions, catalog, ORIGINAL_EMBEDDER, FakeEmbedder.dim)
        self.segments = Segments(catalog, store)

    def search(self, color: str, include: Include = Include.NONE) -> SearchResult:
        """Search for a photo of one color."""
        search = Search(lambda: self.models, ORIGINAL_EMBEDDER, self.index, self.store, self.catalog)
        with Jobs(self.catalog, 30).run_job("search", Caller(), validate_or_create_job_id(None)) as job:
            return search.search(SearchRequest([PhotoExample(png(color))], limit=10, include=include), job)

    def photos_found(self, color: str) -> list[str]:
        """Return the names of the photos found for a color, most similar first."""
        return [match.segment.photo for match in self.search(color).groups[0].matches]

    def adopt(self, store: FakeStore | None = None) -> AdoptDatabase:
        return AdoptDatabase(self.catalog, store or self.store, ORIGINAL_EMBEDDER)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    with closing(open_catalog(url)) as catalog:
        yield World(catalog, FakeStore())


def test_legacy_rows_are_searchable_after_upgrade(world: World) -> None:
    assert world.photos_found("#e01010")[0] == "01" and len(world.photos_found("red")) == 3
    changes = world.catalog.changes(ORIGINAL_EMBEDDER, 0)
    assert np.allclose(np.linalg.norm(changes.vectors, axis=1), 1, atol=1e-6)
    assert len(world.catalog.changes("compact-1", 0).row_ids) == 0, "vectors of two models are never compared"


def test_legacy_images_are_read_from_the_rows(world: World) -> None:
    match = world.search("red", Include.IMAGE).groups[0].matches[0]
    assert match.image_fields["processed_image_base64"]
    assert images.read_image(world.segments.load_thumbnail("01_segment_0")).size == (20, 30)
    assert world.search("red", Include.URL).groups[0].matches[0].image_fields == {}


def test_deleted_legacy_row_is_not_found(world: World) -> None:
    assert len(world.photos_found("red")) == 3
    world.segments.delete_segment("01_segment_0")
    assert sorted(world.photos_found("red")) == ["02", "03"]


def test_invalid_legacy_vectors_are_skipped_with_a_warning(
    url: str, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for number, vector in enumerate(value for name, value in INVALID_VECTORS.items() if name != "short"):
        insert_legacy_row(url, number + 4, vector, png("white"))
    execute(url, "UPDATE splitted_images SET commit_number = 1")
    assert sorted(world.photos_found("red")) == ["01", "02", "03"]
    assert "vector of a legacy row is not valid" in caplog.text


def test_adopt_moves_all_rows(world: World) -> None:
    counts: list[int] = []
    assert world.catalog.count_legacy_rows() == 3
    summary = world.adopt().run(counts.append)
    assert (summary.adopted, summary.skipped, sum(counts)) == (3, {}, 3)
    assert world.catalog.count_legacy_rows() == 0 and world.catalog.legacy_image(1) is None
    assert world.store.get("01/segment_0.png") == png("red")
    assert images.read_image(world.store.get("01/segment_0.thumbnail.jpg")).size == (20, 30)
    assert world.photos_found("red")[0] == "01" and len(world.photos_found("red")) == 3
    assert world.search("red", Include.URL).groups[0].matches[0].image_fields["url"]
    photo = world.catalog.photo("01")
    assert photo is not None and photo.path is None
    assert world.adopt().run().adopted == 0


def test_adopt_keeps_the_vectors(url: str, world: World) -> None:
    insert_legacy_row(url, 4, INVALID_VECTORS["zero"], png("white"))
    before = world.catalog.vectors(ORIGINAL_EMBEDDER, range(9))
    assert sorted(before) == [1, 2, 3] and world.catalog.vectors("compact-1", range(9)) == {}
    red = np.array(COLORS["red"])
    assert np.allclose(before[1], red / np.linalg.norm(red), atol=1e-6)
    world.adopt().run()
    after = world.catalog.vectors(ORIGINAL_EMBEDDER, range(9))
    assert all(np.array_equal(before[row_id], after[row_id]) for row_id in before) and len(after) == 3


def test_adopt_keeps_vectors_of_another_embedder(world: World) -> None:
    other = {1: np.array([1, 0], np.float32), 2: np.array([0, 1], np.float32)}
    world.catalog.add_vectors("full-1", other)
    while world.catalog.drop_other_vectors("full-1", 9):
        pass
    assert world.adopt().run().adopted == 3
    found = world.catalog.vectors("full-1", range(9))
    assert {row_id: vector.tolist() for row_id, vector in found.items()} == {1: [1, 0], 2: [0, 1]}
    assert sorted(world.catalog.vectors(ORIGINAL_EMBEDDER, range(9))) == [3]


def test_adopt_keeps_a_vector_replaced_while_the_row_was_read(world: World) -> None:
    row = world.catalog.legacy_row(1)
    assert row is not None and row.vector is not None
    world.catalog.add_vectors("full-1", {1: np.array([1, 0], np.float32)})
    world.catalog.drop_other_vectors("full-1", 9)
    world.catalog.adopt([AdoptedRow(1, row.path, "01/t.jpg", row.photo, row.vector)], ORIGINAL_EMBEDDER)
    assert world.catalog.vectors("full-1", [1])[1].tolist() == [1, 0]


def test_loaded_index_follows_adopted_rows(world: World) -> None:
    from lookalike.usecases.reindex import Reindex

    Reindex(world.catalog, world.versions).build()
    before = world.photos_found("red")
    world.adopt().run()
    assert world.photos_found("red") == before
    vectors = np.array([[1, 0, 0]], np.float32)
    assert world.index.search(vectors, 9, CancelToken())[1].rows == 3


class FailingStore(FakeStore):
    """Shares the objects of another store and becomes unavailable after some writes."""

    def __init__(self, other: FakeStore, writes: int) -> None:
        super().__init__()
        self.objects, self.writes_left = other.objects, writes

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        self.writes_left -= 1
        self.is_unavailable = self.writes_left < 0
        return super().put(path, data, content_type, if_generation)


@pytest.mark.parametrize("writes", range(6))
def test_interrupted_adoption_can_be_repeated(world: World, writes: int) -> None:
    with pytest.raises(Unavailable):
        world.adopt(FailingStore(world.store, writes)).run()
    assert len(world.photos_found("red")) == 3 and world.search("red", Include.IMAGE).groups[0].matches[0].image_fields
    assert world.adopt().run().adopted == 3
    assert world.photos_found("red")[0] == "01" and world.store.get("03/segment_0.png") == png("blue")


def test_rows_that_cannot_be_adopted_are_unchanged(url: str, world: World) -> None:
    insert_legacy_row(url, 4, INVALID_VECTORS["short"], png("white"))
    insert_legacy_row(url, 5, json.dumps([3, 4, 0]), b"no image")
    summary = world.adopt().run()
    assert summary.adopted == 3 and set(summary.skipped) == {4, 5}
    assert world.catalog.legacy_image(5) == b"no image" and world.catalog.legacy_row_ids(0, 9) == [4, 5]


@pytest.mark.parametrize("path", ["../x.png", "/etc/passwd", "a//b.png"])
def test_invalid_path_is_replaced(url: str, world: World, path: str) -> None:
    insert_legacy_row(url, 4, json.dumps([1, 2, 3]), png("white"), path)
    assert world.adopt().run().skipped == {}
    segment = world.catalog.segment("04_segment_0")
    assert segment is not None and segment.path == "04/row_4.png" and world.store.get(segment.path) == png("white")


def test_row_with_an_invalid_vector_keeps_its_image(url: str, world: World) -> None:
    insert_legacy_row(url, 4, INVALID_VECTORS["zero"], png("white"))
    assert world.adopt().run().adopted == 4
    assert world.store.get("04/segment_0.png") == png("white") and len(world.photos_found("red")) == 3


def test_row_with_an_invalid_vector_can_be_embedded_after_adoption(url: str, world: World) -> None:
    insert_legacy_row(url, 4, INVALID_VECTORS["words"], png("white"))
    world.adopt().run()
    assert [segment.row_id for segment in world.catalog.segments_missing_vectors(ORIGINAL_EMBEDDER, 0, 9)] == [4]
    assert world.catalog.add_vectors(ORIGINAL_EMBEDDER, {4: np.array([0, 1, 0], np.float32)}) == 1
    assert sorted(world.photos_found("red")) == ["01", "02", "03", "04"]
