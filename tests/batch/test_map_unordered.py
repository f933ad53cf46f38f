"""Concurrent processing of many items with bounded memory."""

import threading
import time

import pytest

from lookalike.domain.errors import Unavailable
from lookalike.usecases.thread_pool import map_unordered


def test_each_item_is_yielded_once_with_its_result() -> None:
    results = list(map_unordered(lambda number: number * number, range(100), 4))
    assert sorted(results) == [(number, number * number) for number in range(100)]


def test_items_start_only_when_earlier_ones_are_consumed() -> None:
    started: list[int] = []
    results = map_unordered(started.append, range(100), 3)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 4


def test_no_item_starts_after_a_failure_and_running_ones_finish() -> None:
    is_failing, finished = threading.Event(), []

    def process(number: int) -> None:
        if number == 1:
            is_failing.set()
            raise Unavailable("The database cannot be reached")
        assert is_failing.wait(10)
        time.sleep(0.05)
        finished.append(number)

    with pytest.raises(Unavailable):
        list(map_unordered(process, range(50), 3))
    assert len(finished) <= 4 and {0, 2} <= set(finished)
