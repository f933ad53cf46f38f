"""`make bench-million`: an index of a million rows, published by one process and searched by another, as in production.

`million_data` describes the data. The queries are crops of photos of which the index has no rows.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.adapters.directory_store import DirectoryStore
from lookalike.adapters.faiss_index import FaissFormat
from lookalike.adapters.neighbors_index import NeighborsFormat
from lookalike.bootstrap import Services
from lookalike.domain.model import Manifest, Vectors
from lookalike.domain.reranked_index import RerankedIndex, candidate_count
from lookalike.domain.vector_source import PAGE_SIZE, VectorSource
from lookalike.settings import Settings
from lookalike.usecases.index_versions import IndexVersions
from tests.benchmarks.approximates import compare_indexes
from tests.benchmarks.million_data import DIM, MillionRows, prepare
from tests.benchmarks.report import Report, add_option, write_reports

K = 10
"""Neighbors of each query."""
WARM_UP_QUERIES = 50
"""First queries, whose times are not counted."""
EMBEDDER = "benchmark-1"
APPROXIMATE_ABOVE = 100_000
"""Rows above which a version gets an approximate index."""
TABLE = Report("million", ("measured", "value", "goal"))


class TimingStore(DirectoryStore):
    """Store that remembers when the last part of an object was consumed."""

    last_byte = 0.0

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the parts of an object."""
        for part in super().read(path):
            yield part
            self.last_byte = time.perf_counter()


def index_versions(store: DirectoryStore) -> IndexVersions:
    """Return the index versions in the store."""
    return IndexVersions(
        store, NeighborsFormat(), b"a key", EMBEDDER, DIM, lambda: datetime.now(UTC), FaissFormat(), APPROXIMATE_ABOVE
    )


def publish(folder: Path, vectors: Vectors) -> Manifest:
    """Publish an index version of rows with the ids 1, 2, …, including the pickle."""

    def read() -> Iterator[Vectors]:
        return (np.asarray(vectors[start : start + PAGE_SIZE]) for start in range(0, len(vectors), PAGE_SIZE))

    rows = VectorSource(np.arange(1, len(vectors) + 1), DIM, read)
    return index_versions(DirectoryStore(folder, "", b"")).publish(rows, 1, datetime.now(UTC))


def query_times(call: Callable[[Vectors], object], queries: Vectors) -> dict[str, float]:
    """Return the median and the 99th percentile of the milliseconds of single queries."""
    times = []
    for query in queries:
        start = time.perf_counter()
        call(query[None])
        times.append(1000 * (time.perf_counter() - start))
    counted = times[WARM_UP_QUERIES:] or times
    return {"median": float(np.median(counted)), "p99": float(np.percentile(counted, 99))}


def run_search_process(folder: Path, index_version: str, data: Path) -> None:
    """Load models and index like `relay`, search, and print the measurements as JSON."""
    store = TimingStore(folder, "", b"")
    Services(Settings(lookalike_home=folder / "home")).models.warm_up()
    memory_before = memory()
    _, index = index_versions(store).load(index_version)
    seconds_to_ready = time.perf_counter() - store.last_byte
    queries = np.load(data / "queries.npy")
    times = query_times(lambda query: index.search(query, candidate_count(K)), queries)
    # pread, not mmap: pages of a mapped file would count as memory of this process
    file = (data / "vectors.npy").open("rb")
    header = os.fstat(file.fileno()).st_size - 4 * DIM * index.row_count

    def read_vector(row_id: int) -> Vectors:
        return np.frombuffer(os.pread(file.fileno(), 4 * DIM, header + 4 * DIM * (row_id - 1)), np.float32)

    reranked = RerankedIndex(index, lambda row_ids: {row_id: read_vector(row_id) for row_id in row_ids})
    neighbors = [[hit.row_id - 1 for hit in reranked.search(query[None], K)[0]] for query in queries]
    measured = {"seconds_to_ready": seconds_to_ready, **times, "neighbors": neighbors}
    measured |= {"memory_before": memory_before, "memory": memory(), "peak_memory": memory("VmHWM")}
    print(json.dumps(measured))


def memory(field: str = "VmRSS") -> float:
    """Return the resident memory of this process in GB: the current one, or the highest so far with VmHWM."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024 / 1e9


def mean_recall(neighbors: list[list[int]], truth: list[list[int]]) -> float:
    """Return the share of the true K nearest rows that were found."""
    return float(np.mean([len({*found} & {*true}) / K for found, true in zip(neighbors, truth, strict=True)]))


def main() -> None:
    """Run the benchmark, or the search process that it starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of .jpg photos, searched with its subfolders")
    parser.add_argument("--out", type=Path, default=Path(".lookalike/million"), help="folder of the data (8 GB)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--others", action="store_true", help="also measure other libraries' indexes (hours, 20 GB)")
    parser.add_argument("--relay", nargs=2, metavar=("FOLDER", "VERSION"), help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.relay:
        run_search_process(Path(options.relay[0]), options.relay[1], options.out)
        return
    data = prepare(options.photos, options.out, options.rows)
    if data is None:
        print(f"SKIPPED: {options.out} has no data. Pass --photos FOLDER with .jpg files to create it.")
        return
    measure(data, options.out)
    if options.write_docs:
        write_reports([TABLE], ("numpy", "faiss-cpu"))
    if options.others:
        for line in compare_indexes(np.array(data.vectors), data.queries, data.truth):
            print(line, flush=True)


def measure(data: MillionRows, out: Path) -> None:
    """Publish an index, search it in another process, and print the measurements."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {libraries}")
    counts = f"{len(data.vectors):,} rows of {DIM} numbers, made from {len(data.real):,} real crops"
    print(f"{counts}; {len(data.queries):,} queries")
    folder = out / "bucket"
    shutil.rmtree(folder, ignore_errors=True)
    manifest = publish(folder, data.vectors)
    print(f"approximate index, from the manifest: {manifest.approximate}")
    size = (folder / "index" / EMBEDDER / manifest.version / FaissFormat.part_name).stat().st_size
    command = [sys.executable, "-m", "tests.benchmarks.million", "--out", str(out), "--relay", str(folder)]
    output = subprocess.run([*command, manifest.version], check=True, capture_output=True, text=True).stdout
    print_table(json.loads(output), data.truth.tolist(), size, manifest.build_seconds)


def print_table(measured: dict[str, Any], truth: list[list[int]], size: int, build_seconds: float) -> None:
    """Print and record the measurements. `size` is that of the index file in bytes."""
    recall = f"recall of the ten nearest, {candidate_count(K)} candidates compared by their exact vectors"
    print(f"{'':<80}{'value':>8}{'goal':>8}")
    for label, value, goal in (
        ("one query in the index, median, ms", measured["median"], "5"),
        ("one query in the index, 99th percentile, ms", measured["p99"], "10"),
        (recall, mean_recall(measured["neighbors"], truth), "0.99"),
        ("memory of the search process, GB", measured["memory"], "1.5"),
        ("highest memory of the search process, while it loads, GB", measured["peak_memory"], "1.5"),
        ("memory before it loads the index, GB", measured["memory_before"], "1.5"),
        ("size of the index file, GB", size / 1e9, "1.5"),
        ("from the last byte to ready, s", measured["seconds_to_ready"], "5"),
        ("time to publish, with the pickle, s", build_seconds, "–"),
    ):
        print(f"{label:<80}{value:>8.3f}{goal:>8}")
        TABLE.add(label, f"{value:.3f}", goal)


if __name__ == "__main__":
    main()
