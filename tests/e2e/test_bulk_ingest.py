"""Ingestion of a bucket by many tasks that are killed at random, come twice and change in number."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from lookalike import images
from lookalike.adapters.catalog import upgrade
from lookalike.bootstrap import Services, services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.ledger import LedgerSelection
from lookalike.domain.model import LedgerStatus
from lookalike.usecases.ingest import TRANSIENT_ERRORS, Source
from lookalike.usecases.models import whole_photo_detection
from lookalike.usecases.sweep import sweep
from tests.conftest import jpeg
from tests.contracts.databases import temporary_database
from tests.emulators.storage_server import StorageServer, storage_server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PHOTOS = 60
BUCKET = "shop"
SEED = 20261125
REQUEST_TIMEOUT = 20
"""Seconds. Claims of processes on other machines are abandoned after it."""
RETRIES = 10
"""Times that Cloud Run starts a failed task again."""


@dataclass
class Deployment:
    """A bucket and a database, and the tasks that run on them."""

    server: StorageServer
    settings: dict[str, str]
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, index: int, count: int) -> subprocess.Popen[bytes]:
        """Start a task, as Cloud Run does. It cannot write to its home."""
        task = {"CLOUD_RUN_TASK_INDEX": str(index), "CLOUD_RUN_TASK_COUNT": str(count)}
        environment = {**os.environ, **self.settings, **task, "LOOKALIKE_HOME": os.devnull}
        command = [sys.executable, "-c", "from lookalike.cli import main; main()", "ingest", f"gs://{BUCKET}/incoming/"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Return the tasks that run."""
        return [process for process in self.running if process.poll() is None]

    def wait_for_requests(self, number: int) -> None:
        """Wait until the tasks have sent that many more requests to the bucket, or none runs."""
        target = len(self.server.requests) + number
        while len(self.server.requests) < target and self.alive():
            time.sleep(0.005)


@pytest.fixture
def deployment(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment on MariaDB and the storage emulator. `services()` of this process use it, too."""
    with ExitStack() as stack:
        url = stack.enter_context(temporary_database("mysql", tmp_path))
        upgrade(url)
        server = stack.enter_context(storage_server(BUCKET))
        settings = {
            "DATABASE_URL": url,
            "STORE_URL": f"gs://{BUCKET}",
            "STORAGE_EMULATOR_HOST": server.url,
            "REQUEST_TIMEOUT": str(REQUEST_TIMEOUT),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        deployment = Deployment(server, settings, tmp_path)
        yield deployment
        for process in deployment.alive():
            process.kill()
        for process in deployment.running:
            process.wait()
        services.cache_clear()


def small_photo(number: int) -> bytes:
    """Return a photo of a garment, or of an outfit for every tenth number below `PHOTOS`."""
    is_outfit = number < PHOTOS and number % 10 == 0
    image = sample_photo(number // 10, outfit=True) if is_outfit else sample_photo(number)
    image.thumbnail((200, 200), Image.Resampling.LANCZOS)
    return jpeg(image)


def object_name(number: int) -> str:
    """Return the name of an object. Each pair of names results in the same photo name."""
    separator = "/" if number % 2 else "-"
    return f"incoming/summer{separator}{number // 2:02}.jpg"


def test_killed_tasks_lose_and_repeat_nothing(deployment: Deployment) -> None:
    chance, here = random.Random(SEED), services()
    for number in range(PHOTOS):
        here.store.put(object_name(number), small_photo(number), "image/jpeg")
    here.store.put("incoming/broken.jpg", b"no photo", "image/jpeg")
    # left by a task that was killed on another machine, where nobody can see whether it still runs
    here.store.put("incoming-summer-07/claim", b"another machine\njob", "text/plain")

    kills = 0
    for count in (3, 2, 4):
        for index in (*range(count), chance.randrange(count)):
            deployment.start(index, count)
        overwrite_and_send_events(here, chance)
        for _ in range(3):
            deployment.wait_for_requests(chance.randint(5, 50))
            if alive := deployment.alive():
                chance.choice(alive).send_signal(signal.SIGKILL)
                kills += 1
    stored = here.catalog.count_ingested_photos(LedgerSelection(), datetime.fromtimestamp(0, UTC))
    assert kills >= 8 and 0 < stored < PHOTOS, "the tasks must be killed while they work"
    finish_all(deployment, count=2)

    check_ledger_and_photos(here)
    check_garments_are_found(here)
    sweep(here.store, here.catalog, older_than=-5)
    assert unreferenced_paths(here) == []


def overwrite_and_send_events(here: Services, chance: random.Random) -> None:
    """Overwrite an object, and process the events of its versions and of another object while the tasks run."""
    name = object_name(chance.randrange(PHOTOS))
    stored = here.store.stat(name)
    assert stored is not None
    other = here.store.stat(object_name(chance.randrange(PHOTOS)))
    assert other is not None
    newer = here.store.put(name, small_photo(PHOTOS + chance.randrange(PHOTOS)), "image/jpeg", stored.generation)
    for version in (other, newer, stored):
        # in the cloud, the event would be delivered again; here the tasks come by
        with suppress(*TRANSIENT_ERRORS):
            here.bucket_ingest.ingest_version(Source(BUCKET, version.path, str(version.generation)))


def finish_all(deployment: Deployment, count: int) -> None:
    """Run all tasks, one of them twice, and start failed ones again until all succeed."""
    tasks = [(index, count, deployment.start(index, count)) for index in (*range(count), 0)]
    for _ in range(RETRIES):
        failed = [(index, count) for index, count, process in tasks if process.wait() != 0]
        if not failed:
            break
        tasks = [(index, count, deployment.start(index, count)) for index, count in failed]
    else:
        raise AssertionError((deployment.folder / "log").read_text())
    for process in deployment.alive():
        process.wait()


def check_ledger_and_photos(here: Services) -> None:
    """Each object has one photo, that of its current bytes. The broken one has a failure."""
    photos = dict[str, str]()
    for number in range(PHOTOS):
        name = object_name(number)
        entries = here.catalog.ledger_entries(BUCKET, [name])
        assert entries and all(entry.status is LedgerStatus.DONE for entry in entries), name
        # an older version of another object can have had the name of this photo
        stored = here.catalog.photo(next(entry.photo for entry in reversed(entries) if entry.photo))
        assert stored and stored.sha256 == sha256(here.store.get(name)).hexdigest(), name
        photos[stored.name] = name
    assert len(photos) == PHOTOS
    rows = here.catalog.segments(here.catalog.changes(here.models.embedder, 0).row_ids.tolist()).values()
    assert {row.photo for row in rows} == photos.keys()
    for row in rows:
        assert here.store.stat(row.path) and row.thumbnail and here.store.stat(row.thumbnail), row.name
    (failure,) = here.catalog.ledger_page(LedgerSelection(LedgerStatus.FAILED), 10).entries
    assert failure.name == "incoming/broken.jpg" and failure.reason


def check_garments_are_found(here: Services) -> None:
    """Each photo has all its garments, and an exact search for each of them finds it."""
    changes = here.catalog.changes(here.models.embedder, 0)
    rows, index = here.catalog.segments(changes.row_ids.tolist()), ExactIndex(changes.row_ids, changes.vectors)
    for number in range(PHOTOS):
        photo = images.read_image(here.store.get(object_name(number)))
        garments = here.models.detect(photo, CancelToken(), thorough=True) or [whole_photo_detection(photo)]
        vectors = here.models.embed([garment.cut_out(photo) for garment in garments], CancelToken())
        nearest = [rows[hit.row_id] for (hit,) in index.search(vectors, 1) if hit.similarity > 0.999]
        assert len({row.photo for row in nearest}) == 1, object_name(number)
        assert {row.name for row in nearest} == {
            row.name for row in here.catalog.segments_of_photo(nearest[0].photo)
        }, object_name(number)


def unreferenced_paths(here: Services) -> list[str]:
    """Return the paths of objects that no row refers to."""
    paths = [stored.path for stored in here.store.list() if not stored.path.startswith("incoming/")]
    return sorted(set(paths) - here.catalog.referenced_paths(paths))
