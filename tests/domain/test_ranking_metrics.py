"""Metrics of rankings: values computed by hand, properties, and scikit-learn and SciPy as references."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score, ndcg_score

from lookalike.domain.ranking_metrics import (
    Estimate,
    Floats,
    average_precision,
    estimate_means,
    first_relevant_rank,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank,
)

Row = list[float]
rankings = st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0]), min_size=1, max_size=30)


def rows(*ranked: Row) -> Floats:
    return np.array(ranked, np.float64)


def counts(ranked: Floats) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.asarray((ranked > 0).sum(axis=1), np.int64)


def test_values_computed_by_hand() -> None:
    ranked = rows([0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0])
    assert first_relevant_rank(ranked).tolist() == [2, 1, math.inf]
    assert reciprocal_rank(ranked).tolist() == [0.5, 1, 0]
    assert recall_at(ranked, 1).tolist() == [0, 1, 0] and recall_at(ranked, 2).tolist() == [1, 1, 0]
    assert precision_at(ranked, 2).tolist() == [0.5, 0.5, 0]
    # precision 1/2 at place 2 and 2/4 at place 4; the third query has one relevant item, which was not found
    assert average_precision(ranked, np.array([2, 1, 1])) == pytest.approx([(1 / 2 + 2 / 4) / 2, 1, 0])
    # a relevant item that is not in the ranking halves the average precision
    assert average_precision(ranked[1:2], np.array([2])) == pytest.approx([0.5])


def test_ndcg_computed_by_hand() -> None:
    # gains 3, 2, 0, 1 at places 1 to 4; best: 3, 2, 1
    actual = 3 + 2 / math.log2(3) + 1 / math.log2(5)
    best = 3 + 2 / math.log2(3) + 1 / 2
    ranked = rows([3, 2, 0, 1])
    assert ndcg_at(ranked, ranked, 4) == pytest.approx([actual / best])
    assert ndcg_at(ranked, ranked, 2) == pytest.approx([1])
    # more relevant items than places: the best possible fills the places
    assert ndcg_at(rows([0, 1, 1]), rows([1, 1, 0]), 1) == pytest.approx([0])


def test_empty_rankings_find_nothing() -> None:
    empty = np.empty((2, 0))
    assert recall_at(empty, 1).tolist() == reciprocal_rank(empty).tolist() == [0, 0]


@given(rankings.filter(any), st.integers(1, 12))
def test_metrics_are_shares_and_grow_with_k(ranking: Row, k: int) -> None:
    ranked = rows(ranking)
    for metric in (recall_at(ranked, k), precision_at(ranked, k), ndcg_at(ranked, ranked, k), reciprocal_rank(ranked)):
        assert 0 <= metric[0] <= 1 + 1e-12
    assert recall_at(ranked, k) <= recall_at(ranked, k + 1)
    assert 0 < average_precision(ranked, counts(ranked))[0] <= 1


@given(rankings.filter(any), st.integers(1, 12))
def test_best_ranking_scores_1_and_a_better_place_never_scores_less(ranking: Row, k: int) -> None:
    ranked = rows(ranking)
    best = rows(sorted(ranking, reverse=True))
    assert ndcg_at(best, best, k) == pytest.approx(1) and average_precision(best, counts(best)) == pytest.approx(1)
    for place in range(1, len(ranking)):
        if ranking[place] > ranking[place - 1]:
            swapped = rows([*ranking[: place - 1], ranking[place], ranking[place - 1], *ranking[place + 1 :]])
            assert ndcg_at(swapped, swapped, k)[0] >= ndcg_at(ranked, ranked, k)[0] - 1e-12
            assert (
                average_precision(swapped, counts(swapped))[0] >= average_precision(ranked, counts(ranked))[0] - 1e-12
            )


@given(rankings.filter(lambda ranking: any(ranking) and len(ranking) > 1), st.integers(1, 12))
def test_metrics_agree_with_scikit_learn(ranking: Row, k: int) -> None:
    ranked, scores = rows(ranking), -np.arange(len(ranking))
    assert ndcg_at(ranked, ranked, k)[0] == pytest.approx(ndcg_score(ranked, scores[None], k=k))
    expected = average_precision_score(ranked[0] > 0, scores)
    assert average_precision(ranked, counts(ranked))[0] == pytest.approx(expected)


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).uniform(size=(80, 1)) ** 2
    (estimate,) = estimate_means(values, np.arange(80))
    reference = bootstrap((values[:, 0],), np.mean, n_resamples=2000, method="percentile", rng=1).confidence_interval
    assert estimate.mean == pytest.approx(values.mean())
    assert (estimate.low, estimate.high) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    estimates = [estimate_means(random.normal(1, 2, (60, 1)), np.arange(60))[0] for _ in range(200)]
    covered = np.mean([estimate.low <= 1 <= estimate.high for estimate in estimates])
    assert 0.9 <= covered <= 0.99


def test_clusters_widen_the_interval() -> None:
    """Ten products with ten equal queries each know as much as ten queries."""
    values = np.repeat(np.random.default_rng(2).uniform(size=10), 10)[:, None]
    ((clustered,), (single,), (ten,)) = (
        estimate_means(values, np.repeat(np.arange(10), 10)),
        estimate_means(values, np.arange(100)),
        estimate_means(values[::10], np.arange(10)),
    )
    assert (clustered.low, clustered.high) == pytest.approx((ten.low, ten.high))
    assert clustered.high - clustered.low > 2 * (single.high - single.low)


def test_paired_difference_has_a_narrow_interval() -> None:
    """A small but constant gain is significant, although the two means have wide intervals that overlap."""
    first = np.random.default_rng(4).uniform(0, 0.9, 50)
    values = np.stack([first, first + 0.05, np.full(50, 0.05)], axis=1)
    one, other, difference = estimate_means(values, np.arange(50))
    assert other.low < one.high and difference.differs_from_zero
    assert (difference.low, difference.high) == pytest.approx((0.05, 0.05))


def test_significance_is_whether_zero_is_outside_the_interval() -> None:
    assert Estimate(0.1, 0.01, 0.2).differs_from_zero and Estimate(-0.1, -0.2, -0.01).differs_from_zero
    assert not Estimate(0.1, -0.01, 0.2).differs_from_zero and not Estimate(0, 0, 0).differs_from_zero


def test_estimates_are_repeatable() -> None:
    values = np.random.default_rng(6).uniform(size=(30, 2))
    assert estimate_means(values, np.arange(30)) == estimate_means(values, np.arange(30))
