"""Crash safety: SIGKILL before every call to database, bucket and models, on both databases and both stores.

`make bench-crashes` also runs the two other combinations of them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import lookalike
from tests.contracts.databases import DATABASE_KINDS, temporary_database
from tests.e2e.crash_points import OPERATIONS
from tests.emulators.storage_server import storage_server

ROOT = Path(lookalike.__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(params=zip(DATABASE_KINDS, ("directory", "cloud storage"), strict=True), ids=", ".join)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables of a process with an empty database and bucket."""
    database, store = request.param
    with ExitStack() as stack:
        url = stack.enter_context(temporary_database(database, tmp_path))
        settings = {"LOOKALIKE_HOME": str(tmp_path / "home"), "LOG_LEVEL": "ERROR", "DATABASE_URL": url}
        if store == "cloud storage":
            server = stack.enter_context(storage_server("shop"))
            settings |= {"STORE_URL": "gs://shop", "STORAGE_EMULATOR_HOST": server.url}
        yield {**os.environ, **settings, "PYTHONPATH": str(ROOT)}


def test_crash_at_any_call_loses_and_invents_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    upgrade = [sys.executable, "-c", "from lookalike.cli import main; main()", "db", "upgrade"]
    subprocess.run(upgrade, env=environment, cwd=tmp_path, check=True, capture_output=True)
    command = [sys.executable, "-m", "tests.e2e.crash_points"]
    completed = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert completed.returncode == 0, completed.stderr[-3000:]
    for result in map(json.loads, completed.stdout.splitlines()):
        print(result)
        assert result.pop("calls") >= 9 and result.pop("operation")
        assert result.pop("max_objects_without_row") <= 6
        assert not any(result.values()), result
    assert len(completed.stdout.splitlines()) == len(OPERATIONS)
