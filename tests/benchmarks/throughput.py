"""Part of `make bench`: ingestion, serving many clients and cold starts, beside the code of an earlier commit in one run.

The earlier code is taken from the history of the repository. Each measurement runs first with one code and then with the
other, in processes and data of their own. Times depend on the machine: compare the ratios.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import lookalike
from lookalike import images
from tests.benchmarks.cold_start import FUNCTIONS, measure_cold_starts_of
from tests.benchmarks.mixed_load import resident_megabytes, run_mixed_load
from tests.benchmarks.report import Report, add_option, write_reports
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

ROOT = Path(lookalike.__file__).parents[2]
EARLIER_COMMIT = "f217a11"
"""Commit before throughput was worked on."""
LIBRARIES = ("numpy", "onnxruntime", "pillow", "sqlalchemy", "functions-framework")
TABLE = Report("throughput", ("measured", "now", "before", "ratio"))
MAX_QUERY_PHOTOS = 100


@dataclass(frozen=True, slots=True)
class Code:
    """One version of the code: the folder that contains `shared/` and `functions/`."""

    root: Path

    @property
    def settings(self) -> dict[str, str]:
        """Environment of processes that run this code."""
        return {"PYTHONPATH": str(self.root / "shared"), "LOG_LEVEL": "ERROR"}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of .jpg photos instead of those of the sample closet")
    parser.add_argument("--count", type=int, default=400, help="photos to ingest (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="time under load (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=16, help="concurrent clients (default: %(default)s)")
    add_option(parser)
    options, _ = parser.parse_known_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in LIBRARIES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "earlier").mkdir()
        if not extract_commit(folder / "earlier"):
            print(f"skipped: the history of the repository with commit {EARLIER_COMMIT} is not here")
            return
        codes = [Code(ROOT), Code(folder / "earlier")]
        photos = collect_photos(folder / "photos", options.photos, options.count)
        source = "photos of a folder" if options.photos else "photos of the sample closet"
        print(f"{len(photos)} {source}; {options.clients} clients for {options.seconds} s; SQLite and a local bucket\n")
        print(f"{'':<58} {'now':>10} {'before':>10} {'ratio':>8}")
        measure_ingest(codes, folder, photos)
        measure_serving(codes, folder, photos[:MAX_QUERY_PHOTOS], options.clients, options.seconds)
        measure_cold_starts(codes, folder)
    if options.write_docs:
        write_reports([TABLE], LIBRARIES)


def extract_commit(folder: Path) -> bool:
    """Write the earlier code to the folder. Returns whether the history has it."""
    command = ["git", "-C", str(ROOT), "archive", EARLIER_COMMIT, "shared/lookalike", "functions"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        return False
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as content:
        content.extractall(folder, filter="data")
    return True


def collect_photos(folder: Path, source: Path | None, count: int) -> list[Path]:
    """Write links to the source's photos, or photos of the sample closet, in turn. Returns their paths."""
    folder.mkdir()
    if source:
        paths = sorted(source.rglob("*.jpg"))
        for number in range(count):
            (folder / f"{number:05}.jpg").symlink_to(paths[number % len(paths)].resolve())
    else:
        for number in range(count):
            (folder / f"{number:05}.jpg").write_bytes(images.jpeg(sample_photo(number, number % 3 > 0)))
    return sorted(folder.iterdir())


def add_row(title: str, values: Sequence[float], digits: int, is_higher_better: bool = False) -> None:
    """Print and record a row. The ratio is above 1 if the present code is better."""
    now, before = values
    ratio = now / before if is_higher_better else before / now
    cells = (f"{now:,.{digits}f}", f"{before:,.{digits}f}", f"{ratio:.2f}")
    print(f"{title:<58} {cells[0]:>10} {cells[1]:>10} {cells[2]:>8}", flush=True)
    TABLE.add(title, *cells)


def measure_ingest(codes: Sequence[Code], folder: Path, photos: Sequence[Path]) -> None:
    """Measure `lookalike ingest` of all photos, and its memory."""
    results = [ingest(code, folder / f"ingest{number}", photos[0].parent) for number, code in enumerate(codes)]
    rates, early_memory, memory = zip(*results, strict=True)
    add_row("ingest, photos per second", rates, 1, is_higher_better=True)
    add_row("memory of the ingestion at a quarter, MB", early_memory, 0)
    add_row("memory of the ingestion at its end, MB", memory, 0)


def ingest(code: Code, home: Path, photos: Path) -> tuple[float, float, float]:
    """Ingest a folder. Returns photos per second, and the memory in MB after a quarter of the time and at the end."""
    server = Server(home, code.settings)
    assert server.run("db", "upgrade").returncode == 0
    process = server.run("ingest", str(photos), "--json", wait=False)
    samples = [0.0]
    while process.poll() is None:
        samples.append(resident_megabytes(process.pid) or samples[-1])
        time.sleep(0.1)
    summary = json.loads(server.log("ingest").splitlines()[-1])
    assert summary["stored"] and not summary["failed"], summary
    return summary["stored"] / summary["seconds"], samples[len(samples) // 4], samples[-1]


def measure_serving(codes: Sequence[Code], folder: Path, photos: Sequence[Path], clients: int, seconds: int) -> None:
    """Measure a server under mixed load of several clients."""
    loads = []
    for number, code in enumerate(codes):
        server = Server(folder / f"serve{number}", {**code.settings, "CONCURRENCY": str(clients)})
        assert server.run("db", "upgrade").returncode == 0
        server.start()
        try:
            loads.append(run_mixed_load(server, [photo.read_bytes() for photo in photos], clients, seconds))
        finally:
            server.stop()
    add_row("requests per second", [load.requests_per_second for load in loads], 1, is_higher_better=True)
    add_row("search under load, median, ms", [load.milliseconds("search", 50) for load in loads], 0)
    add_row("search under load, 95th percentile, ms", [load.milliseconds("search", 95) for load in loads], 0)
    add_row("upload under load, median, ms", [load.milliseconds("upload", 50) for load in loads], 0)
    add_row("memory of the serving process at the end, MB", [load.memory for load in loads], 0)
    for name, load in zip(("now", "before"), loads, strict=True):
        print(f"  {name}: {load.describe()}")


def measure_cold_starts(codes: Sequence[Code], folder: Path) -> None:
    """Measure the time from the start of each function's process to its first correct response."""
    homes = [prepare_home(code, folder / f"cold{number}") for number, code in enumerate(codes)]
    for name in FUNCTIONS:
        versions = [(code.root, home, code.settings) for code, home in zip(codes, homes, strict=True)]
        starts = measure_cold_starts_of(name, versions)
        add_row(f"cold start of `{name}`, s", [statistics.median(start.seconds) for start in starts], 2)
        add_row(f"share of imports in it, `{name}`", [start.import_share for start in starts], 2)


def prepare_home(code: Code, home: Path) -> Path:
    """Create a database with one photo."""
    server = Server(home, code.settings)
    assert server.run("db", "upgrade").returncode == 0
    (home / "photos").mkdir()
    (home / "photos" / "look.jpg").write_bytes(images.jpeg(sample_photo(3)))
    assert server.run("ingest", "photos").returncode == 0
    return home


if __name__ == "__main__":
    main()
