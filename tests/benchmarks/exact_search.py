"""`make bench-search`: nearest-neighbor search of lookalike, the original system, numpy, faiss and usearch.

All are measured in one run on one machine. The vectors are random points around random centers, with a fixed seed. Queries
are not among them. Most of the variance is in few directions: 85 % in 128 and 92 % in 256 of 2,048, as `million_data`
measures it for crops of photos.
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
from tests.benchmarks.approximates import MAX_QUERIES, compare_indexes
from tests.benchmarks.approximates import TABLE as APPROXIMATE
from tests.benchmarks.report import Report, add_option, write_reports

LIBRARIES = ("numpy", "scikit-learn", "faiss-cpu", "usearch")
EXACT = Report("exact-search", ("exact, ten nearest", "milliseconds", "multiple"))
PRODUCT = "one float32 matrix-vector product"
"""The call whose time is the unit of the multiples."""
K = 10
"""Neighbors of each query."""
CENTERS = 500
NOISE = 0.7
"""Standard deviation of the vectors around their center, relative to that of the centers."""
SEED = 20_261


def make_vectors(rows: int, dim: int) -> Vectors:
    """Return random unit vectors (rows, dim), the same at each call."""
    rng = np.random.default_rng(SEED)
    scale = (1 / (1 + np.arange(dim) / 22)).astype(np.float32)
    centers = scale * rng.normal(size=(CENTERS, dim)).astype(np.float32)
    vectors = centers[rng.integers(0, CENTERS, rows)]
    # in blocks: the float64 noise of all rows would take twice the memory of the vectors
    for start in range(0, rows, 4096):
        block = vectors[start : start + 4096]
        block += NOISE * scale * rng.normal(size=block.shape).astype(np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def alternate(calls: dict[str, Callable[[Vectors], object]], queries: Vectors) -> dict[str, float]:
    """Return the median milliseconds of each call. For each query, all calls are made in turn.

    The first query warms up and is not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number, query in enumerate(queries):
        for name, call in calls.items():
            start = time.perf_counter()
            call(query[None])
            if number:
                times[name].append(time.perf_counter() - start)
    return {name: median(seconds) * 1000 for name, seconds in times.items()}


def count_differences(index: ExactIndex, original: NearestNeighbors, queries: Vectors) -> tuple[int, float]:
    """Compare the K nearest rows with the original's.

    Returns the number of places with another row, and the largest difference of similarities. Rows whose similarities
    differ by at most 1e-6 count as equal, because float32 rounding decides their order.
    """
    different, largest = 0, 0.0
    distances, positions = original.kneighbors(queries, K)
    for hits, expected, expected_similarities in zip(index.search(queries, K), positions, 1 - distances, strict=True):
        differences = np.abs([hit.similarity for hit in hits] - expected_similarities)
        is_other_row = np.array([hit.row_id for hit in hits]) - 1 != expected
        different += int((is_other_row & (differences > 1e-6)).sum())
        largest = max(largest, float(differences.max()))
    return different, largest


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--queries", type=int, default=21)
    add_option(parser)
    options = parser.parse_args()
    all_vectors = make_vectors(options.rows + MAX_QUERIES, options.dim)
    vectors, queries = all_vectors[: options.rows], all_vectors[options.rows :]
    index = ExactIndex(np.arange(1, options.rows + 1), vectors)
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {versions}")
    data = f"{options.rows:,} rows of {options.dim} numbers around {CENTERS} centers"
    print(f"{data}; median of {options.queries - 1} queries")
    compare_exact(vectors, index, queries[: options.queries])
    truth = np.array([[hit.row_id - 1 for hit in hits] for hits in index.search(queries, K)])
    for line in compare_indexes(vectors, queries, truth):
        print(line, flush=True)
    if options.write_docs:
        write_reports([EXACT, APPROXIMATE], LIBRARIES)


def compare_exact(vectors: Vectors, index: ExactIndex, queries: Vectors) -> None:
    """Time the exact searches and compare their results."""
    original = NearestNeighbors(metric="cosine").fit(vectors)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    calls: dict[str, Callable[[Vectors], object]] = {
        PRODUCT: lambda query: vectors @ query[0],
        "lookalike": lambda query: index.search(query, K),
        "faiss `IndexFlatIP`": lambda query: flat.search(query, K),
        "the original's call": lambda query: original.kneighbors(query, K),
    }
    milliseconds = alternate(calls, queries)
    print("".join([f"{EXACT.columns[0]:<40}", *(f"{title:>14}" for title in EXACT.columns[1:])]))
    for name, value in milliseconds.items():
        multiple = value / milliseconds[PRODUCT]
        print(f"{name:<40}{value:>14.1f}{multiple:>14.2f}")
        EXACT.add(name, f"{value:,.1f}", f"{multiple:.2f}")
    different, largest = count_differences(index, original, queries)
    print(f"neighbors that differ from the original's: {different} of {len(queries) * K}")
    print(f"largest difference of similarities: {largest:.1e}")


if __name__ == "__main__":
    main()
