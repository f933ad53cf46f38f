"""All pairs of unit vectors above a cosine, exactly, without comparing all with all.

Large sets are divided around centers (k-means). If |x - y| <= r and y is nearer to center b than to center a, then x is
at most r on its own side of the plane between a and b. So x is compared only with the clusters whose planes are that
near. Copies have a small r, so that most clusters are far enough.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import Vectors

Ids = NDArray[np.int64]
Positions = NDArray[np.intp]
Pairs = tuple[Positions, Positions, NDArray[np.float64]]
"""Positions of first and second vectors, and cosines; all (p,)."""
BLOCK_ROWS = 1024
"""Rows of a matrix product. Bounds its result to `BLOCK_ROWS` ** 2 numbers."""
MAX_UNDIVIDED_ROWS = 20_000
"""Up to this number of rows, all are compared with all: that takes seconds."""
ROWS_PER_CLUSTER, SAMPLE_ROWS_PER_CLUSTER, STEPS = 1000, 30, 6
"""Size of the clusters, rows that the centers are computed from, and iterations of k-means."""
SEED = 5


def near_pairs(
    vectors: Vectors, threshold: float, on_progress: Callable[[float], object] = lambda share: None
) -> Iterator[Pairs]:
    """Yield blocks of the pairs of unit vectors (n, dim) whose cosine is at least `threshold`, each pair once.

    The first position of a pair is the smaller one. `on_progress` gets the share of the work that is done, 0 to 1.
    """
    if len(vectors) <= MAX_UNDIVIDED_ROWS:
        yield from _pairs_within(vectors, np.arange(len(vectors)), threshold, on_progress)
        return
    centers = _find_centers(vectors)
    own = _nearest_centers(vectors, centers)
    order = np.argsort(own, kind="stable")
    bounds = np.searchsorted(own[order], np.arange(len(centers) + 1))
    members = [order[start:end] for start, end in pairwise(bounds)]
    visitors = _find_visitors(vectors, centers, members, threshold)
    for number, rows in enumerate(members):
        yield from _pairs_within(vectors, rows, threshold)
        if len(visitors[number]):
            yield from _pairs_between(vectors, visitors[number], rows, threshold)
        on_progress((number + 1) / len(members))


def exact_cosines(first: Vectors, second: Vectors) -> NDArray[np.float64]:
    """Return the cosines (p,) of unit vectors (p, dim), computed in float64 as `ExactIndex` does."""
    cosines: NDArray[np.float64] = (first * second.astype(np.float64)).sum(axis=1)
    return cosines.clip(-1, 1)


def _pairs_within(
    vectors: Vectors, rows: Positions, threshold: float, on_progress: Callable[[float], object] = lambda share: None
) -> Iterator[Pairs]:
    """Yield the pairs among these rows."""
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        for other_start in range(start, len(rows), BLOCK_ROWS):
            other = rows[other_start : other_start + BLOCK_ROWS]
            yield from _compare(vectors, block, other, threshold, is_same=start == other_start)
        on_progress(min(1.0, (start + len(block)) / len(rows)))


def _pairs_between(vectors: Vectors, first: Positions, second: Positions, threshold: float) -> Iterator[Pairs]:
    """Yield the pairs of a row of `first` and one of `second`, which have no row in common."""
    for start in range(0, len(first), BLOCK_ROWS):
        for other_start in range(0, len(second), BLOCK_ROWS):
            block, other = first[start : start + BLOCK_ROWS], second[other_start : other_start + BLOCK_ROWS]
            yield from _compare(vectors, block, other, threshold, is_same=False)


def _compare(vectors: Vectors, block: Positions, other: Positions, threshold: float, is_same: bool) -> Iterator[Pairs]:
    scores = vectors[block] @ vectors[other].T
    # the rounding error of a float32 product, see `ExactIndex`
    rows, columns = np.nonzero(scores >= np.float32(threshold - 2.1 * vectors.shape[1] * 2.0**-24))
    if is_same:
        is_upper = rows < columns
        rows, columns = rows[is_upper], columns[is_upper]
    if not len(rows):
        return
    first, second = np.minimum(block[rows], other[columns]), np.maximum(block[rows], other[columns])
    for start in range(0, len(first), BLOCK_ROWS):
        part, other_part = first[start : start + BLOCK_ROWS], second[start : start + BLOCK_ROWS]
        cosines = exact_cosines(vectors[part], vectors[other_part])
        is_near = cosines >= threshold
        if is_near.any():
            yield part[is_near], other_part[is_near], cosines[is_near]


def _find_centers(vectors: Vectors) -> Vectors:
    """Return cluster centers (k, dim) by k-means on a sample. They need not be good: any centers give exact results."""
    count = max(2, len(vectors) // ROWS_PER_CLUSTER)
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(vectors), min(len(vectors), SAMPLE_ROWS_PER_CLUSTER * count), replace=False)
    sample = vectors[np.sort(chosen)]
    centers: Vectors = sample[rng.choice(len(sample), count, replace=False)].copy()
    for _ in range(STEPS):
        nearest = _nearest_centers(sample, centers)
        sums = np.zeros_like(centers)
        np.add.at(sums, nearest, sample)
        counts = np.bincount(nearest, minlength=count)
        # an empty cluster keeps its center
        centers[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
    return centers


def _nearest_centers(vectors: Vectors, centers: Vectors) -> Positions:
    """Return the number of the nearest center of each vector, (n,)."""
    half_norms = (centers**2).sum(axis=1) / 2
    blocks = [
        np.argmax(vectors[start : start + BLOCK_ROWS] @ centers.T - half_norms, axis=1)
        for start in range(0, len(vectors), BLOCK_ROWS)
    ]
    return np.concatenate(blocks)


def _find_visitors(vectors: Vectors, centers: Vectors, members: list[Positions], threshold: float) -> list[Positions]:
    """Return for each cluster the rows of earlier clusters that can have a near vector in it."""
    # |x - y|^2 = 2 - 2 cos for unit vectors. The margin is for rounding.
    radius = np.sqrt(max(0.0, 2 - 2 * threshold)) + 1e-3
    half_norms = (centers**2).sum(axis=1) / 2
    visitors: list[list[Positions]] = [[] for _ in members]
    for number, rows in enumerate(members):
        if not len(rows):
            continue
        distances = np.linalg.norm(centers - centers[number], axis=1)
        scores = vectors[rows] @ centers.T - half_norms
        # Twice the distance to the plane between both centers, times their distance: |x - b|^2 - |x - a|^2.
        is_near = scores[:, [number]] - scores <= radius * distances
        for later in range(number + 1, len(members)):
            if is_near[:, later].any():
                visitors[later].append(rows[is_near[:, later]])
    return [np.concatenate(parts) if parts else np.empty(0, np.intp) for parts in visitors]
