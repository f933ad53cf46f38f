"""Approximate indexes of others beside ours, on the same rows: what they take, and what they find.

Each gives candidates, which are compared by their true vectors, as relay does with those of ours.
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

Places = NDArray[np.int64]
K, ENOUGH, TRIED = 10, 0.99, 200
DEGREE, BUILT_WITH = 16, 40
COLUMNS = ("approximate, ten nearest", "recall", "median, ms", "99th of 100, ms", "built in, s", "size, MB")
TABLE = Report("approximate-search", COLUMNS)


@dataclass
class Built:
    """`search` gives the places (q, k) of the candidates of queries (q, dim), looking as widely as it is told to."""

    name: str
    search: Callable[[Vectors, int, int], Places]
    seconds: float
    size: int
    widths: tuple[int, ...] = (48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


def ours(vectors: Vectors) -> Built:
    began = time.perf_counter()
    made = FaissFormat().build(vector_source_from_arrays(np.arange(len(vectors)) + 1, vectors))
    index = FaissFormat().load(made.data)

    def search(queries: Vectors, count: int, _: int) -> Places:
        return np.array([[hit.row_id - 1 for hit in hits] for hits in index.search(queries, count)])

    told = made.settings
    name = f"ours: faiss IVF{told['lists']},SQ8 of {told['numbers']}, {told['probes']} lists"
    return Built(name, search, time.perf_counter() - began, len(made.data), (0,))


def faiss_hnsw(vectors: Vectors) -> Built:
    began = time.perf_counter()
    index = faiss.IndexHNSWFlat(vectors.shape[1], DEGREE, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILT_WITH
    index.add(vectors)
    took = time.perf_counter() - began

    def search(queries: Vectors, count: int, width: int) -> Places:
        faiss.omp_set_num_threads(1)
        index.hnsw.efSearch = width
        return np.asarray(index.search(queries, count)[1])

    size = vectors.nbytes + 8 * DEGREE * len(vectors)
    return Built(f"faiss IndexHNSWFlat, M {DEGREE}", search, took, size)


def usearch(kind: str) -> Callable[[Vectors], Built]:
    def build(vectors: Vectors) -> Built:
        began = time.perf_counter()
        index = Index(ndim=vectors.shape[1], metric="cos", dtype=kind, connectivity=DEGREE, expansion_add=BUILT_WITH)
        index.add(np.arange(len(vectors)), vectors, threads=2)
        took = time.perf_counter() - began

        def search(queries: Vectors, count: int, width: int) -> Places:
            index.expansion_search = width  # type: ignore[misc]
            return np.asarray(index.search(queries, count, threads=1).keys, np.int64).reshape(len(queries), -1)

        return Built(f"usearch HNSW, {kind}, M {DEGREE}", search, took, index.serialized_length)

    return build


def compared(vectors: Vectors, queries: Vectors, truth: Places) -> Iterator[str]:
    """A table: of each, at the least width that finds enough."""
    yield f"{'approximate, ten nearest':<52}{'width':>6}{'recall':>8}{'median ms':>11}{'99th':>7}{'built, s':>10}{'MB':>8}"
    for build in (ours, faiss_hnsw, usearch("i8")):
        built = build(vectors)
        yield line(built, queries, truth)


def line(built: Built, queries: Vectors, truth: Places) -> str:
    for width in built.widths:
        found = built.search(queries[:TRIED], candidate_count(K), width)
        recall = (truth[:TRIED, :, None] == found[:, None, :]).any(2).mean()
        if recall >= ENOUGH:
            break
    median, late = np.percentile([timed(built, query, width) for query in queries[:TRIED]], (50, 99))
    figures = f"{width:>6}{recall:>8.3f}{median:>11.2f}{late:>7.2f}{built.seconds:>10.0f}{built.size / 1e6:>8.0f}"
    cells = f"{recall:.3f}", f"{median:.2f}", f"{late:.2f}", f"{built.seconds:.0f}", f"{built.size / 1e6:,.0f}"
    TABLE.add(built.name, *cells)
    return f"{built.name:<52}{figures}"


def timed(built: Built, query: Vectors, width: int) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    built.search(query[None], candidate_count(K), width)
    return 1000 * (time.perf_counter() - began)
