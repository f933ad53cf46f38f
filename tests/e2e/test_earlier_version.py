"""Expand-and-contract migrations: the version before the last migration works on the tables of this version.

During a release, the database is migrated while instances of the version before serve, and after `make rollback` they
serve again.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookalike
from lookalike.adapters.catalog.tables import REVISION
from lookalike.bootstrap import Services, services
from tests.conftest import jpeg
from tests.contracts.databases import execute

ROOT = Path(lookalike.__file__).parents[2]
WORKER = Path(__file__).with_name("earlier_version_worker.py")
EMBEDDER = "adapters/compact_embedder.py", "weights/embedder.onnx", "weights/calibration.json"
MIGRATIONS = "shared/lookalike/adapters/catalog/migrations/versions"


def git(*arguments: str) -> bytes | None:
    """Return the output of git in this project, or `None` without git or the commit."""
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The package and the functions of the version before the last migration, from the history of the repository."""
    added = git("log", "--format=%H", "--diff-filter=A", "-1", "--", f"{MIGRATIONS}/{REVISION}_*.py")
    archive = git("archive", f"{added.decode().strip()}^", "shared/lookalike", "functions") if added else None
    if not archive:
        pytest.skip(f"The history of the repository with the commit that added migration {REVISION} is not here")
    folder = tmp_path / "earlier"
    with tarfile.open(fileobj=BytesIO(archive)) as content:
        content.extractall(folder, filter="data")
    # with the embedder of this version: vectors of another one are not compared
    for file in EMBEDDER:
        shutil.copy(ROOT / "shared/lookalike" / file, folder / "shared/lookalike" / file)
    return folder


def run_earlier(folder: Path, home: Path) -> dict[str, Any]:
    """Run the operations of the worker with the earlier version, in the same home."""
    functions = {"PYTHONPATH": str(folder / "shared"), "FUNCTIONS_FOLDER": str(folder / "functions")}
    (home / "worker").mkdir(parents=True)
    output = home / "worker" / "result.json"
    command = [sys.executable, str(WORKER), str(output)]
    environment = {**os.environ, "LOOKALIKE_HOME": str(home), **functions}
    result = subprocess.run(command, cwd=output.parent, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-4000:]
    found: dict[str, Any] = json.loads(output.read_text())
    return found


@pytest.mark.slow
def test_version_before_the_last_migration_works_on_the_new_tables(real: Services, earlier: Path, home: Path) -> None:
    assert not [*(earlier / MIGRATIONS).glob(f"{REVISION}_*.py")]
    own = real.ingest.store_photo("newer", jpeg(Image.effect_mandelbrot((300, 300), (-2, -1, 1, 1), 50).convert("RGB")))
    found = run_earlier(earlier, home)
    # it finds what this version stored, and what it stores itself, until that is deleted
    assert found["first"][0] == found["uploaded"] == "earlier_segment_0"
    assert f"{own}_segment_0" in found["first"] and len({*found["ingested"]} - {*found["first"]}) == 1
    assert found["brand"] == "Earlier" and found["rows"] == 3
    assert found["uploaded"] not in found["last"] and f"{own}_segment_0" in found["last"]
    # this version goes on with what the earlier one stored
    services.cache_clear()
    later = services()
    later.catalog.ping()
    assert len(later.catalog.matching_row_ids(None, {})) == later.index.warm_up().rows == 2
    assert later.reindex.build().rows == 2


@pytest.mark.slow
def test_earlier_version_fails_on_tables_that_lack_what_it_needs(real: Services, earlier: Path, home: Path) -> None:
    """The test above would notice a migration that drops a column in use."""
    real.catalog.ping()
    execute(real.settings.database, "ALTER TABLE splitted_images RENAME COLUMN label TO kind")
    with pytest.raises(AssertionError, match="database tables are missing or have another version"):
        run_earlier(earlier, home)
