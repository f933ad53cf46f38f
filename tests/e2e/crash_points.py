"""kill -9 before every call that upload, ingest and reindex make of the database, the bucket and the models.

Run with the addresses of a database and a bucket. For each call there is, in its order, a child process does the work and
dies there; what it left is looked at, the work is done again, and the sweep runs. Prints a line of JSON a verb.
"""

import importlib
import io
import itertools
import json
import os
import random
import signal
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from PIL import Image

from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.bootstrap import Services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Caller, Segment
from lookalike.settings import read_settings
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.ingest import Ingest, Source
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.segments import Segments
from lookalike.usecases.sweep import sweep
from lookalike.usecases.upload import Upload
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.usecases.index_harness import KEY

HEAVY = ("alembic.command", "sqlalchemy.dialects.sqlite", "sklearn.neighbors", "pymysql", "google.cloud.storage")
"""Imported once, before the forks: none of them starts a thread."""
POLLED = {"cancel_requested", "set_stage"}
"""Called by a thread of their own, whenever it runs."""


class Mortal:
    """Passes calls on to another object, and kills the process before the n-th."""

    def __init__(self, other: Any, calls: "itertools.count[int]", deadly: int) -> None:
        self._other, self._calls, self._deadly = other, calls, deadly

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._other, name)
        if not callable(value) or name in POLLED:
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            if next(self._calls) == self._deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return value(*args, **kwargs)

        return call


class World:
    """Everything on real stores, with models that need no weights; whoever starts it may die at a call."""

    def __init__(self, deadly: int = -1) -> None:
        services, calls = Services(read_settings()), itertools.count()
        self.catalog: Any = Mortal(services.catalog, calls, deadly)
        self.store: Any = Mortal(services.store, calls, deadly)
        detector: Any = Mortal(FakeDetector(make_detection(0), make_detection(30)), calls, deadly)
        models = Models(detector, FakeEmbedder(), max_waiting=4)
        self.upload = Upload(models, self.store, self.catalog, True, timedelta(0))
        self.jobs = Jobs(self.catalog, 50)
        self.ingest = Ingest(self.upload, Segments(self.catalog, self.store), self.catalog, self.jobs)
        self.versions = IndexVersions(
            self.store, NeighborsFormat(), KEY, FakeEmbedder.name, FakeEmbedder.dim, lambda: datetime.now(UTC)
        )
        self.reindex = Reindex(self.catalog, self.versions)
        self.embedder = FakeEmbedder()

    def rows(self) -> dict[int, Segment]:
        found = self.catalog.changes(FakeEmbedder.name, 0).row_ids.tolist()
        rows: dict[int, Segment] = self.catalog.segments(found)
        return rows

    def searched(self) -> set[int]:
        """What a search by a new process finds."""
        index = LiveIndex(self.versions, self.catalog, FakeEmbedder.name, FakeEmbedder.dim)
        query = self.embedder.embed([Image.new("RGB", (2, 2), "red")], CancelToken())
        return {hit.row_id for hit in index.search(query, 1000, CancelToken())[0][0]}


def upload(world: World, number: int) -> None:
    with world.jobs.run_job("upload", Caller(), validate_or_create_job_id(None)) as work:
        world.upload.upload_photo(photo("red"), "upload", None, True, work)


def ingest(world: World, number: int) -> None:
    """The ledger remembers other tries: each has a generation of its own."""
    source = Source("shop", "incoming/photo.png", str(number + 1))
    if not world.ingest.known_versions(source.bucket, [source.name]).get((source.name, source.generation)):
        world.ingest.ingest(source, photo("blue"))


def reindex(world: World, number: int) -> None:
    world.reindex.build()
    sweep(world.store, world.catalog, older_than=3600)


VERBS: dict[str, Callable[[World, int], None]] = {"upload": upload, "ingest": ingest, "reindex": reindex}
GARMENTS = 2
"""In each photo, as the fake detector sees it."""


@dataclass
class Found:
    """What was found after dying at each of `calls` calls: sums, or the most of all."""

    verb: str
    calls: int = 0
    rows_without_objects: int = 0
    wrong_searches: int = 0
    most_objects_without_row: int = 0
    failed_repeats: int = 0
    objects_without_row_after_sweep: int = 0

    def add(self, seen: "Found") -> None:
        self.calls += 1
        self.rows_without_objects += seen.rows_without_objects
        self.wrong_searches += seen.wrong_searches
        self.most_objects_without_row = max(self.most_objects_without_row, seen.most_objects_without_row)
        self.failed_repeats += seen.failed_repeats
        self.objects_without_row_after_sweep += seen.objects_without_row_after_sweep


def try_out(verb: str) -> Found:
    found = Found(verb)
    for number in itertools.count():
        in_child(partial(prepare, verb))
        if in_child(partial(die, verb, number)) is not None:
            return found
        seen = in_child(partial(look, verb, number))
        assert seen is not None, "looking must not die"
        found.add(Found(**json.loads(seen)))
    raise AssertionError("unreachable")


def die(verb: str, number: int) -> None:
    VERBS[verb](World(number), number)


def in_child(do: Callable[[], object]) -> bytes | None:
    """What `do` returned, as JSON; none if it was killed. This process stays without threads, so that it may fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(do()).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(7)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return None
    assert status == 0, "the child failed"
    return told


def look(verb: str, number: int) -> dict[str, Any]:
    """What a dead process left; what is there once its work was done again, and swept."""
    world, found = World(), Found(verb)
    rows = world.rows()
    paths = [path for one in rows.values() for path in (one.path, one.thumbnail) if path]
    found.rows_without_objects = sum(world.store.stat(path) is None for path in paths)
    found.wrong_searches = int(world.searched() != set(rows))
    found.most_objects_without_row = len(unnamed(world))
    VERBS[verb](world, number)
    again = world.rows()
    expected = GARMENTS if verb != "reindex" else 2 * GARMENTS
    found.failed_repeats = int(len(again) != expected or world.searched() != set(again))
    sweep(world.store, world.catalog, older_than=-5)
    found.objects_without_row_after_sweep = len(unnamed(world))
    return asdict(found)


def unnamed(world: World) -> list[str]:
    paths = [one.path for one in world.store.list() if not one.path.startswith("index/")]
    return sorted(set(paths) - world.catalog.referenced_paths(paths))


def prepare(verb: str) -> None:
    """An empty catalog and bucket again; two photos for `reindex`."""
    world = World()
    items = Segments(world.catalog, world.store)
    for segment in world.rows().values():
        items.delete_segment(segment.name)
    for one in list(world.store.list()):
        world.store.delete(one.path)
    if verb == "reindex":
        upload(world, 0)
        ingest(world, -random.randrange(10**12))


def photo(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return file.getvalue()


def main() -> None:
    for module in HEAVY:
        importlib.import_module(module)
    for verb in VERBS:
        print(json.dumps(asdict(try_out(verb))), flush=True)


if __name__ == "__main__":
    main()
