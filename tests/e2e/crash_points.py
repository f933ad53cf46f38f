"""Program that kills upload, ingest, recut and reindex before each of their calls to database, bucket and models.

Reads database and bucket from the settings. For each call, one child process does the work and is killed there. Another
inspects the state, repeats the work and sweeps. Prints one line of JSON for each operation.
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
from lookalike.domain.model import Box, Caller, Segment
from lookalike.settings import read_settings
from lookalike.usecases.claims import Claims
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.ingest import Ingest, Source
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.name_claims import NameClaims
from lookalike.usecases.recut import Recut
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.segments import Segments
from lookalike.usecases.sweep import sweep
from lookalike.usecases.upload import Upload
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.usecases.index_harness import KEY

PRELOADED_MODULES = (
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "sklearn.neighbors",
    "pymysql",
    "google.cloud.storage",
)
"""Slow imports, done once before forking. None of them starts a thread."""
POLLED_METHODS = {"cancel_requested", "set_stage"}
"""Called by a background thread at varying times, so they must not be counted."""


class KillingProxy:
    """Forwards calls to another object and kills the process before the n-th call."""

    def __init__(self, target: Any, calls: "itertools.count[int]", fatal_call: int) -> None:
        self._target, self._calls, self._fatal_call = target, calls, fatal_call

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value) or name in POLLED_METHODS:
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            if next(self._calls) == self._fatal_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return value(*args, **kwargs)

        return call


class Deployment:
    """Use cases on the real database and bucket, with fake models. Kills the process before call `fatal_call`."""

    def __init__(self, fatal_call: int = -1) -> None:
        services, calls = Services(read_settings()), itertools.count()
        self.catalog: Any = KillingProxy(services.catalog, calls, fatal_call)
        self.store: Any = KillingProxy(services.store, calls, fatal_call)
        detector: Any = KillingProxy(FakeDetector(make_detection(0), make_detection(30)), calls, fatal_call)
        models = Models(detector, FakeEmbedder(), max_waiting=4)
        self.upload = Upload(models, self.store, self.catalog, True, timedelta(0))
        claims = NameClaims(Claims(self.store, timedelta(0)), self.store, self.catalog)
        self.recut = Recut(models, self.store, self.catalog, claims)
        self.jobs = Jobs(self.catalog, 50)
        self.ingest = Ingest(self.upload, Segments(self.catalog, self.store), self.catalog, self.jobs)
        self.versions = IndexVersions(
            self.store, NeighborsFormat(), KEY, FakeEmbedder.name, FakeEmbedder.dim, lambda: datetime.now(UTC)
        )
        self.reindex = Reindex(self.catalog, self.versions)
        self.embedder = FakeEmbedder()

    def rows(self) -> dict[int, Segment]:
        """Return all stored segments, by row id."""
        row_ids = self.catalog.changes(FakeEmbedder.name, 0).row_ids.tolist()
        rows: dict[int, Segment] = self.catalog.segments(row_ids)
        return rows

    def search(self) -> set[int]:
        """Return the row ids that a search of a new process finds."""
        index = LiveIndex(self.versions, self.catalog, FakeEmbedder.name, FakeEmbedder.dim)
        query = self.embedder.embed([Image.new("RGB", (2, 2), "red")], CancelToken())
        return {hit.row_id for hit in index.search(query, 1000, CancelToken())[0][0]}


def upload(deployment: Deployment, number: int) -> None:
    with deployment.jobs.run_job("upload", Caller(), validate_or_create_job_id(None)) as job:
        deployment.upload.upload_photo(encode_photo("red"), "upload", None, True, job)


def ingest(deployment: Deployment, number: int) -> None:
    """Each attempt has its own generation, because the ledger skips known ones."""
    source = Source("shop", "incoming/photo.png", str(number + 1))
    if not deployment.ingest.recorded_outcomes(source.bucket, [source.name]).get((source.name, source.generation)):
        deployment.ingest.ingest(source, encode_photo("blue"))


def reindex(deployment: Deployment, number: int) -> None:
    deployment.reindex.build()
    sweep(deployment.store, deployment.catalog, older_than=3600)


def recut(deployment: Deployment, number: int) -> None:
    with deployment.jobs.run_job("recut", Caller(), validate_or_create_job_id(None)) as job:
        deployment.recut.recut("upload_segment_0", Box(5, 5, 55, 35), job)


OPERATIONS: dict[str, Callable[[Deployment, int], None]] = {
    "upload": upload,
    "ingest": ingest,
    "recut": recut,
    "reindex": reindex,
}
GARMENTS = 2
"""Garments that the fake detector finds in each photo."""


@dataclass
class CrashReport:
    """Defects found after crashes at `calls` calls, as sums; `max_…` is a maximum."""

    operation: str
    calls: int = 0
    rows_without_objects: int = 0
    wrong_searches: int = 0
    max_objects_without_row: int = 0
    failed_repeats: int = 0
    objects_without_row_after_sweep: int = 0

    def add(self, other: "CrashReport") -> None:
        """Add the defects after one crash."""
        self.calls += 1
        self.rows_without_objects += other.rows_without_objects
        self.wrong_searches += other.wrong_searches
        self.max_objects_without_row = max(self.max_objects_without_row, other.max_objects_without_row)
        self.failed_repeats += other.failed_repeats
        self.objects_without_row_after_sweep += other.objects_without_row_after_sweep


def crash_everywhere(operation: str) -> CrashReport:
    """Crash an operation at each of its calls, until it completes."""
    report = CrashReport(operation)
    for number in itertools.count():
        in_child(partial(prepare, operation))
        if in_child(partial(run_until_killed, operation, number)) is not None:
            return report
        result = in_child(partial(inspect_and_repeat, operation, number))
        assert result is not None, "the inspecting process was killed"
        report.add(CrashReport(**json.loads(result)))
    raise AssertionError("unreachable")


def run_until_killed(operation: str, number: int) -> None:
    OPERATIONS[operation](Deployment(number), number)


def in_child(function: Callable[[], object]) -> bytes | None:
    """Call a function in a forked process and return its result as JSON, or `None` if it was killed.

    The parent process has no threads: forking with threads can copy locks that are held.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(function()).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(7)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return None
    assert status == 0, "the child failed"
    return result


def inspect_and_repeat(operation: str, number: int) -> dict[str, Any]:
    """Count defects after a crash, after repeating the operation, and after a sweep."""
    deployment, report = Deployment(), CrashReport(operation)
    rows = deployment.rows()
    paths = [path for segment in rows.values() for path in (segment.path, segment.thumbnail) if path]
    report.rows_without_objects = sum(deployment.store.stat(path) is None for path in paths)
    report.wrong_searches = int(deployment.search() != set(rows))
    report.max_objects_without_row = len(unreferenced_paths(deployment))
    OPERATIONS[operation](deployment, number)
    repeated = deployment.rows()
    expected = GARMENTS if operation != "reindex" else 2 * GARMENTS
    report.failed_repeats = int(len(repeated) != expected or deployment.search() != set(repeated))
    sweep(deployment.store, deployment.catalog, older_than=-5)
    report.objects_without_row_after_sweep = len(unreferenced_paths(deployment))
    return asdict(report)


def unreferenced_paths(deployment: Deployment) -> list[str]:
    """List objects that no row refers to."""
    paths = [entry.path for entry in deployment.store.list() if not entry.path.startswith("index/")]
    return sorted(set(paths) - deployment.catalog.referenced_paths(paths))


def prepare(operation: str) -> None:
    """Empty catalog and bucket. For `recut` store a photo, and for `reindex` two."""
    deployment = Deployment()
    segments = Segments(deployment.catalog, deployment.store)
    for segment in deployment.rows().values():
        segments.delete_segment(segment.name)
    for entry in list(deployment.store.list()):
        deployment.store.delete(entry.path)
    if operation in ("recut", "reindex"):
        upload(deployment, 0)
    if operation == "reindex":
        ingest(deployment, -random.randrange(10**12))


def encode_photo(color: str) -> bytes:
    """Return a small PNG of one color."""
    file = io.BytesIO()
    Image.new("RGB", (60, 40), color).save(file, "PNG")
    return file.getvalue()


def main() -> None:
    """Print the report of each operation."""
    for module in PRELOADED_MODULES:
        importlib.import_module(module)
    for operation in OPERATIONS:
        print(json.dumps(asdict(crash_everywhere(operation))), flush=True)


if __name__ == "__main__":
    main()
