"""Thread pool."""

import pytest

from lookalike.usecases.thread_pool import map_concurrently


def test_map_concurrently_keeps_the_order_and_raises_after_all_calls_ended() -> None:
    ended: list[int] = []

    def double(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        ended.append(number)
        return number * 2

    assert map_concurrently(double, [3, 5, 1]) == [6, 10, 2]
    ended.clear()
    with pytest.raises(ValueError, match="two"):
        map_concurrently(double, [1, 2, 3, 4])
    assert sorted(ended) == [1, 3, 4]
