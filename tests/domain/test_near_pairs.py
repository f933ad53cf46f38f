"""Pairs of near vectors: all of them and no others, with and without clusters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.domain import near_pairs as module
from lookalike.domain.duplicates import DuplicatePair, connected_rows, group_pairs
from lookalike.domain.model import IDENTICAL_SIMILARITY, Vectors
from lookalike.domain.near_pairs import near_pairs


def unit(vectors: NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def sample(count: int, copies: int, noise: float, seed: int, dim: int = 16) -> Vectors:
    """Return vectors around a few directions, of which some are noisy copies of others."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(8, dim))
    vectors = unit(centers[rng.integers(0, 8, count)] + 0.7 * rng.normal(size=(count, dim)))
    chosen = rng.choice(count, min(count, 2 * copies) // 2 * 2, replace=False).reshape(2, -1)
    vectors[chosen[0]] = unit(vectors[chosen[1]] + noise * rng.normal(size=(chosen.shape[1], dim)))
    return vectors


def found_pairs(vectors: Vectors, threshold: float) -> list[tuple[int, int]]:
    return sorted(
        pair
        for first, second, _ in near_pairs(vectors, threshold)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    )


def all_pairs(vectors: Vectors, threshold: float) -> list[tuple[int, int]]:
    wide = vectors.astype(np.float64)
    first, second = np.nonzero(np.triu(wide @ wide.T >= threshold, 1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.6, 0.9, 0.98, IDENTICAL_SIMILARITY])
@pytest.mark.parametrize("is_divided", [False, True])
def test_pairs_equal_those_of_comparing_all(
    monkeypatch: pytest.MonkeyPatch, threshold: float, is_divided: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 100)
    if is_divided:
        monkeypatch.setattr(module, "MAX_UNDIVIDED_ROWS", 0)
        monkeypatch.setattr(module, "ROWS_PER_CLUSTER", 40)
    vectors = sample(1500, 200, 0.02, seed=3)
    vectors[7] = vectors[1200]
    expected = all_pairs(vectors, threshold)
    assert found_pairs(vectors, threshold) == expected and (7, 1200) in expected


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 120), copies=st.integers(1, 60), noise=st.floats(0, 0.2), threshold=st.floats(0.5, 0.999999)
)
def test_clusters_lose_no_pair(count: int, copies: int, noise: float, threshold: float) -> None:
    vectors = sample(count, copies, noise, seed=count)
    expected = found_pairs(vectors, threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_UNDIVIDED_ROWS", 0)
        patch.setattr(module, "ROWS_PER_CLUSTER", 5)
        assert found_pairs(vectors, threshold) == expected


def test_few_and_equal_vectors() -> None:
    one = unit(np.ones((1, 4), np.float32))
    assert found_pairs(np.empty((0, 4), np.float32), 0.9) == found_pairs(one, 0.9) == []
    assert found_pairs(np.repeat(one, 3, axis=0), IDENTICAL_SIMILARITY) == [(0, 1), (0, 2), (1, 2)]


def test_progress_ends_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (0, 10_000):
        monkeypatch.setattr(module, "MAX_UNDIVIDED_ROWS", limit)
        shares: list[float] = []
        assert list(near_pairs(sample(300, 10, 0.01, seed=1), 0.99, shares.append))
        assert shares == sorted(shares) and shares[-1] == 1


def test_groups_are_connected_components() -> None:
    pairs = [DuplicatePair(*rows, 0.99) for rows in ((4, 9), (1, 2), (2, 4), (5, 6))]
    groups = group_pairs(pairs)
    assert [group.row_ids for group in groups] == [(1, 2, 4, 9), (5, 6)]
    assert [pair.row_ids for pair in groups[0].pairs] == [(1, 2), (2, 4), (4, 9)]
    assert group_pairs([]) == []


def test_connected_rows_follows_neighbors_up_to_the_limit() -> None:
    neighbors = {1: [2], 2: [1, 3], 3: [2, 4], 4: [3], 5: []}
    assert connected_rows(2, neighbors.__getitem__, 100) == {1, 2, 3, 4}
    assert connected_rows(5, neighbors.__getitem__, 100) == {5}
    assert len(connected_rows(1, lambda row: [row + 1], 10)) == 10
