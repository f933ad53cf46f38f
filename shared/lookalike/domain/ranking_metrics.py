"""Metrics of rankings, and confidence intervals of their means. Needs numpy only.

A ranking is a row of `ranked` (queries, places): the relevance of the item at each place, best place first. 0 is not
relevant; larger numbers are more relevant. Every function returns one number for each query, shape (queries,).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 2000
"""Bootstrap samples. Efron and Tibshirani (An Introduction to the Bootstrap, 1993, section 14.3) advise 1,000 or more."""
RESAMPLES_PER_BLOCK = 100
"""Bootstrap samples computed at a time. Bounds the memory of their weights, (samples, clusters)."""
CONFIDENCE = 0.95
SEED = 7


def first_relevant_rank(ranked: Floats) -> Floats:
    """Return the place of the first relevant item, from 1. Infinite if there is none."""
    is_relevant = ranked > 0
    if not ranked.shape[1]:
        return np.full(len(ranked), np.inf)
    return np.where(is_relevant.any(axis=1), is_relevant.argmax(axis=1) + 1.0, np.inf)


def reciprocal_rank(ranked: Floats) -> Floats:
    """Return 1 over the place of the first relevant item, 0 if there is none. Its mean is the MRR.

    Source: Voorhees, The TREC-8 Question Answering Track Report, 1999.
    """
    return 1 / first_relevant_rank(ranked)


def recall_at(ranked: Floats, k: int) -> Floats:
    """Return 1 if a relevant item is among the first `k`, otherwise 0.

    This is the recall of image retrieval, also called top-k accuracy or hit rate. Sources: Liu et al., DeepFashion,
    CVPR 2016; Oh Song et al., Deep Metric Learning via Lifted Structured Feature Embedding, CVPR 2016, section 5.
    """
    return (first_relevant_rank(ranked) <= k).astype(np.float64)


def precision_at(ranked: Floats, k: int) -> Floats:
    """Return the share of relevant items among the first `k`.

    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """
    return np.asarray((ranked[:, :k] > 0).sum(axis=1) / k)


def average_precision(ranked: Floats, relevant_counts: NDArray[np.int64]) -> Floats:
    """Return the mean of the precisions at the places of the relevant items. Its mean over queries is the mAP.

    `relevant_counts` (queries,), at least 1, counts all relevant items. Items that are not in the ranking count as
    precision 0. Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """
    is_relevant = ranked > 0
    precisions = is_relevant.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    return np.asarray((precisions * is_relevant).sum(axis=1) / relevant_counts)


def ndcg_at(ranked: Floats, ideal: Floats, k: int) -> Floats:
    """Return the discounted cumulative gain of the first `k` items over the best possible one.

    The gain is the relevance itself, the discount log2(place + 1). `ideal` (queries, at least the relevant items) has
    the relevance of all items of a query in any order, filled up with 0. Source: Järvelin and Kekäläinen, Cumulated
    Gain-Based Evaluation of IR Techniques, ACM TOIS 20(4), 2002; with the discount of all places, as trec_eval has it.
    """
    return _dcg(ranked[:, :k]) / _dcg(-np.sort(-ideal, axis=1)[:, :k])


def _dcg(gains: Floats) -> Floats:
    return np.asarray(gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2))))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, with the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def differs_from_zero(self) -> bool:
        """Whether 0 is outside the interval. Of a difference: whether it is significant."""
        return self.low > 0 or self.high < 0


def estimate_means(values: Floats, clusters: NDArray[np.int64]) -> list[Estimate]:
    """Return the mean of each column of `values` (queries, columns) with its 95 % bootstrap interval.

    Percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Whole clusters are
    drawn with replacement instead of single queries, because the photos of one product are not independent (Davison
    and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). `clusters` (queries,) has any number for
    each query; if all differ, this is the ordinary bootstrap.

    All columns use the same samples, so a column of differences gets a paired interval. Repeatable: the seed is fixed.
    Takes O(samples · clusters · columns) time, and memory of `RESAMPLES_PER_BLOCK` samples.
    """
    _, positions, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    count = len(sizes)
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, positions, values)
    random, means = np.random.default_rng(SEED), []
    for _ in range(0, RESAMPLES, RESAMPLES_PER_BLOCK):
        weights = random.multinomial(count, np.full(count, 1 / count), RESAMPLES_PER_BLOCK)
        means.append((weights @ sums) / (weights @ sizes)[:, None])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    return [Estimate(*map(float, ends)) for ends in zip(values.mean(axis=0), low, high, strict=True)]
