"""A database of the original system: served as it is after `db upgrade`, and taken over without losing anything."""

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
from lookalike.adapters.neighbours_index import NeighboursFormat
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Unavailable
from lookalike.domain.model import ORIGINAL_EMBEDDER, AdoptedRow, Caller, StoredObject
from lookalike.usecases.adopt import AdoptDatabase
from lookalike.usecases.jobs import Jobs, job_id
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.search import Include, Search, SearchRequest, SearchResult
from lookalike.usecases.segments import Segments
from lookalike.usecases.versions import IndexVersions
from tests.contracts.databases import KINDS, execute, fresh_database
from tests.contracts.test_migrations import DETAILS, IMAGES, MYSQL, SQLITE
from tests.fakes.models import FakeDetector, FakeEmbedder
from tests.fakes.store import FakeStore
from tests.usecases.index_world import KEY, Ticking

COLOURS = {"red": [255.0, 1, 1], "green": [1, 128, 1], "blue": [1, 1, 255]}
BROKEN = {"short": "[1.0, 2.0]", "zero": "[0, 0, 0]", "words": '["a", "b"]', "nested": "[[1, 2, 3]]", "number": "7"}


class OriginalEmbedder(FakeEmbedder):
    name = ORIGINAL_EMBEDDER


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 30), colour).save(file, "PNG")
    return file.getvalue()


def insert(url: str, number: int, vector: str, picture: bytes, path: str | None = None) -> None:
    marker = f"0x{picture.hex()}" if url.startswith("mysql") else f"X'{picture.hex()}'"
    where = path or f"0{number}/segment_0.png"
    execute(
        url,
        "INSERT INTO splitted_images (splitted_image_id, splitted_image_path, original_image_id, vector, "
        f"splitted_image_data) VALUES ('0{number}_segment_0', '{where}', '0{number}', '{vector}', {marker})",
    )


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Three garments as the original stored them, their vectors of any length, and tables brought up to date."""
    with fresh_database(request.param, tmp_path) as address:
        words = MYSQL if request.param == "mysql" else SQLITE
        execute(address, IMAGES.format(**words), DETAILS.format(**words))
        for number, (colour, vector) in enumerate(COLOURS.items(), 1):
            insert(address, number, json.dumps(vector), png(colour))
        upgrade(address)
        yield address


class World:
    def __init__(self, catalogue: SqlCatalog, store: FakeStore) -> None:
        self.catalogue, self.store = catalogue, store
        self.models = Models(FakeDetector(), OriginalEmbedder(), max_waiting=4)
        self.versions = IndexVersions(store, NeighboursFormat(), KEY, ORIGINAL_EMBEDDER, FakeEmbedder.dim, Ticking())
        self.index = LiveIndex(self.versions, catalogue, ORIGINAL_EMBEDDER, FakeEmbedder.dim)
        self.items = Segments(catalogue, store)

    def ask(self, colour: str, include: Include = Include.NONE) -> SearchResult:
        search = Search(self.models, self.index, self.store, self.catalogue)
        with Jobs(self.catalogue, 30).running("search", Caller(), job_id(None)) as work:
            return search.photo(png(colour), SearchRequest(num=10, include=include), work)

    def names(self, colour: str) -> list[str]:
        return [match.segment.photo for match in self.ask(colour).groups[0].matches]

    def adopt(self, store: FakeStore | None = None) -> AdoptDatabase:
        return AdoptDatabase(self.catalogue, store or self.store, ORIGINAL_EMBEDDER)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    with closing(open_catalog(url)) as catalogue:
        yield World(catalogue, FakeStore())


def test_rows_of_the_original_serve_at_once(world: World) -> None:
    assert world.names("#e01010")[0] == "01" and len(world.names("red")) == 3
    changes = world.catalogue.changes(ORIGINAL_EMBEDDER, 0)
    assert np.allclose(np.linalg.norm(changes.vectors, axis=1), 1, atol=1e-6)
    assert len(world.catalogue.changes("compact-1", 0).row_ids) == 0, "vectors of two models are never compared"


def test_their_pictures_come_from_the_rows(world: World) -> None:
    match = world.ask("red", Include.IMAGE).groups[0].matches[0]
    assert match.picture["processed_image_base64"]
    assert images.read_image(world.items.thumbnail("01_segment_0")).size == (20, 30)
    assert world.ask("red", Include.URL).groups[0].matches[0].picture == {}


def test_one_that_is_deleted_is_in_no_later_answer(world: World) -> None:
    assert len(world.names("red")) == 3
    world.items.delete("01_segment_0")
    assert sorted(world.names("red")) == ["02", "03"]


def test_broken_vectors_are_left_out_and_told(url: str, world: World, caplog: pytest.LogCaptureFixture) -> None:
    for number, vector in enumerate(value for name, value in BROKEN.items() if name != "short"):
        insert(url, number + 4, vector, png("white"))
    execute(url, "UPDATE splitted_images SET commit_number = 1")
    assert sorted(world.names("red")) == ["01", "02", "03"]
    assert "cannot be used" in caplog.text


def test_all_are_taken_over(world: World) -> None:
    counts: list[int] = []
    assert world.catalogue.count_legacy_rows() == 3
    summary = world.adopt().run(counts.append)
    assert (summary.moved, summary.left, sum(counts)) == (3, {}, 3)
    assert world.catalogue.count_legacy_rows() == 0 and world.catalogue.legacy_image(1) is None
    assert world.store.get("01/segment_0.png") == png("red")
    assert images.read_image(world.store.get("01/segment_0.thumbnail.jpg")).size == (20, 30)
    assert world.names("red")[0] == "01" and len(world.names("red")) == 3
    assert world.ask("red", Include.URL).groups[0].matches[0].picture["url"]
    photo = world.catalogue.photo("01")
    assert photo is not None and photo.path is None
    assert world.adopt().run().moved == 0


def test_their_vectors_are_the_same_before_and_after(url: str, world: World) -> None:
    insert(url, 4, BROKEN["zero"], png("white"))
    before = world.catalogue.vectors(ORIGINAL_EMBEDDER, range(9))
    assert sorted(before) == [1, 2, 3] and world.catalogue.vectors("compact-1", range(9)) == {}
    red = np.array(COLOURS["red"])
    assert np.allclose(before[1], red / np.linalg.norm(red), atol=1e-6)
    world.adopt().run()
    after = world.catalogue.vectors(ORIGINAL_EMBEDDER, range(9))
    assert all(np.array_equal(before[row_id], after[row_id]) for row_id in before) and len(after) == 3


def test_vectors_of_another_embedder_outlive_it(world: World) -> None:
    other = {1: np.array([1, 0], np.float32), 2: np.array([0, 1], np.float32)}
    world.catalogue.add_vectors("full-1", other)
    while world.catalogue.drop_other_vectors("full-1", 9):
        pass
    assert world.adopt().run().moved == 3
    found = world.catalogue.vectors("full-1", range(9))
    assert {row_id: one.tolist() for row_id, one in found.items()} == {1: [1, 0], 2: [0, 1]}
    assert sorted(world.catalogue.vectors(ORIGINAL_EMBEDDER, range(9))) == [3]


def test_vectors_settled_while_a_row_was_read_stay(world: World) -> None:
    row = world.catalogue.legacy_row(1)
    assert row is not None and row.vector is not None
    world.catalogue.add_vectors("full-1", {1: np.array([1, 0], np.float32)})
    world.catalogue.drop_other_vectors("full-1", 9)
    world.catalogue.adopt([AdoptedRow(1, row.path, "01/t.jpg", row.photo, row.vector)], ORIGINAL_EMBEDDER)
    assert world.catalogue.vectors("full-1", [1])[1].tolist() == [1, 0]


def test_an_index_that_is_loaded_notices(world: World) -> None:
    from lookalike.usecases.reindex import Reindex

    Reindex(world.catalogue, world.versions).build()
    before = world.names("red")
    world.adopt().run()
    assert world.names("red") == before
    vectors = np.array([[1, 0, 0]], np.float32)
    assert world.index.search(vectors, 9, CancelToken())[1].rows == 3


class Stalling(FakeStore):
    """Goes away after some writes."""

    def __init__(self, other: FakeStore, writes: int) -> None:
        super().__init__()
        self.objects, self.left = other.objects, writes

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        self.left -= 1
        self.away = self.left < 0
        return super().put(path, data, content_type, if_generation)


@pytest.mark.parametrize("writes", range(6))
def test_interrupted_anywhere_it_goes_on(world: World, writes: int) -> None:
    with pytest.raises(Unavailable):
        world.adopt(Stalling(world.store, writes)).run()
    assert len(world.names("red")) == 3 and world.ask("red", Include.IMAGE).groups[0].matches[0].picture
    assert world.adopt().run().moved == 3
    assert world.names("red")[0] == "01" and world.store.get("03/segment_0.png") == png("blue")


def test_what_cannot_be_taken_over_stays_as_it_is(url: str, world: World) -> None:
    insert(url, 4, BROKEN["short"], png("white"))
    insert(url, 5, json.dumps([3, 4, 0]), b"no picture")
    summary = world.adopt().run()
    assert summary.moved == 3 and set(summary.left) == {4, 5}
    assert world.catalogue.legacy_image(5) == b"no picture" and world.catalogue.legacy_row_ids(0, 9) == [4, 5]


@pytest.mark.parametrize("path", ["../x.png", "/etc/passwd", "a//b.png"])
def test_a_path_that_is_no_objects_name_gets_one_of_ours(url: str, world: World, path: str) -> None:
    insert(url, 4, json.dumps([1, 2, 3]), png("white"), path)
    assert world.adopt().run().left == {}
    segment = world.catalogue.segment("04_segment_0")
    assert segment is not None and segment.path == "04/row_4.png" and world.store.get(segment.path) == png("white")


def test_a_row_without_a_usable_vector_keeps_its_picture(url: str, world: World) -> None:
    insert(url, 4, BROKEN["zero"], png("white"))
    assert world.adopt().run().moved == 4
    assert world.store.get("04/segment_0.png") == png("white") and len(world.names("red")) == 3


def test_a_row_whose_vector_could_not_be_read_can_get_one_once_it_is_adopted(url: str, world: World) -> None:
    insert(url, 4, BROKEN["words"], png("white"))
    world.adopt().run()
    assert [one.row_id for one in world.catalogue.segments_missing_vectors(ORIGINAL_EMBEDDER, 0, 9)] == [4]
    assert world.catalogue.add_vectors(ORIGINAL_EMBEDDER, {4: np.array([0, 1, 0], np.float32)}) == 1
    assert sorted(world.names("red")) == ["01", "02", "03", "04"]
