"""Uploading: objects first, then one transaction; the same photo once; nothing left of what failed."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from PIL import Image

from lookalike.domain.errors import (
    Cancelled,
    Conflict,
    InvalidField,
    InvalidImage,
    LookalikeError,
    NotFound,
    Unavailable,
)
from lookalike.domain.model import Caller, Job, LedgerStatus, StoredObject
from lookalike.usecases.ingest import Ingest, Source, photo_name_from_path
from lookalike.usecases.jobs import Jobs, RunningJob, validate_or_create_job_id
from lookalike.usecases.models import AdmissionQueue, Models
from lookalike.usecases.segments import Segments
from lookalike.usecases.upload import PHOTO_NAME_PATTERN, Upload, UploadResult
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.fakes.store import FakeStore


def photo(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return file.getvalue()


RED, BLUE = photo("red"), photo("blue")


class World:
    """An upload with everything it needs, in memory."""

    def __init__(self, store: FakeStore | None = None, *, keep: bool = True, stale: float = 60) -> None:
        self.detector = FakeDetector(make_detection(0), make_detection(30, "skirt"))
        self.store, self.catalog = store or FakeStore(), FakeCatalog()
        models = Models(self.detector, FakeEmbedder(), max_waiting=32)
        self.upload = Upload(models, self.store, self.catalog, keep, timedelta(seconds=stale))
        self.jobs = Jobs(self.catalog, 30)

    @contextmanager
    def job(self) -> Iterator[RunningJob]:
        with self.jobs.run_job("upload", Caller("anna"), validate_or_create_job_id(None)) as work:
            yield work

    def put(self, name: str = "look", data: bytes = RED, force: bool = True) -> UploadResult:
        with self.job() as work:
            return self.upload.upload_photo(data, name, "anna", force, work)

    def paths(self) -> list[str]:
        return [one.path for one in self.store.list()]


def test_segments_thumbnails_and_the_original_are_stored() -> None:
    world = World()
    stored = world.put()
    assert [one.name for one in stored.segments] == ["look_segment_0", "look_segment_1"]
    assert [one.label for one in stored.segments] == ["top", "skirt"]
    assert world.detector.thorough_calls == [True]
    assert world.paths() == [
        "look/original.jpg",
        "look/segment_0.png",
        "look/segment_0.thumbnail.jpg",
        "look/segment_1.png",
        "look/segment_1.thumbnail.jpg",
    ]
    assert Image.open(io.BytesIO(world.store.get("look/segment_1.png"))).size == (20, 30)


def test_originals_are_kept_only_if_wished() -> None:
    world = World(keep=False)
    world.put()
    assert "look/original.jpg" not in world.paths()


def test_the_same_bytes_again_are_the_same_item() -> None:
    world = World()
    assert world.put() == world.put()


def test_other_bytes_of_that_name_are_a_conflict_and_change_nothing() -> None:
    world = World()
    world.put()
    before = [(one.path, one.generation) for one in world.store.list()]
    with pytest.raises(Conflict):
        world.put(data=BLUE)
    assert [(one.path, one.generation) for one in world.store.list()] == before


def test_many_at_once_are_one_item() -> None:
    world = World()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: world.put(), range(10)))
    assert all(one == answers[0] for one in answers)
    assert len(world.catalog.segments_of_photo("look")) == 2 and len(world.paths()) == 5


def test_of_two_different_photos_at_once_one_wins() -> None:
    world = World()

    def attempt(data: bytes) -> str:
        try:
            world.put(data=data)
        except Conflict:
            return "conflict"
        return "stored"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, [RED, BLUE])) == ["conflict", "stored"]
    assert all(world.store.get(one.path) for one in world.catalog.segments_of_photo("look"))


def test_nothing_found_is_the_whole_photo_or_nothing() -> None:
    world = World()
    world.detector.detections = []
    assert world.put("none", force=False).segments == [] and world.paths() == []
    whole = world.put("whole").segments[0]
    assert whole.box is not None and whole.box.as_list() == [0, 0, 60, 40] and whole.label is None


@pytest.mark.parametrize("data", [b"", b"no photo", RED[: len(RED) // 2]])
def test_a_broken_photo_leaves_nothing(data: bytes) -> None:
    world = World()
    with pytest.raises(InvalidImage):
        world.put(data=data)
    assert world.paths() == [] and world.catalog.photo("look") is None


class BrokenStore(FakeStore):
    """Loses its connection at the n-th write."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        self.left -= 1
        if self.left < 0:
            raise Conflict("Disturbed")
        return super().put(path, data, content_type, if_generation)


@pytest.mark.parametrize("after", range(1, 6))
def test_a_write_that_fails_takes_back_those_before(after: int) -> None:
    world = World(BrokenStore(after))
    with pytest.raises(LookalikeError):
        world.put()
    assert world.paths() == [] and world.catalog.segments_of_photo("look") == []


class CancellingStore(FakeStore):
    """Another process cancels the job while its objects are being written."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog: FakeCatalog | None = None

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        if path.endswith("original.jpg") and self.catalog:
            live: list[Job] = self.catalog.list_jobs(Caller("anna"))
            self.catalog.request_cancel(live[0].id)
        return super().put(path, data, content_type, if_generation)


def test_cancelled_while_storing_it_leaves_nothing_behind() -> None:
    store = CancellingStore()
    world = World(store)
    store.catalog = world.catalog
    with pytest.raises(Cancelled):
        world.put()
    assert world.paths() == [] and world.catalog.photo("look") is None


def test_after_an_answer_that_was_lost_objects_are_left_to_the_sweep() -> None:
    class LosingCatalog(FakeCatalog):
        def add_photo(self, *args: object, **kwargs: object) -> list:  # type: ignore[type-arg]
            super().add_photo(*args, **kwargs)  # type: ignore[arg-type]
            raise Unavailable("connection lost")

    world = World()
    world.catalog = LosingCatalog()
    models = Models(world.detector, FakeEmbedder(), max_waiting=4)
    world.upload = Upload(models, world.store, world.catalog, True, timedelta(seconds=60))
    world.jobs = Jobs(world.catalog, 30)
    with pytest.raises(Unavailable):
        world.put()
    assert all(world.store.get(one.path) for one in world.catalog.segments_of_photo("look"))
    assert "look/claim" not in world.paths()


def test_what_a_dead_process_left_is_removed_and_the_name_is_free() -> None:
    world = World(stale=0)
    for path in ("look/claim", "look/segment_0.png", "look/segment_7.png"):
        world.store.put(path, b"left behind", "image/png")
    assert len(world.put().segments) == 2
    assert "look/segment_7.png" not in world.paths() and "look/claim" not in world.paths()


def test_a_claim_of_a_process_that_is_gone_is_not_waited_for() -> None:
    world = World()
    world.store.put("look/claim", b"gone\njob", "text/plain")
    upload = world.upload
    world.upload = Upload(
        upload.models, world.store, world.catalog, True, timedelta(hours=1), "me", lambda holder: holder == "gone"
    )
    assert len(world.put().segments) == 2


@pytest.mark.parametrize("name", ["index", "incoming"])
def test_no_photo_takes_the_place_of_what_the_bucket_keeps_besides(name: str) -> None:
    world = World()
    world.store.put(f"{name}/kept", b"an index, or a photo that waits", "text/plain")
    with pytest.raises(InvalidField):
        world.put(name)
    ingest = Ingest(world.upload, Segments(world.catalog, world.store), world.catalog, world.jobs)
    assert ingest.ingest(Source("shop", f"{name}.png", "1"), RED).photo == f"{name}-photo"
    assert world.store.get(f"{name}/kept")


def test_what_a_row_names_is_never_cleared_away() -> None:
    """A row of the original may name an object in any folder."""
    world = World()
    stored = world.put("other").segments[0]
    world.store.put("look/strayed.png", b"a garment", "image/png")
    world.catalog._rows[stored.row_id].segment = replace(stored, path="look/strayed.png")
    world.put("look")
    assert world.store.get("look/strayed.png") == b"a garment"


def test_a_deleted_item_takes_its_objects_with_it() -> None:
    world = World()
    world.put()
    items = Segments(world.catalog, world.store)
    items.delete_segment("look_segment_0")
    assert world.paths() == ["look/original.jpg", "look/segment_1.png", "look/segment_1.thumbnail.jpg"]
    items.delete_segment("look_segment_1")
    assert world.paths() == [] and world.catalog.photo("look") is None
    with pytest.raises(NotFound):
        items.delete_segment("look_segment_1")


def test_an_object_is_taken_once_and_a_broken_one_is_noted() -> None:
    world = World()
    ingest = Ingest(world.upload, Segments(world.catalog, world.store), world.catalog, world.jobs)
    good, bad = Source("shop", "a/red.png", "1"), Source("shop", "bad.png", "1")
    assert ingest.ingest(good, RED).photo == "a-red"
    entry = ingest.ingest(bad, b"no photo")
    assert entry.status is LedgerStatus.FAILED and entry.reason
    known = ingest.known_versions("shop", ["a/red.png", "bad.png", "new.png"])
    assert set(known) == {("a/red.png", "1"), ("bad.png", "1")}
    assert ingest.ingest(Source("shop", "a-red.png", "1"), BLUE).photo != "a-red"


def test_what_may_pass_is_not_noted() -> None:
    world = World()
    ingest = Ingest(world.upload, Segments(world.catalog, world.store), world.catalog, world.jobs)
    world.store.is_unavailable = True
    with pytest.raises(Unavailable):
        ingest.ingest(Source("shop", "red.png", "1"), RED)
    world.store.is_unavailable = False
    assert ingest.known_versions("shop", ["red.png"]) == {}


@pytest.mark.parametrize("path", ["Summer 24/robe d'été.jpg", "ü.png", "日本.jpg", "..jpg", "a" * 400, ".hidden/x.jpg"])
def test_any_path_gives_a_legal_name(path: str) -> None:
    assert PHOTO_NAME_PATTERN.fullmatch(photo_name_from_path(path))


def test_the_turnstile_lets_one_through_at_a_time_and_no_crowd_wait() -> None:
    from lookalike.domain.cancel import CancelToken
    from lookalike.domain.errors import Busy

    turnstile, inside = AdmissionQueue(3), threading.Semaphore(1)
    release = threading.Event()
    refused: list[str] = []

    def come() -> None:
        try:
            with turnstile.admit(CancelToken()):
                assert inside.acquire(blocking=False), "two at once"
                release.wait(5)
                inside.release()
        except Busy as error:
            refused.append(error.code)

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
        thread.join(0.05)
    assert refused == ["busy"] * 3
    release.set()
    for thread in threads:
        thread.join()


def test_whoever_waits_at_the_turnstile_can_be_cancelled() -> None:
    from lookalike.domain.cancel import CancelToken

    turnstile, token = AdmissionQueue(2), CancelToken()
    with turnstile.admit(CancelToken()):
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Cancelled), turnstile.admit(token):
            raise AssertionError("must not get in")
    with turnstile.admit(CancelToken()):
        pass
