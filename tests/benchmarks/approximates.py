"""Approximate indexes of lookalike and of other libraries, measured on the same rows.

Each index returns candidates, which a search then compares by their exact vectors. Recall is that of the candidates.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from lookalike.adapters.faiss_index import FaissFormat
from lookalike.domain.model import Vectors
from lookalike.domain.reranked_index import candidate_count
from lookalike.domain.vector_source import vector_source_from_arrays
from tests.benchmarks.report import Report

Positions = NDArray[np.int64]
"""Row numbers from 0, in the order in which the rows were added."""

K = 10
"""Neighbors of each query."""
MIN_RECALL = 0.99
"""Recall at which the indexes are compared."""
MAX_QUERIES = 200
"""Queries for recall and times."""
CONNECTIVITY, CONSTRUCTION_WIDTH = 16, 40
"""HNSW parameters M and efConstruction."""
SEARCH_WIDTHS = (48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Values of HNSW's efSearch that are tried in turn."""
COLUMNS = ("approximate, ten nearest", "recall", "median, ms", "99th percentile, ms", "build time, s", "size, MB")
TABLE = Report("approximate-search", COLUMNS)


@dataclass
class BuiltIndex:
    """A built index. `size` is in bytes.

    `search(queries, count, width)` returns the positions (q, count) of the nearest rows of queries (q, dim). A larger
    width finds more of them and takes longer.
    """

    name: str
    search: Callable[[Vectors, int, int], Positions]
    build_seconds: float
    size: int
    widths: tuple[int, ...] = SEARCH_WIDTHS


def build_lookalike(vectors: Vectors) -> BuiltIndex:
    """Build lookalike's index. It chooses its own number of probes, so the width has no effect."""
    start = time.perf_counter()
    approximation = FaissFormat().build(vector_source_from_arrays(np.arange(len(vectors)) + 1, vectors))
    index = FaissFormat().load(approximation.data)

    def search(queries: Vectors, count: int, _: int) -> Positions:
        # row ids start at 1
        return np.array([[hit.row_id - 1 for hit in hits] for hits in index.search(queries, count)])

    settings = approximation.settings
    name = f"lookalike: faiss `IVF{settings['lists']},SQ8` of {settings['numbers']} numbers"
    return BuiltIndex(name, search, time.perf_counter() - start, len(approximation.data), (0,))


def build_faiss_hnsw(vectors: Vectors) -> BuiltIndex:
    """Build faiss's HNSW index of float32 vectors."""
    start = time.perf_counter()
    index = faiss.IndexHNSWFlat(vectors.shape[1], CONNECTIVITY, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = CONSTRUCTION_WIDTH
    index.add(vectors)
    build_seconds = time.perf_counter() - start

    def search(queries: Vectors, count: int, width: int) -> Positions:
        faiss.omp_set_num_threads(1)
        index.hnsw.efSearch = width
        return np.asarray(index.search(queries, count)[1])

    # the lowest level dominates the graph: 2 * M links of 4 bytes for each row
    size = vectors.nbytes + 8 * CONNECTIVITY * len(vectors)
    return BuiltIndex(f"faiss `IndexHNSWFlat`, M {CONNECTIVITY}", search, build_seconds, size)


def build_usearch(vectors: Vectors) -> BuiltIndex:
    """Build usearch's HNSW index of vectors quantized to 8 bits."""
    start = time.perf_counter()
    index = Index(
        ndim=vectors.shape[1],
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=CONSTRUCTION_WIDTH,
    )
    index.add(np.arange(len(vectors)), vectors, threads=2)
    build_seconds = time.perf_counter() - start

    def search(queries: Vectors, count: int, width: int) -> Positions:
        index.expansion_search = width  # type: ignore[misc]
        # the result of a single query has one dimension
        return np.asarray(index.search(queries, count, threads=1).keys, np.int64).reshape(len(queries), -1)

    return BuiltIndex(f"usearch HNSW, `i8`, M {CONNECTIVITY}", search, build_seconds, index.serialized_length)


def compare_indexes(vectors: Vectors, queries: Vectors, truth: Positions) -> Iterator[str]:
    """Yield the lines of a table with each index.

    `truth` has the positions (q, K) of the exact nearest rows of queries (q, dim).
    """
    titles = f"{'width':>6}{'recall':>8}{'median ms':>11}{'p99':>7}{'build s':>10}{'MB':>8}"
    yield f"{'approximate, ten nearest':<52}{titles}"
    for build in (build_lookalike, build_faiss_hnsw, build_usearch):
        yield measure(build(vectors), queries[:MAX_QUERIES], truth[:MAX_QUERIES])


def measure(index: BuiltIndex, queries: Vectors, truth: Positions) -> str:
    """Measure an index at the smallest width that reaches `MIN_RECALL`, or else at its largest width.

    Adds a row to the table and returns it as a line.
    """
    for width in index.widths:
        candidates = index.search(queries, candidate_count(K), width)
        recall = (truth[:, :, None] == candidates[:, None, :]).any(2).mean()
        if recall >= MIN_RECALL:
            break
    times = [query_milliseconds(index, query, width) for query in queries]
    median, p99 = np.percentile(times, (50, 99))
    megabytes = index.size / 1e6
    cells = f"{recall:.3f}", f"{median:.2f}", f"{p99:.2f}", f"{index.build_seconds:.0f}", f"{megabytes:,.0f}"
    TABLE.add(index.name, *cells)
    values = f"{width:>6}{recall:>8.3f}{median:>11.2f}{p99:>7.2f}{index.build_seconds:>10.0f}{megabytes:>8.0f}"
    return f"{index.name:<52}{values}"


def query_milliseconds(index: BuiltIndex, query: Vectors, width: int) -> float:
    """Return the milliseconds that one query takes."""
    start = time.perf_counter()
    index.search(query[None], candidate_count(K), width)
    return 1000 * (time.perf_counter() - start)
