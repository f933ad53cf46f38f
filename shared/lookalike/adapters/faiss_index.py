"""Candidates among very many rows, by faiss: an inverted file of vectors that are shortened and rounded to a byte a number.

An inverted file rather than a graph (HNSW), because it is built in minutes on two cores, takes rows later without being
rebuilt, is hardly larger than its codes, and finds all of the rows that a filter leaves. The README's figures have both.
"""

import importlib
import importlib.metadata
import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Untrusted
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.ports import Approximation
from lookalike.domain.reranked import candidates
from lookalike.domain.rows import Rows

log = logging.getLogger("lookalike.index")
PART = "vector_ivf.faiss"
SHORTER = (256, 512)
"""Numbers that are kept of each vector, along the directions that tell most; more where that loses too much."""
MOST = 1 << 30
"""Bytes that the whole vectors may take, where even that is not enough."""
SAMPLE = 40
"""Rows for each list that lists and directions are found from: k-means wants 39."""
PIECE = 1 << 20
QUERIES, NEAREST = 512, 10
"""Rows that are searched for to measure recall, and how many neighbours of each are to be found."""
TIES, EQUAL = 256, 1e-6
"""Rows of each query that are known to be nearest, and the difference of similarity up to which they are equally near."""
ENOUGH = 0.998
"""Recall from which no more lists are looked into. Others' questions find a little less than the rows themselves."""
Numbers = NDArray[np.int64]


class FaissFormat:
    """An `ApproximateFormat`."""

    name, part = "faiss-ivf-sq8", PART

    @property
    def libraries(self) -> Mapping[str, str]:
        return {"faiss-cpu": importlib.metadata.version("faiss-cpu")}

    def build(self, rows: Rows, before: memoryview | None = None) -> Approximation:
        return (self._extended(_opened(before), rows) if before is not None else None) or self._anew(rows)

    def _extended(self, index: Any, rows: Rows) -> Approximation | None:
        """None where it has outgrown its lists, or what is new is of another kind than what they were made for."""
        if lists(len(rows)) > 2 * _faiss().extract_index_ivf(index).nlist:
            return None
        found = _measured(index, rows)
        return found if found.recall >= ENOUGH else None

    def _anew(self, rows: Rows) -> Approximation:
        sample = _picked(rows, _drawn(rows, SAMPLE * lists(len(rows)), "sample"))
        lengths = sorted({min(short, rows.dim) for short in SHORTER})
        if len(rows) * rows.dim <= MOST and rows.dim not in lengths:
            lengths.append(rows.dim)
        for length in lengths:
            found = _measured(_trained(sample, length, lists(len(rows))), rows)
            if found.recall >= ENOUGH:
                break
            log.warning("With %d numbers of a vector only %.4f of the nearest are found", length, found.recall)
        return found

    def load(self, data: memoryview) -> "FaissIndex":
        try:
            return FaissIndex(_opened(data))
        except Exception as error:
            raise Untrusted(f"The approximate index cannot be read: {type(error).__name__}") from error


class FaissIndex:
    """A `VectorIndex` that finds candidates; similarities are those of the shortened vectors."""

    exact = False

    def __init__(self, index: Any) -> None:
        faiss = _faiss()
        self._index, self._ivf = index, faiss.extract_index_ivf(index)
        self._row_ids = np.sort(np.concatenate([np.empty(0, np.int64), *_lists(self._ivf)]))

    @property
    def rows(self) -> int:
        return len(self._row_ids)

    def holding(self, row_ids: Numbers) -> Numbers:
        places = np.searchsorted(self._row_ids, row_ids)
        there = places < len(self._row_ids)
        there[there] = self._row_ids[places[there]] == row_ids[there]
        return np.unique(row_ids[there])

    def search(self, vectors: Vectors, k: int, among: Numbers | None = None) -> list[list[SearchHit]]:
        """Looks into every list where only some rows count: the nearest of those may lie anywhere.

        In this thread alone: several for one query take longer, and requests come side by side anyway.
        """
        count = min(k, self.rows)
        if count < 1:
            return [[] for _ in vectors]
        _faiss().omp_set_num_threads(1)
        chosen = None if among is None else self._chosen(among)
        found = _search(self._index, vectors, count, self._everywhere(chosen) if chosen else None)
        if chosen is None and (found[1] < 0).any():
            # the lists looked into have not as many
            found = _search(self._index, vectors, count, self._everywhere())
        return [_hits(*one) for one in zip(*found, strict=True)]

    def _chosen(self, among: Numbers) -> Any:
        row_ids = self.holding(among)
        bits = np.zeros(int(self._row_ids[-1]) // 8 + 1, np.uint8)
        np.bitwise_or.at(bits, row_ids >> 3, np.left_shift(1, row_ids & 7).astype(np.uint8))
        return _faiss().IDSelectorBitmap(bits)

    def _everywhere(self, chosen: Any = None) -> Any:
        """Look into every list."""
        faiss = _faiss()
        inside = {"nprobe": self._ivf.nlist} | ({"sel": chosen} if chosen else {})
        return faiss.SearchParametersPreTransform(index_params=faiss.SearchParametersIVF(**inside))


def _faiss() -> Any:
    """Imported when first needed. Its stubs do not know what its Python layer adds."""
    return importlib.import_module("faiss")


def lists(count: int) -> int:
    """How many lists so many rows are kept in: twice the square root, as a power of two; 2,048 for a million."""
    return 1 << round(math.log2(2 * math.sqrt(max(count, 1))))


def _opened(data: memoryview) -> Any:
    """Piece by piece: to hand faiss all of it would hold it three times."""
    faiss, start = _faiss(), 0

    def read(size: int) -> bytes:
        nonlocal start
        start += size
        return bytes(data[start - size : start])

    return faiss.read_index(faiss.PyCallbackIOReader(read, PIECE))


def _lists(ivf: Any) -> Iterator[Numbers]:
    faiss = _faiss()
    for number in range(ivf.nlist):
        size = ivf.invlists.list_size(number)
        if size:
            yield faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size).copy()


def _search(index: Any, vectors: Vectors, count: int, parameters: Any = None) -> tuple[Vectors, Numbers]:
    similarities, row_ids = index.search(np.ascontiguousarray(vectors, np.float32), count, params=parameters)
    return similarities, row_ids


def _hits(similarities: NDArray[np.float32], row_ids: Numbers) -> list[SearchHit]:
    """faiss fills up with -1 where it found fewer."""
    return [
        SearchHit(row_id, one)
        for row_id, one in zip(row_ids.tolist(), similarities.tolist(), strict=True)
        if row_id >= 0
    ]


def _drawn(rows: Rows, count: int, what: str) -> Numbers:
    """So many places, in order, the same for the same number of rows."""
    dice = np.random.default_rng([len(rows), len(what)])
    return np.sort(dice.permutation(len(rows))[:count])


def _picked(rows: Rows, places: Numbers) -> Vectors:
    """The vectors at these places, in order, of all that pass by."""
    found, passed = [np.empty((0, rows.dim), np.float32)], 0
    for page in rows.pages():
        inside = places[(places >= passed) & (places < passed + len(page))] - passed
        found.append(page[inside])
        passed += len(page)
    return np.concatenate(found)


def _trained(sample: Vectors, short: int, count: int) -> Any:
    faiss = _faiss()
    quantizer, byte = faiss.IndexFlatIP(short), faiss.ScalarQuantizer.QT_8bit
    # of the vectors themselves, not of what is left beside their list's centre: inner products need no more then
    ivf = faiss.IndexIVFScalarQuantizer(quantizer, short, count, byte, faiss.METRIC_INNER_PRODUCT, False)
    ivf.cp.seed, ivf.cp.min_points_per_centroid = 20_261, 1
    index = faiss.IndexPreTransform(_directions(sample, short), ivf)
    if len(sample) < count:
        # training wants as many as there are lists
        sample = np.resize(sample, (count, sample.shape[1]))
    index.train(sample)
    return index


def _directions(sample: Vectors, short: int) -> Any:
    """The rotation and cut that loses least of the inner products: PCA about zero. About the mean, they would be others."""
    faiss = _faiss()
    _, vectors = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    transform = faiss.LinearTransform(sample.shape[1], short, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(vectors[:, ::-1][:, :short].T, np.float32).ravel(), transform.A)
    transform.is_trained = True
    return transform


class _Truth:
    """The true neighbours of some of the rows, themselves left out, found by brute force while all pass by."""

    def __init__(self, row_ids: Numbers, queries: Vectors) -> None:
        self.row_ids, self.queries = row_ids, queries
        self._nearest = np.full((len(queries), TIES), -1, np.int64)
        self._similarities = np.full((len(queries), TIES), -np.inf, np.float32)

    def see(self, row_ids: Numbers, page: Vectors) -> None:
        scores = self.queries @ page.T
        scores[self.row_ids[:, None] == row_ids[None]] = -np.inf
        all_scores = np.hstack([self._similarities, scores])
        all_ids = np.hstack([self._nearest, np.broadcast_to(row_ids, scores.shape)])
        best = np.argpartition(-all_scores, TIES - 1)[:, :TIES]
        self._similarities, self._nearest = (np.take_along_axis(one, best, 1) for one in (all_scores, all_ids))

    def recall(self, index: Any) -> float:
        """The share of the ten nearest that are among the candidates, which are compared by their true vectors.

        Of rows that are equally near any ten count. Where there are so many that not all are known, copies of one picture,
        which of them are found says nothing, and the query is left out.
        """
        _, found = _search(index, self.queries, candidates(NEAREST) + 1)
        near, wanted, known = self._as_near_as_wanted()
        there = (self._nearest[:, :, None] == found[:, None, :]).any(2) & near
        counted = np.minimum(there.sum(1), wanted)[known]
        return float(counted.sum() / wanted[known].sum()) if wanted[known].any() else 1.0

    def _as_near_as_wanted(self) -> tuple[NDArray[np.bool_], Numbers, NDArray[np.bool_]]:
        """Of each query: which rows may count (q, TIES), how many are wanted (q,), and whether all such rows are known (q,)."""
        tenth = -np.partition(-self._similarities, NEAREST - 1)[:, NEAREST - 1]
        near = (self._nearest >= 0) & (self._similarities >= tenth[:, None] - EQUAL)
        return near, np.minimum(near.sum(1), NEAREST), near.sum(1) < TIES


def _fill(index: Any, rows: Rows, truth: _Truth) -> None:
    """Add the rows that it does not have yet: the first are those that it was made of before."""
    held, passed = index.ntotal, 0
    for page in rows.pages():
        row_ids = rows.row_ids[passed : passed + len(page)]
        truth.see(row_ids, page)
        new = slice(max(held - passed, 0), None)
        if len(page[new]):
            index.add_with_ids(page[new], row_ids[new])
        passed += len(page)


def _measured(index: Any, rows: Rows) -> Approximation:
    """Filled with the rows that it does not have, and looking into as many lists as it takes."""
    faiss = _faiss()
    queries = _drawn(rows, QUERIES, "queries")
    truth = _Truth(rows.row_ids[queries], _picked(rows, queries))
    _fill(index, rows, truth)
    ivf = faiss.extract_index_ivf(index)
    ivf.nprobe = 1
    while (recall := truth.recall(index)) < ENOUGH and ivf.nprobe < ivf.nlist:
        ivf.nprobe = min(ivf.nprobe + max(1, ivf.nprobe // 4), ivf.nlist)
    told = {"lists": ivf.nlist, "probes": ivf.nprobe, "numbers": ivf.d}
    return Approximation(memoryview(faiss.serialize_index(index)), round(recall, 4), len(queries), told)
