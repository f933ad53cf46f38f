"""Candidates among very many rows, by faiss: an inverted file of vectors that are shortened and rounded to a byte a number.

An inverted file rather than a graph (HNSW), because it is built in minutes on two cores, takes rows later without being
rebuilt, is hardly larger than its codes, and finds all of the rows that a filter leaves. The README's figures have both.
"""

import importlib
import importlib.metadata
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Untrusted
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.ports import Approximation
from lookalike.domain.reranked_index import candidate_count
from lookalike.domain.vector_source import VectorSource

log = logging.getLogger("lookalike.index")
PART = "vector_ivf.faiss"
SHORTER = (256, 512)
"""Numbers that are kept of each vector, along the directions that tell most; more where that loses too much."""
MOST = 1 << 30
"""Bytes that the whole vectors may take, where even that is not enough."""
SAMPLE_ROWS_PER_LIST = 40
"""Rows for each list that lists and directions are found from: k-means wants 39."""
PIECE = 1 << 20
QUERIES, NEAREST = 512, 10
"""Rows that are searched for to measure recall, and how many neighbours of each are to be found."""
TARGET_RECALL = 0.998
"""Recall from which no more lists are looked into. Others' questions find a little less than the rows themselves."""
SET = 64
"""Bytes that a number in a set of them takes."""
SAME = 1e-6
"""Similarities so far apart are equal: float32 knows no better."""
Numbers = NDArray[np.int64]


class FaissFormat:
    """An `ApproximateFormat`. The numbers kept of a vector are the first of `shorter` that find enough.

    Where none does, and all numbers of all rows are at most `most` bytes, they are kept whole.
    """

    name, part_name = "faiss-ivf-sq8", PART

    def __init__(self, reduced_dims: Sequence[int] = SHORTER, max_full_bytes: int = MOST) -> None:
        self._shorter, self._most = reduced_dims, max_full_bytes

    @property
    def libraries(self) -> Mapping[str, str]:
        return {"faiss-cpu": importlib.metadata.version("faiss-cpu")}

    def build(self, source: VectorSource, previous: memoryview | None = None) -> Approximation:
        return (self._extended(_opened(previous), source) if previous is not None else None) or self._anew(source)

    def _extended(self, index: Any, rows: VectorSource) -> Approximation | None:
        """None where it has outgrown its lists, or what is new is of another kind than what they were made for."""
        if list_count(len(rows)) > 2 * _faiss().extract_index_ivf(index).nlist:
            return None
        found = _measured(index, rows)
        return found if found.recall >= TARGET_RECALL else None

    def _anew(self, rows: VectorSource) -> Approximation:
        sample = _picked(rows, _drawn(rows, SAMPLE_ROWS_PER_LIST * list_count(len(rows)), "sample"))
        lengths = sorted({min(short, rows.dim) for short in self._shorter})
        if len(rows) * rows.dim <= self._most and rows.dim not in lengths:
            lengths.append(rows.dim)
        for length in lengths:
            found = _measured(_trained(sample, length, list_count(len(rows))), rows)
            if found.recall >= TARGET_RECALL:
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

    is_exact = False

    def __init__(self, index: Any) -> None:
        faiss = _faiss()
        self._index, self._ivf = index, faiss.extract_index_ivf(index)
        self._row_ids = np.sort(np.concatenate([np.empty(0, np.int64), *_lists(self._ivf)]))

    @property
    def row_count(self) -> int:
        return len(self._row_ids)

    def contained_ids(self, row_ids: Numbers) -> Numbers:
        places = np.searchsorted(self._row_ids, row_ids)
        there = places < len(self._row_ids)
        there[there] = self._row_ids[places[there]] == row_ids[there]
        return np.unique(row_ids[there])

    def search(self, vectors: Vectors, k: int, allowed_ids: Numbers | None = None) -> list[list[SearchHit]]:
        """In this thread alone: several threads for one query take longer, and requests come side by side anyway.

        Looks into every list where only some rows count: the nearest of those may lie anywhere.
        """
        count = min(k, self.row_count)
        if count < 1:
            return [[] for _ in vectors]
        _faiss().omp_set_num_threads(1)
        chosen = None if allowed_ids is None else self._chosen(allowed_ids)
        found = _search(self._index, vectors, count, self._everywhere(chosen) if chosen else None)
        if chosen is None and (found[1] < 0).any():
            # the lists looked into have not as many
            found = _search(self._index, vectors, count, self._everywhere())
        return [_hits(*one) for one in zip(*found, strict=True)]

    def _chosen(self, among: Numbers) -> Any:
        """A bit for each row number up to the highest, or a set where that takes less."""
        held, size = self.contained_ids(among), int(self._row_ids[-1]) // 8 + 1
        if size > SET * len(held):
            return _faiss().IDSelectorBatch(held)
        bits = np.zeros(size, np.uint8)
        np.bitwise_or.at(bits, held >> 3, (1 << (held & 7)).astype(np.uint8))
        return _faiss().IDSelectorBitmap(bits)

    def _everywhere(self, chosen: Any = None) -> Any:
        """Look into every list."""
        faiss = _faiss()
        inside = {"nprobe": self._ivf.nlist} | ({"sel": chosen} if chosen else {})
        return faiss.SearchParametersPreTransform(index_params=faiss.SearchParametersIVF(**inside))


def _faiss() -> Any:
    """Imported when first needed. Its stubs do not know what its Python layer adds."""
    return importlib.import_module("faiss")


def list_count(count: int) -> int:
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


def _drawn(rows: VectorSource, count: int, what: str) -> Numbers:
    """So many places, in order, the same for the same number of rows."""
    dice = np.random.default_rng([len(rows), len(what)])
    return np.sort(dice.permutation(len(rows))[:count])


def _picked(rows: VectorSource, places: Numbers) -> Vectors:
    """The vectors at these places, in order, of all that pass by."""
    found, passed, filled = np.empty((len(places), rows.dim), np.float32), 0, 0
    for page in rows.pages():
        inside = places[(places >= passed) & (places < passed + len(page))] - passed
        found[filled : filled + len(inside)] = page[inside]
        passed, filled = passed + len(page), filled + len(inside)
    return found


def _trained(sample: Vectors, short: int, count: int) -> Any:
    faiss = _faiss()
    quantizer, byte = faiss.IndexFlatIP(short), faiss.ScalarQuantizer.QT_8bit
    # of the vectors themselves, not of what is left beside their list's centre: inner products need no more then
    ivf = faiss.IndexIVFScalarQuantizer(quantizer, short, count, byte, faiss.METRIC_INNER_PRODUCT, False)
    ivf.cp.seed, ivf.cp.min_points_per_centroid = 20_261, 1
    index = faiss.IndexPreTransform(_directions(sample, short), ivf)
    # few rows are repeated, since training wants as many as there are lists; np.resize copies always
    index.train(sample if len(sample) >= count else np.resize(sample, (count, sample.shape[1])))
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
    """The true neighbours of the rows at some places, themselves left out, found by brute force while all rows pass by."""

    def __init__(self, rows: VectorSource, places: Numbers) -> None:
        self._rows, self._row_ids, self._queries = rows, rows.row_ids[places], _picked(rows, places)
        # one more, to see whether there are others as near as the last of them
        self._nearest = np.full((len(places), NEAREST + 1), -1, np.int64)
        self._similarities = np.full((len(places), NEAREST + 1), -np.inf, np.float32)
        self._tied, self._as_near = np.empty(0, np.int64), np.empty((0, 0), np.uint8)
        self._in_order = np.empty(0, np.int64)

    def see(self, row_ids: Numbers, page: Vectors) -> None:
        scores = self._queries @ page.T
        scores[self._row_ids[:, None] == row_ids[None]] = -np.inf
        all_scores = np.hstack([self._similarities, scores])
        all_ids = np.hstack([self._nearest, np.broadcast_to(row_ids, scores.shape)])
        best = np.argpartition(-all_scores, NEAREST)[:, : NEAREST + 1]
        self._similarities, self._nearest = (np.take_along_axis(one, best, 1) for one in (all_scores, all_ids))

    def settle(self) -> None:
        """When all have passed by: see which others are as near as the last, where any are.

        Many rows may be one picture, and whichever of them are found is right. A bit for each of them and each such query.
        """
        least, next_one = self._similarities[:, :NEAREST].min(1) - SAME, self._similarities[:, NEAREST]
        self._tied = np.flatnonzero(np.isfinite(next_one) & (next_one >= least))
        if not self._tied.size:
            return
        queries, least = self._queries[self._tied], least[self._tied]
        self._as_near = np.concatenate([np.packbits(page @ queries.T >= least, axis=1) for page in self._rows.pages()])
        self._in_order = np.argsort(self._rows.row_ids)

    def recall(self, index: Any) -> float:
        """The share of the neighbours that are among the candidates, which are compared by their true vectors."""
        _, found = _search(index, self._queries, candidate_count(NEAREST) + 1)
        there = np.isfinite(self._similarities[:, :NEAREST])
        true = np.where(there, self._nearest[:, :NEAREST], -2)
        right = (found[:, :, None] == true[:, None, :]).any(2)
        right[self._tied] = self._is_as_near(found[self._tied])
        return float(right.sum(1).clip(max=NEAREST).sum() / max(there.sum(), 1))

    def _is_as_near(self, found: Numbers) -> NDArray[np.bool_]:
        """For each tied query and what was found for it, shape (tied, candidates)."""
        if not found.size:
            return np.empty(found.shape, bool)
        places = self._in_order[np.searchsorted(self._rows.row_ids, found.clip(0), sorter=self._in_order)]
        which = np.arange(len(found))[:, None]
        is_near = self._as_near[places, which // 8] >> (7 - which % 8) & 1
        right: NDArray[np.bool_] = (is_near == 1) & (found >= 0) & (found != self._row_ids[self._tied, None])
        return right


def _fill(index: Any, rows: VectorSource, truth: _Truth) -> None:
    """Add the rows that it does not have yet: the first are those that it was made of before."""
    held, passed = index.ntotal, 0
    for page in rows.pages():
        row_ids = rows.row_ids[passed : passed + len(page)]
        truth.see(row_ids, page)
        new = slice(max(held - passed, 0), None)
        if len(page[new]):
            index.add_with_ids(page[new], row_ids[new])
        passed += len(page)


def _measured(index: Any, rows: VectorSource) -> Approximation:
    """Filled with the rows that it does not have, and looking into as many lists as it takes."""
    faiss = _faiss()
    queries = _drawn(rows, QUERIES, "queries")
    truth = _Truth(rows, queries)
    _fill(index, rows, truth)
    truth.settle()
    ivf = faiss.extract_index_ivf(index)
    ivf.nprobe = 1
    while (recall := truth.recall(index)) < TARGET_RECALL and ivf.nprobe < ivf.nlist:
        ivf.nprobe = min(ivf.nprobe + max(1, ivf.nprobe // 4), ivf.nlist)
    told = {"lists": ivf.nlist, "probes": ivf.nprobe, "numbers": ivf.d}
    return Approximation(memoryview(faiss.serialize_index(index)), round(recall, 4), len(queries), told)
