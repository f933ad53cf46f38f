"""`lookalike export` and `lookalike import`, killed at random points again and again, and finished at last."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lookalike.batch.catalog_import import import_folder
from lookalike.bootstrap import Services, services
from lookalike.domain.errors import BadRequest
from lookalike.domain.model import Box, Photo, ProductDetails, Segment
from lookalike.domain.transfer import TransferGarment, TransferPhoto
from lookalike.usecases.sweep import sweep

pytestmark = pytest.mark.slow
PHOTOS, GARMENTS = 120, 2
KILLS = 3
SEED = 20261129


def fill(system: Services) -> None:
    """Store photos with garments, vectors and details, without models."""
    embedder, dim = system._embedder_name_and_dim
    vectors = np.random.default_rng(SEED).standard_normal((PHOTOS, GARMENTS, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    photos = [make_photo(number, vectors[number], embedder) for number in range(PHOTOS)]
    for photo in photos:
        assert photo.photo
        paths = [
            photo.photo.path,
            *(path for one in photo.garments for path in (one.segment.path, one.segment.thumbnail)),
        ]
        for path in paths:
            system.store.put_temporary(str(path), f"image {path}".encode(), "image/jpeg")
    system.transfer.import_photos(photos)
    system.catalog.put_details(
        ProductDetails(one.segment.name, brand="Ost") for photo in photos for one in photo.garments
    )


def make_photo(number: int, vectors: np.ndarray, embedder: str) -> TransferPhoto:
    name, moment, garments = f"photo-{number:03}", datetime.now(UTC).replace(microsecond=0), []
    for index, vector in enumerate(vectors):
        path = f"{name}/segment_{index}"
        attributes = (Box(0, 0, 9, 9), "dress", 0.5, moment, (50.0, 1.0, 2.0))
        segment = Segment(0, f"{name}_segment_{index}", f"{path}.png", f"{path}.thumbnail.jpg", name, *attributes)
        garments.append(TransferGarment(segment, embedder, {embedder: vector}))
    return TransferPhoto(name, Photo(name, "ab" * 32, 9, 9, f"{name}/original.jpg", "anna"), moment, tuple(garments))


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from lookalike.cli import main; main()", *arguments]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, env=os.environ, cwd=folder, stdout=log, stderr=log)


def kill_at(target: int, count: Callable[[], int], process: subprocess.Popen[bytes]) -> bool:
    """Kill a process as soon as the count is reached. Returns whether it was still running."""
    while process.poll() is None and count() < target:
        time.sleep(0.002)
    is_running = process.poll() is None
    process.kill()
    process.wait()
    return is_running


def count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def test_killed_exports_and_imports_leave_nothing_half_done(
    real: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(SEED)
    fill(real)
    out = tmp_path / "out"
    for files in (1, chance.randint(2, 300)):
        assert kill_at(files, lambda: count_files(out), start(tmp_path, "export", "out")), "killed while it works"
        with pytest.raises(BadRequest, match="the export was interrupted"):
            import_folder(real, out)
    assert start(tmp_path, "export", "out").wait() == 0
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "other"))
    services.cache_clear()
    there, kills, stored = services(), 0, 0
    for _ in range(KILLS):
        target = stored + chance.randint(1, 2 * PHOTOS * GARMENTS // KILLS)
        kills += kill_at(target, there._sql_catalog.count_segments, start(tmp_path, "import", "out"))
        stored = there._sql_catalog.count_segments()
        check_objects(there)
    assert kills >= KILLS - 1 and stored > 0
    assert start(tmp_path, "import", "out").wait() == 0
    assert everything(there) == everything(real)
    sweep(there.store, there.catalog, older_than=-5)
    paths = [one.path for one in there.store.list()]
    assert set(paths) == there.catalog.referenced_paths(paths)
    check_objects(there)


def check_objects(system: Services) -> None:
    """Every row has its objects, and every photo all its garments."""
    segments = system.catalog.segments(system.catalog.matching_row_ids(None, {}).tolist()).values()
    assert len(segments) == GARMENTS * len({one.photo for one in segments})
    for one in segments:
        photo = system.catalog.photo(one.photo)
        for path in (one.path, one.thumbnail, photo and photo.path):
            assert system.store.get(str(path)) == f"image {path}".encode()


def everything(system: Services) -> list[object]:
    """Everything in the order of the rows."""
    with system.transfer.transfer_snapshot() as snapshot:
        photos = [
            (
                found.photo,
                [
                    (one.segment.name, one.segment.box, one.vectors[one.embedder or ""].tobytes())
                    for one in found.garments
                ],
            )
            for found in snapshot.photos()
        ]
        return [photos, list(snapshot.details())]
