"""Calibration of similarities: fit the probability that two images show the same garment to pairs of images.

`lookalike models calibrate` and `infra/training/calibrate.py` use it.
"""

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import IDENTICAL_SIMILARITY, Calibration, log_distance_score

STEPS, BINS = 50, 10
"""Iterations of Newton's method, and bins of the calibration error."""
MAX_FALSE_COPY_RATE = 2e-6
"""Share of pairs of different photos that may be taken for copies."""
Numbers = NDArray[np.floating]


def fit_calibration(same: Numbers, others: Numbers) -> Calibration:
    """Fit a logistic regression to cosines of pairs (Platt, 1999).

    `same` are cosines of two images of one garment, `others` of different garments; any shape. Both kinds of pairs have
    equal weight. As Platt proposes, targets are slightly less than certain, so that separable pairs have a solution.
    """
    scores, is_same, weights = _join(same, others)
    targets = np.where(is_same == 1, (same.size + 1) / (same.size + 2), 1 / (others.size + 2))
    inputs, coefficients = np.stack([scores, np.ones_like(scores)], 1), np.zeros(2)

    def loss(tried: Numbers) -> float:
        logits = inputs @ tried
        return float((weights * (np.logaddexp(0, logits) - targets * logits)).sum())

    for _ in range(STEPS):
        predicted = 0.5 + 0.5 * np.tanh(inputs @ coefficients / 2)
        gradient = inputs.T @ (weights * (predicted - targets))
        # the tiny ridge keeps the Hessian invertible if all predictions are certain
        hessian = (inputs * (weights * predicted * (1 - predicted))[:, None]).T @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # Newton's method can overshoot: halve the step until the loss falls (Lin, Lin & Weng, 2007)
        while loss(coefficients - step) > loss(coefficients) and np.abs(step).max() > 1e-9:
            step = step / 2
        coefficients = coefficients - step
    return Calibration(*(round(float(number), 4) for number in coefficients))


def calibration_error(calibration: Calibration, same: Numbers, others: Numbers) -> float:
    """Return the expected calibration error (Guo et al., 2017): predicted minus actual share, mean over ten bins."""
    predicted = np.array([calibration.match_probability(float(score)) for score in [*same.ravel(), *others.ravel()]])
    _, is_same, weights = _join(same, others)
    error, bins = 0.0, np.minimum((predicted * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        in_bin = bins == number
        if weight := weights[in_bin].sum():
            error += abs(np.average(predicted[in_bin] - is_same[in_bin], weights=weights[in_bin])) * weight
    return float(error)


def mean_probability(calibration: Calibration, similarities: Numbers) -> float:
    """Return the mean match probability of cosines."""
    return float(np.mean([calibration.match_probability(float(score)) for score in similarities.ravel()]))


def copy_threshold(different: Numbers) -> float:
    """Return the cosine, with two decimals, that only `MAX_FALSE_COPY_RATE` of these pairs of different photos reach.

    With too few pairs to measure so small a share, only identical vectors count as copies.
    """
    if different.size < 1 / MAX_FALSE_COPY_RATE:
        return IDENTICAL_SIMILARITY
    return round(float(np.quantile(different, 1 - MAX_FALSE_COPY_RATE)), 2)


def _join(same: Numbers, others: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return the scores of all pairs, whether each is of one garment, and its weight. All weights sum to 1."""
    scores = np.array([log_distance_score(float(score)) for score in [*same.ravel(), *others.ravel()]])
    is_same = np.concatenate([np.ones(same.size), np.zeros(others.size)])
    weights = np.concatenate([np.full(same.size, 0.5 / same.size), np.full(others.size, 0.5 / others.size)])
    return scores, is_same, weights
