"""`make bench-search`: nearest neighbors beside the original's call, plain numpy, faiss and usearch, in one run on one machine.

The vectors are drawn around centers with a fixed seed, so that there are near neighbors to tell apart, and vary along few directions
most, as those of pictures do (85 % in 128 numbers, 92 % in 256: what `million_data` finds of real crops); queries are not among them.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median

import faiss
import numpy as np
from sklearn.neighbors import NearestNeighbors

from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Vectors
from tests.benchmarks.approximates import TABLE as APPROXIMATE
from tests.benchmarks.approximates import TRIED, compared
from tests.benchmarks.report import Report, add_option, write_reports

LIBRARIES = ("numpy", "scikit-learn", "faiss-cpu", "usearch")
EXACT = Report("exact-search", ("exact, ten nearest", "milliseconds", "multiple"))
K, CENTERS, SPREAD = 10, 500, 0.7


def drawn(rows: int, dim: int) -> Vectors:
    dice = np.random.default_rng(20_261)
    spread = (1 / (1 + np.arange(dim) / 22)).astype(np.float32)
    centers = spread * dice.normal(size=(CENTERS, dim)).astype(np.float32)
    found = centers[dice.integers(0, CENTERS, rows)]
    for start in range(0, rows, 4096):
        part = found[start : start + 4096]
        part += SPREAD * spread * dice.normal(size=part.shape).astype(np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return found


def in_turn(calls: dict[str, Callable[[Vectors], object]], queries: Vectors) -> dict[str, float]:
    """Median milliseconds of each, called one after the other for each query."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number, query in enumerate(queries):
        for name, call in calls.items():
            began = time.perf_counter()
            call(query[None])
            if number:
                times[name].append(time.perf_counter() - began)
    return {name: median(some) * 1000 for name, some in times.items()}


def disagreements(ours: ExactIndex, original: NearestNeighbors, queries: Vectors) -> tuple[int, float]:
    """Of the ten neighbors, places with another row though similarities differ by 1e-6; the largest difference of similarities."""
    wrong, apart = 0, 0.0
    distances, rows = original.kneighbors(queries, K)
    for hits, near, likeness in zip(ours.search(queries, K), rows, 1 - distances, strict=True):
        mine = np.array([hit.similarity for hit in hits])
        others = np.array([hit.row_id for hit in hits]) - 1 != near
        wrong += int((others & (np.abs(mine - likeness) > 1e-6)).sum())
        apart = max(apart, float(np.abs(mine - likeness).max()))
    return wrong, apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--queries", type=int, default=21)
    add_option(parser)
    asked = parser.parse_args()
    whole = drawn(asked.rows + TRIED, asked.dim)
    vectors, others = whole[: asked.rows], whole[asked.rows :]
    ours = ExactIndex(np.arange(1, asked.rows + 1), vectors)
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {versions}")
    print(
        f"{asked.rows:,} rows of {asked.dim} numbers, drawn around {CENTERS} centers; median of {asked.queries - 1} queries"
    )
    print_exact(vectors, ours, others[: asked.queries])
    truth = np.array([[hit.row_id - 1 for hit in hits] for hits in ours.search(others, K)])
    for line in compared(vectors, others, truth):
        print(line, flush=True)
    if asked.write_docs:
        write_reports([EXACT, APPROXIMATE], LIBRARIES)


def print_exact(vectors: Vectors, ours: ExactIndex, queries: Vectors) -> None:
    original = NearestNeighbors(metric="cosine").fit(vectors)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    calls: dict[str, Callable[[Vectors], object]] = {
        "one float32 matrix-vector product": lambda query: vectors @ query[0],
        "ours, ten nearest": lambda query: ours.search(query, K),
        "faiss, IndexFlatIP": lambda query: flat.search(query, K),
        "the original's call": lambda query: original.kneighbors(query, K),
    }
    found = in_turn(calls, queries)
    product = found["one float32 matrix-vector product"]
    print(f"{'':<40}{'milliseconds':>14}{'of the product':>16}")
    for name, took in found.items():
        print(f"{name:<40}{took:>14.1f}{took / product:>16.2f}")
        EXACT.add(name, f"{took:,.1f}", f"{took / product:.2f}")
    wrong, apart = disagreements(ours, original, queries)
    print(
        f"other neighbors than the original's: {wrong} of {len(queries) * K}; similarities differ by {apart:.1e} at most"
    )


if __name__ == "__main__":
    main()
