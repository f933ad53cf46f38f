"""Fitting the probability that two images show the same garment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.calibration import calibration_error, copy_threshold, fit_calibration, mean_probability
from lookalike.domain.model import IDENTICAL_SIMILARITY, Calibration, log_distance_score


def sample_pairs(truth: Calibration, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw cosines, and split them into same and other by the true probability."""
    random = np.random.default_rng(seed)
    cosines = random.uniform(0.2, 0.999, count)
    is_same = random.uniform(size=count) < [truth.match_probability(cosine) for cosine in cosines]
    return cosines[is_same], cosines[~is_same]


def test_fit_recovers_the_curve_that_the_pairs_were_drawn_from() -> None:
    truth = Calibration(2.0, -4.0)
    same, others = sample_pairs(truth, 40_000)
    found = fit_calibration(same, others)
    # both kinds have equal weight, which shifts the curve by the logarithm of their ratio
    assert abs(found.slope - truth.slope) < 0.1
    assert abs(found.offset - np.log(others.size / same.size) - truth.offset) < 0.2
    assert calibration_error(found, same, others) < 0.02
    assert mean_probability(found, same) > 0.7 > 0.3 > mean_probability(found, others)


def test_separable_pairs_can_be_fitted() -> None:
    found = fit_calibration(np.full(30, 0.9), np.full(30, 0.1))
    assert np.isfinite([found.slope, found.offset]).all()
    assert found.match_probability(0.9) > 0.95 and found.match_probability(0.1) < 0.05


def test_a_wrong_curve_has_a_larger_error() -> None:
    same, others = sample_pairs(Calibration(2.0, -4.0), 5000)
    found = fit_calibration(same, others)
    assert calibration_error(Calibration(found.slope, found.offset + 3), same, others) > 0.2


@given(st.integers(0, 1000))
def test_probabilities_rise_with_similarity(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = fit_calibration(random.uniform(0.5, 1, 40), random.uniform(0, 0.6, 40))
    assert found.slope > 0 and log_distance_score(0.9) > log_distance_score(0.5)
    assert found.match_probability(0.95) > found.match_probability(0.4)


def test_copies_need_very_many_pairs() -> None:
    cosines = np.linspace(-1, 0.9, 1_000_000)
    assert copy_threshold(cosines[:1000]) == IDENTICAL_SIMILARITY
    assert copy_threshold(cosines) == 0.9
