"""The restore of `infra/restore.md`: a dump and a bucket copy of different moments, on MariaDB and the storage emulator."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from lookalike.bootstrap import Services, services
from lookalike.domain.errors import Conflict
from lookalike.domain.model import ProductDetails
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.contracts.databases import temporary_database
from tests.emulators.storage_server import StorageServer, storage_server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
TWO_DAYS = 2 * 86_400 * 1_000_000
"""Microseconds. Generations of the emulator are times in this unit."""


@pytest.fixture
def storage() -> Iterator[StorageServer]:
    with storage_server("shop") as server:
        yield server


@pytest.fixture
def database(home: Path, storage: StorageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty database. The settings name it, and the bucket of the emulator."""
    if not shutil.which("mariadb-dump"):
        pytest.skip("mariadb-dump is not installed")
    with temporary_database("mysql", tmp_path) as url:
        settings = {"DATABASE_URL": url, "STORE_URL": "gs://shop", "STORAGE_EMULATOR_HOST": storage.url}
        for name, value in {**settings, "GOOGLE_CLOUD_PROJECT": "shop-project"}.items():
            monkeypatch.setenv(name, value)
        yield url
        services.cache_clear()


def client(program: str, url: str, *arguments: str, stdin: bytes | None = None) -> bytes:
    """Run a client program of MariaDB on the server of that URL, and return its output."""
    parsed = make_url(url)
    command = [program, "--no-defaults", f"--host={parsed.host}", f"--port={parsed.port}", f"--user={parsed.username}"]
    return subprocess.run(
        [*command, *arguments, str(parsed.database)], input=stdin, capture_output=True, check=True
    ).stdout


def restart() -> Services:
    """Return new services, as new instances have."""
    services.cache_clear()
    return services()


def store(opened: Services, name: str, seed: int) -> str:
    """Store a photo and return the name of its first garment."""
    opened.ingest.store_photo(name, jpeg(sample_photo(seed)))
    return opened.catalog.segments_of_photo(name)[0].name


def paths_of(opened: Services, garment: str) -> tuple[str, str]:
    """Return the paths of a garment's image and thumbnail."""
    segment = opened.catalog.segment(garment)
    assert segment and segment.thumbnail
    return segment.path, segment.thumbnail


def copy_bucket(storage: StorageServer) -> None:
    """Replace the bucket by a copy whose objects are two days old."""
    objects = storage.buckets["shop"].objects
    copied = {name: replace(one, generation=one.generation - TWO_DAYS) for name, one in objects.items()}
    objects.clear()
    objects.update(copied)


def find(name: str, seed: int) -> bool:
    """Whether a search with that photo finds a garment of the stored photo first."""
    photo = Path(f"{name}.jpg")
    photo.write_bytes(jpeg(sample_photo(seed)))
    result = run("search", photo, "--num", "1")
    assert result.exit_code == 0, result.output
    return f"{name}_segment" in result.output


def test_dump_and_bucket_copy_of_different_moments_are_repaired(database: str, storage: StorageServer) -> None:
    assert run("db", "upgrade").exit_code == 0
    opened = services()
    kept, cut, thumb, erased = (
        store(opened, name, seed) for seed, name in enumerate(("kept", "cut", "thumb", "erased"))
    )
    opened.catalog.put_details([ProductDetails(kept, brand="Kept")])
    opened.reindex.build()
    dump = client("mariadb-dump", database, "--single-transaction", "--routines")

    # Time passes until the bucket is copied: a photo is erased, one is uploaded, and the copy misses two objects.
    opened.segments.delete_segment(erased)
    uploaded = store(opened, "uploaded", 5)
    for number in range(3):
        store(opened, f"more-{number}", 6 + number)
    opened.reindex.build()
    opened.store.put("lost/segment_0.png", b"an interrupted upload", "image/png")
    lost_image, lost_thumbnail = paths_of(opened, cut)[0], paths_of(opened, thumb)[1]
    for path in (lost_image, lost_thumbnail):
        opened.store.delete(path)
    copy_bucket(storage)
    client("mariadb", database, stdin=dump)
    opened = restart()

    # Nothing is swept or published before the repair.
    with pytest.raises(Conflict, match="doctor --repair"):
        opened.reindex.build_if_due()
    told = run("doctor")
    assert told.exit_code == 1
    for text in (
        "1 garments without an image, whose photo exists",
        "1 garments without an image and without a photo",
        "1 garments without a thumbnail",
        "4 photos without a row",
        "1 other objects without a row",
        "the catalog only",
    ):
        assert text in told.output, told.output
    planned = run("doctor", "--repair")
    assert planned.exit_code == 1 and f"DELETED ({erased})" in planned.output

    mended = run("doctor", "--repair", "--yes", "--store-photos")
    assert mended.exit_code == 0 and "not mended" not in mended.output, mended.output
    opened = restart()
    assert opened.catalog.segment(erased) is None
    assert opened.inspection.run().is_empty
    for name, seed in (("kept", 0), ("cut", 1), ("thumb", 2), ("uploaded", 5), ("more-2", 8)):
        assert find(name, seed), name
    assert opened.catalog.details([kept])[kept].brand == "Kept" and uploaded
    assert run("doctor").exit_code == 0
    assert opened.reindex.build_if_due() is None
