"""Approximate index for large catalogs: a faiss inverted file (IVF) over PCA-reduced vectors of one byte per dimension.

Unlike a graph (HNSW), it builds in minutes on two cores and accepts new rows without a rebuild. It is hardly larger
than its codes, and it finds all rows that pass a filter. `docs/benchmarks.md` compares both.
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
PART_NAME = "vector_ivf.faiss"
REDUCED_DIMS = (256, 512)
"""Dimensions after PCA, tried in this order until the recall suffices."""
MAX_FULL_BYTES = 1 << 30
"""If no reduction suffices, all dimensions are kept as long as the codes take at most this many bytes."""
SAMPLE_ROWS_PER_LIST = 40
"""Training rows per list. faiss's k-means asks for at least 39."""
READ_CHUNK = 1 << 20
"""Bytes that faiss reads at a time when it parses an index."""
RECALL_QUERIES, RECALL_NEIGHBORS = 512, 10
"""Rows that are searched for to measure the recall, and the number of neighbors that each should find."""
TARGET_RECALL = 0.998
"""Recall at which the number of probed lists is not raised further. Real queries find slightly less than stored rows."""
BYTES_PER_SET_ENTRY = 64
"""Approximate memory of one row id in faiss's id set, to choose between set and bitmap."""
TIE_TOLERANCE = 1e-6
"""Similarities closer than this are equal, because float32 does not resolve them."""
SAMPLE_SEED, QUERY_SEED = 6, 7
Ids = NDArray[np.int64]


class FaissFormat:
    """`ApproximateFormat` that keeps the first of `reduced_dims` dimensions whose recall suffices.

    If none does, and the codes of all dimensions take at most `max_full_bytes`, all dimensions are kept.
    """

    name, part_name = "faiss-ivf-sq8", PART_NAME

    def __init__(self, reduced_dims: Sequence[int] = REDUCED_DIMS, max_full_bytes: int = MAX_FULL_BYTES) -> None:
        self._reduced_dims, self._max_full_bytes = reduced_dims, max_full_bytes

    @property
    def libraries(self) -> Mapping[str, str]:
        """Version of faiss."""
        return {"faiss-cpu": importlib.metadata.version("faiss-cpu")}

    def build(self, source: VectorSource, previous: memoryview | None = None) -> Approximation:
        """Return an index of the rows and its measured recall.

        `previous` is the index of the first of these rows, which is extended if it stays good enough. Raises what
        `VectorSource.pages` raises.
        """
        extended = self._extend(_parse(previous), source) if previous is not None else None
        return extended or self._train_and_build(source)

    def _extend(self, index: Any, source: VectorSource) -> Approximation | None:
        """Return `None` if there are too many rows for its lists, or new rows differ from those it was trained on."""
        if list_count(len(source)) > 2 * _faiss().extract_index_ivf(index).nlist:
            return None
        built = _fill_and_measure(index, source)
        return built if built.recall >= TARGET_RECALL else None

    def _train_and_build(self, source: VectorSource) -> Approximation:
        lists = list_count(len(source))
        sample = _read_positions(source, _random_positions(source, SAMPLE_ROWS_PER_LIST * lists, SAMPLE_SEED))
        dims = sorted({min(dim, source.dim) for dim in self._reduced_dims})
        if len(source) * source.dim <= self._max_full_bytes and source.dim not in dims:
            dims.append(source.dim)
        for dim in dims:
            built = _fill_and_measure(_train(sample, dim, lists), source)
            if built.recall >= TARGET_RECALL:
                break
            log.warning("Recall with %d dimensions is only %.4f", dim, built.recall)
        return built

    def load(self, data: memoryview) -> "FaissIndex":
        """Return the index. Raises `Untrusted` if faiss cannot parse it."""
        try:
            return FaissIndex(_parse(data))
        except Exception as error:
            raise Untrusted(
                f"The approximate index is not valid: {type(error).__name__} while it was parsed"
            ) from error


class FaissIndex:
    """`VectorIndex` whose hits are candidates: their similarities are those of the reduced vectors."""

    is_exact = False

    def __init__(self, index: Any) -> None:
        faiss = _faiss()
        self._index, self._ivf = index, faiss.extract_index_ivf(index)
        self._row_ids = np.sort(np.concatenate([np.empty(0, np.int64), *_ids_by_list(self._ivf)]))

    @property
    def row_count(self) -> int:
        """Number of indexed rows."""
        return len(self._row_ids)

    def contained_ids(self, row_ids: Ids) -> Ids:
        """Return those of the given row ids that are in the index, sorted."""
        positions = np.searchsorted(self._row_ids, row_ids)
        is_contained = positions < len(self._row_ids)
        is_contained[is_contained] = self._row_ids[positions[is_contained]] == row_ids[is_contained]
        return np.unique(row_ids[is_contained])

    def search(self, vectors: Vectors, k: int, allowed_ids: Ids | None = None) -> list[list[SearchHit]]:
        """Return k candidates for each (q, dim) query, fewer if there are fewer rows.

        With `allowed_ids` every list is probed, because the nearest allowed rows may be in any of them.
        """
        count = min(k, self.row_count)
        if count < 1:
            return [[] for _ in vectors]
        # One thread per search: OpenMP slows down a single query, and requests already run concurrently.
        _faiss().omp_set_num_threads(1)
        if allowed_ids is not None:
            similarities, row_ids = _search(
                self._index, vectors, count, self._probe_all_lists(self._id_selector(allowed_ids))
            )
        else:
            similarities, row_ids = _search(self._index, vectors, count)
            # faiss pads with -1 if the probed lists have fewer rows than requested.
            if (row_ids < 0).any():
                similarities, row_ids = _search(self._index, vectors, count, self._probe_all_lists())
        return [_hits(*result) for result in zip(similarities, row_ids, strict=True)]

    def _id_selector(self, allowed_ids: Ids) -> Any:
        """Return a bitmap over all row ids up to the highest, or a set if that takes less memory."""
        contained, bitmap_size = self.contained_ids(allowed_ids), int(self._row_ids[-1]) // 8 + 1
        if bitmap_size > BYTES_PER_SET_ENTRY * len(contained):
            return _faiss().IDSelectorBatch(contained)
        bits = np.zeros(bitmap_size, np.uint8)
        np.bitwise_or.at(bits, contained >> 3, (1 << (contained & 7)).astype(np.uint8))
        return _faiss().IDSelectorBitmap(bits)

    def _probe_all_lists(self, selector: Any = None) -> Any:
        faiss = _faiss()
        parameters = {"nprobe": self._ivf.nlist} | ({"sel": selector} if selector else {})
        return faiss.SearchParametersPreTransform(index_params=faiss.SearchParametersIVF(**parameters))


def _faiss() -> Any:
    # Imported on first use. As `Any`, because its type stubs lack what its Python layer adds.
    return importlib.import_module("faiss")


def list_count(row_count: int) -> int:
    """Return the number of lists: twice the square root of the rows, as a power of two; 2,048 for a million."""
    return 1 << round(math.log2(2 * math.sqrt(max(row_count, 1))))


def _parse(data: memoryview) -> Any:
    # In chunks: handing all bytes to faiss at once would hold the index three times in memory.
    faiss, position = _faiss(), 0

    def read(size: int) -> bytes:
        nonlocal position
        position += size
        return bytes(data[position - size : position])

    return faiss.read_index(faiss.PyCallbackIOReader(read, READ_CHUNK))


def _ids_by_list(ivf: Any) -> Iterator[Ids]:
    faiss = _faiss()
    for number in range(ivf.nlist):
        size = ivf.invlists.list_size(number)
        if size:
            # Copied, because the SWIG pointer refers to faiss's own memory.
            yield faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size).copy()


def _search(index: Any, vectors: Vectors, count: int, parameters: Any = None) -> tuple[Vectors, Ids]:
    """Return similarities and row ids, both (q, count); ids are -1 where fewer rows were found."""
    similarities, row_ids = index.search(np.ascontiguousarray(vectors, np.float32), count, params=parameters)
    return similarities, row_ids


def _hits(similarities: NDArray[np.float32], row_ids: Ids) -> list[SearchHit]:
    pairs = zip(row_ids.tolist(), similarities.tolist(), strict=True)
    return [SearchHit(row_id, similarity) for row_id, similarity in pairs if row_id >= 0]


def _random_positions(source: VectorSource, count: int, seed: int) -> Ids:
    """Return up to `count` positions, sorted; the same ones for the same number of rows and seed."""
    rng = np.random.default_rng([len(source), seed])
    return np.sort(rng.permutation(len(source))[:count])


def _read_positions(source: VectorSource, positions: Ids) -> Vectors:
    """Return the vectors (m, dim) at sorted positions (m,), in one pass over the source."""
    vectors, row, filled = np.empty((len(positions), source.dim), np.float32), 0, 0
    for page in source.pages():
        in_page = positions[(positions >= row) & (positions < row + len(page))] - row
        vectors[filled : filled + len(in_page)] = page[in_page]
        row, filled = row + len(page), filled + len(in_page)
    return vectors


def _train(sample: Vectors, dim: int, lists: int) -> Any:
    faiss = _faiss()
    quantizer, code_type = faiss.IndexFlatIP(dim), faiss.ScalarQuantizer.QT_8bit
    # by_residual=False: codes of the vectors instead of residuals to the list's centroid. Inner products then need
    # no correction per list.
    ivf = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, code_type, faiss.METRIC_INNER_PRODUCT, False)
    ivf.cp.seed, ivf.cp.min_points_per_centroid = 20_261, 1
    index = faiss.IndexPreTransform(_pca_projection(sample, dim), ivf)
    # Training needs as many rows as lists, so few rows are repeated. np.resize would copy the sample in any case.
    index.train(sample if len(sample) >= lists else np.resize(sample, (lists, sample.shape[1])))
    return index


def _pca_projection(sample: Vectors, dim: int) -> Any:
    """Return the projection to `dim` dimensions that preserves inner products best.

    It is a PCA about the origin. Centering on the mean, as usual, would change the inner products.
    """
    faiss = _faiss()
    _, eigenvectors = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    transform = faiss.LinearTransform(sample.shape[1], dim, False)
    # eigh sorts ascending; the last columns belong to the largest eigenvalues.
    projection = np.ascontiguousarray(eigenvectors[:, ::-1][:, :dim].T, np.float32)
    faiss.copy_array_to_vector(projection.ravel(), transform.A)
    transform.is_trained = True
    return transform


class _GroundTruth:
    """True nearest neighbors of sampled rows, found by brute force in one pass over all rows.

    A query's own row is not its neighbor. Call `add_page` for all pages, then `find_ties`, then `recall`.
    """

    def __init__(self, source: VectorSource, positions: Ids) -> None:
        self._source, self._row_ids = source, source.row_ids[positions]
        self._queries = _read_positions(source, positions)
        # One neighbor more than needed, to see whether rows beyond the last one are equally near.
        shape = (len(positions), RECALL_NEIGHBORS + 1)
        self._nearest = np.full(shape, -1, np.int64)
        self._similarities = np.full(shape, -np.inf, np.float32)
        self._tied_queries, self._near_bits = np.empty(0, np.int64), np.empty((0, 0), np.uint8)
        self._id_order = np.empty(0, np.int64)

    def add_page(self, row_ids: Ids, page: Vectors) -> None:
        """Merge rows (m,) with vectors (m, dim) into the nearest neighbors."""
        scores = self._queries @ page.T
        scores[self._row_ids[:, None] == row_ids[None]] = -np.inf
        all_scores = np.hstack([self._similarities, scores])
        all_ids = np.hstack([self._nearest, np.broadcast_to(row_ids, scores.shape)])
        best = np.argpartition(-all_scores, RECALL_NEIGHBORS)[:, : RECALL_NEIGHBORS + 1]
        self._similarities, self._nearest = (np.take_along_axis(values, best, 1) for values in (all_scores, all_ids))

    def find_ties(self) -> None:
        """Find all rows that are as near as a query's last neighbor, in a second pass if there are any.

        Many rows may show the same image, and a search may return any of them. Keeps one bit per row and tied query.
        """
        thresholds = self._similarities[:, :RECALL_NEIGHBORS].min(1) - TIE_TOLERANCE
        beyond = self._similarities[:, RECALL_NEIGHBORS]
        self._tied_queries = np.flatnonzero(np.isfinite(beyond) & (beyond >= thresholds))
        if not self._tied_queries.size:
            return
        queries, thresholds = self._queries[self._tied_queries], thresholds[self._tied_queries]
        pages = self._source.pages()
        self._near_bits = np.concatenate([np.packbits(page @ queries.T >= thresholds, axis=1) for page in pages])
        self._id_order = np.argsort(self._source.row_ids)

    def recall(self, index: Any) -> float:
        """Return the share of true neighbors among the index's candidates."""
        # One candidate more, because each query finds its own row.
        _, candidates = _search(index, self._queries, candidate_count(RECALL_NEIGHBORS) + 1)
        exists = np.isfinite(self._similarities[:, :RECALL_NEIGHBORS])
        # -2 never equals a candidate; missing candidates are -1.
        neighbors = np.where(exists, self._nearest[:, :RECALL_NEIGHBORS], -2)
        is_hit = (candidates[:, :, None] == neighbors[:, None, :]).any(2)
        is_hit[self._tied_queries] = self._is_near(candidates[self._tied_queries])
        return float(is_hit.sum(1).clip(max=RECALL_NEIGHBORS).sum() / max(exists.sum(), 1))

    def _is_near(self, candidates: Ids) -> NDArray[np.bool_]:
        """Return whether each candidate (tied queries, candidates) is as near as the last neighbor."""
        if not candidates.size:
            return np.empty(candidates.shape, bool)
        positions = self._id_order[np.searchsorted(self._source.row_ids, candidates.clip(0), sorter=self._id_order)]
        query = np.arange(len(candidates))[:, None]
        # np.packbits stores the first query in the highest bit of a byte.
        bits = self._near_bits[positions, query // 8] >> (7 - query % 8) & 1
        is_own_row = candidates == self._row_ids[self._tied_queries, None]
        is_near: NDArray[np.bool_] = (bits == 1) & (candidates >= 0) & ~is_own_row
        return is_near


def _fill_and_measure(index: Any, source: VectorSource) -> Approximation:
    """Add the rows that the index lacks, and probe as many lists as the target recall takes."""
    faiss = _faiss()
    positions = _random_positions(source, RECALL_QUERIES, QUERY_SEED)
    truth = _GroundTruth(source, positions)
    _add_rows(index, source, truth)
    truth.find_ties()
    ivf = faiss.extract_index_ivf(index)
    ivf.nprobe = 1
    while (recall := truth.recall(index)) < TARGET_RECALL and ivf.nprobe < ivf.nlist:
        ivf.nprobe = min(ivf.nprobe + max(1, ivf.nprobe // 4), ivf.nlist)
    settings = {"lists": ivf.nlist, "probes": ivf.nprobe, "numbers": ivf.d}
    return Approximation(memoryview(faiss.serialize_index(index)), round(recall, 4), len(positions), settings)


def _add_rows(index: Any, source: VectorSource, truth: _GroundTruth) -> None:
    """Pass all rows to `truth`, and add missing rows to the index."""
    # An extended index already has the first rows of the source.
    existing, row = index.ntotal, 0
    for page in source.pages():
        row_ids = source.row_ids[row : row + len(page)]
        truth.add_page(row_ids, page)
        new = slice(max(existing - row, 0), None)
        if len(page[new]):
            index.add_with_ids(page[new], row_ids[new])
        row += len(page)
