"""Domain model: calibration."""

from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.model import Calibration


@given(st.floats(-1.01, 1.01), st.floats(-1.01, 1.01))
def test_match_probability_grows_with_the_similarity(first: float, second: float) -> None:
    calibration = Calibration(3, -9)
    low, high = sorted((first, second))
    assert 0 <= calibration.match_probability(low) <= calibration.match_probability(high) <= 1
