"""`make bench-million`: an index of a million rows as relay holds it, published by us and read by a process of its own.

Data: `million_data`, real crops embedded in 2,048 numbers and expanded by a fixed seed to rows whose distances to their nearest
are spread as the real ones'; the queries are real crops of other photos, of which nothing is in the index.
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
from tests.benchmarks.approximates import compared
from tests.benchmarks.million_data import DIM, Million, million
from tests.benchmarks.report import Report, add_option, write_reports

K, WARM = 10, 50
EMBEDDER = "benchmark-1"
TABLE = Report("million", ("measured", "value", "goal"))


class Timed(DirectoryStore):
    """Knows when the last byte arrived."""

    last_byte = 0.0

    def read(self, path: str) -> Iterator[bytes]:
        for piece in super().read(path):
            yield piece
            self.last_byte = time.perf_counter()


def versions(store: DirectoryStore) -> IndexVersions:
    return IndexVersions(
        store, NeighborsFormat(), b"a key", EMBEDDER, DIM, lambda: datetime.now(UTC), FaissFormat(), 100_000
    )


def published(folder: Path, vectors: Vectors) -> Manifest:
    """A version of the rows 1, 2, …, with the pickle, as `reindex` makes it."""

    def read() -> Iterator[Vectors]:
        return (np.asarray(vectors[start : start + PAGE_SIZE]) for start in range(0, len(vectors), PAGE_SIZE))

    rows = VectorSource(np.arange(1, len(vectors) + 1), DIM, read)
    return versions(DirectoryStore(folder, "", b"")).publish(rows, 1, datetime.now(UTC))


def percentiles(call: Callable[[Vectors], object], queries: Vectors) -> dict[str, float]:
    """Median and 99th of a hundred, in milliseconds, of one query at a time."""
    times = []
    for query in queries:
        began = time.perf_counter()
        call(query[None])
        times.append(1000 * (time.perf_counter() - began))
    warm = times[WARM:] or times
    return {"median": float(np.median(warm)), "p99": float(np.percentile(warm, 99))}


def relay(folder: Path, name: str, data: Path) -> None:
    """What a process of relay does, printed as JSON: models, the index, searches."""
    store = Timed(folder, "", b"")
    Services(Settings(lookalike_home=folder / "home")).models.warm_up()
    before = memory()
    _, index = versions(store).load(name)
    ready = time.perf_counter() - store.last_byte
    queries = np.load(data / "queries.npy")
    timed = percentiles(lambda query: index.search(query, candidate_count(K)), queries)
    # by position in the file, as a catalog reads rows: mapped into memory they would count as ours
    file = (data / "vectors.npy").open("rb")
    header = os.fstat(file.fileno()).st_size - 4 * DIM * index.row_count

    def vector(row_id: int) -> Vectors:
        return np.frombuffer(os.pread(file.fileno(), 4 * DIM, header + 4 * DIM * (row_id - 1)), np.float32)

    compared = RerankedIndex(index, lambda row_ids: {row_id: vector(row_id) for row_id in row_ids})
    found = [[hit.row_id - 1 for hit in compared.search(query[None], K)[0]] for query in queries]
    told = {"ready": ready, **timed, "found": found, "before": before, "held": memory()}
    print(json.dumps(told | {"peak": memory("VmHWM")}))


def memory(which: str = "VmRSS") -> float:
    """Resident gigabytes: now, or with VmHWM at most so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{which}:")[2].split()[0]) * 1024 / 1e9


def recall(found: list[list[int]], data: Million) -> float:
    return float(np.mean([len({*some} & {*true}) / K for some, true in zip(found, data.truth.tolist(), strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of photographs, searched with its folders")
    parser.add_argument("--out", type=Path, default=Path(".lookalike/million"), help="where the data is kept (8 GB)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--others", action="store_true", help="also build those of others (hours, 20 GB)")
    parser.add_argument("--relay", nargs=2, metavar=("FOLDER", "VERSION"), help=argparse.SUPPRESS)
    add_option(parser)
    asked = parser.parse_args()
    if asked.relay:
        relay(Path(asked.relay[0]), asked.relay[1], asked.out)
        return
    data = million(asked.photos, asked.out, asked.rows)
    if data is None:
        print(f"SKIPPED: {asked.out} is empty, and there are no photographs in {asked.photos}")
        return
    print_figures(data, asked.out)
    if asked.write_docs:
        write_reports([TABLE], ("numpy", "faiss-cpu"))
    if asked.others:
        for line in compared(np.array(data.vectors), data.queries, data.truth):
            print(line, flush=True)


def print_figures(data: Million, out: Path) -> None:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {libraries}")
    counts = f"{len(data.vectors):,} rows of {DIM} numbers, of {len(data.real):,} real crops"
    print(f"{counts}; {len(data.queries):,} queries")
    folder = out / "bucket"
    shutil.rmtree(folder, ignore_errors=True)
    made = published(folder, data.vectors)
    print(f"published in {made.build_seconds:.0f} s, with the pickle; in the manifest: {made.approximate}")
    size = (folder / "index" / EMBEDDER / made.version / FaissFormat.part_name).stat().st_size
    command = [sys.executable, "-m", "tests.benchmarks.million", "--out", str(out), "--relay", str(folder)]
    told = json.loads(subprocess.run([*command, made.version], check=True, capture_output=True, text=True).stdout)
    print_table(told, recall(told["found"], data), size)


def print_table(told: dict[str, float], found_share: float, size: int) -> None:
    print(f"{'':<58}{'here':>8}{'asked':>8}")
    for what, found, limit in (
        ("one query in the index, milliseconds, median", told["median"], 5),
        ("… 99th of a hundred", told["p99"], 10),
        ("recall of the ten nearest, compared by true vectors", found_share, 0.99),
        ("gigabytes that relay holds: Python, built-in models, index", told["held"], 1.5),
        ("… at its most, while it loads", told["peak"], 1.5),
        ("… before the index", told["before"], 1.5),
        ("the file, gigabytes", size / 1e9, 1.5),
        ("seconds from the last byte to ready", told["ready"], 5),
    ):
        print(f"{what:<58}{found:>8.3f}{limit:>8}")
        TABLE.add(what, f"{found:.3f}", str(limit))


if __name__ == "__main__":
    main()
