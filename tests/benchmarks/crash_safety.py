"""`make bench-crashes`: what a killed process leaves behind, on each database and each store of this machine."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.report import Report, add_option, write_reports
from tests.contracts.databases import DATABASE_KINDS, temporary_database
from tests.emulators.storage_server import storage_server

ROOT = Path(__file__).parents[2]
STORES = ("folder", "Cloud Storage emulator")
COLUMNS = (
    "killed in",
    "on",
    "calls",
    "rows without their object",
    "wrong searches",
    "most objects without a row",
    "failed repeats",
    "objects without a row after the sweep",
)
TABLE = Report("crash-safety", COLUMNS)


@contextmanager
def environment(database: str, store: str) -> Iterator[dict[str, str]]:
    """The settings of an empty database and an empty store."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(temporary_database(database, Path(folder)))
        settings = {"LOOKALIKE_HOME": f"{folder}/home", "LOG_LEVEL": "ERROR", "DATABASE_URL": url}
        if store != "folder":
            server = stack.enter_context(storage_server("shop"))
            settings |= {"STORE_URL": "gs://shop", "STORAGE_EMULATOR_HOST": server.url}
        yield {**os.environ, **settings, "PYTHONPATH": str(ROOT)}


def measure(database: str, store: str) -> None:
    """Add one row for each operation to the table."""
    with environment(database, store) as settings:
        upgrade = [sys.executable, "-c", "from lookalike.cli import main; main()", "db", "upgrade"]
        subprocess.run(upgrade, env=settings, cwd=ROOT, check=True, capture_output=True)
        command = [sys.executable, "-m", "tests.e2e.crash_points"]
        lines = subprocess.run(command, env=settings, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in lines.splitlines():
        operation, *counts = [str(value) for value in json.loads(line).values()]
        TABLE.add(operation, f"{database}, {store}", *counts)
        print(TABLE.rows[-1], flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_option(parser)
    options = parser.parse_args()
    for database in DATABASE_KINDS:
        for store in STORES:
            try:
                measure(database, store)
            except pytest.skip.Exception as skipped:
                print(f"{database}, {store}: {skipped}")
    if options.write_docs:
        write_reports([TABLE], ("sqlalchemy", "pymysql", "google-cloud-storage"))


if __name__ == "__main__":
    main()
