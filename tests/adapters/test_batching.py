"""Tests of dynamic batching."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike.adapters.batching import Batcher, CancelCheck
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, DeadlineExceeded, Unavailable
from lookalike.domain.stage_times import Stage, StageTimes, measure_stages

TIMEOUT = 10
"""Seconds that a step may take on a busy machine."""


class OutOfMemory(Exception):
    """Stands for a device's out-of-memory error."""


class FakeDevice:
    """Doubles numbers and records its batches. A batch runs until `can_finish` is set.

    Batches larger than `memory` raise `OutOfMemory`; batches with -1 raise `ValueError`.
    """

    def __init__(self, memory: int = 100) -> None:
        self.batches: list[list[int]] = []
        self.can_finish, self.is_busy = threading.Event(), threading.Event()
        self.can_finish.set()
        self.memory = memory

    def run(self, values: list[int], check_cancelled: CancelCheck) -> list[int]:
        self.batches.append(values)
        self.is_busy.set()
        if len(values) > self.memory:
            raise OutOfMemory("no memory")
        while not self.can_finish.wait(0.005):
            check_cancelled()
        if -1 in values:
            raise ValueError("minus one")
        return [2 * value for value in values]

    def batcher(self, max_batch: int = 4, max_delay: float = 0.0) -> Batcher[int, int]:
        return Batcher(self.run, max_batch, max_delay, threading.Lock(), OutOfMemory)

    @property
    def batch_sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    device = FakeDevice()
    yield device
    device.can_finish.set()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_results_have_the_order_of_the_values(device: FakeDevice) -> None:
    assert device.batcher(4).run_all(list(range(10)), None, CancelToken()) == list(range(0, 20, 2))
    assert device.batch_sizes == [4, 4, 2]


def test_no_values_give_no_results(device: FakeDevice) -> None:
    assert device.batcher().run_all([], None, CancelToken()) == []


def test_concurrent_callers_share_batches_and_get_their_own_results(
    device: FakeDevice, clients: ThreadPoolExecutor
) -> None:
    batcher = device.batcher(8)
    device.can_finish.clear()
    first = clients.submit(batcher.run_all, [100], None, CancelToken())
    assert device.is_busy.wait(TIMEOUT)
    others = [clients.submit(batcher.run_all, [number], None, CancelToken()) for number in range(16)]
    wait_for(lambda: len(batcher._queue) == 16)
    device.can_finish.set()
    assert first.result(TIMEOUT) == [200]
    assert [other.result(TIMEOUT) for other in others] == [[2 * number] for number in range(16)]
    assert device.batch_sizes == [1, 8, 8]


def test_the_wait_until_the_batch_starts_is_the_stage_queue(device: FakeDevice, clients: ThreadPoolExecutor) -> None:
    lock, measured = threading.Lock(), list[StageTimes]()
    batcher: Batcher[int, int] = Batcher(device.run, 4, 0, lock)

    def call() -> list[int]:
        with measure_stages() as times:
            measured.append(times)
            return batcher.run_all([1], None, CancelToken())

    device.can_finish.clear()
    with lock:
        result = clients.submit(call)
        wait_for(lambda: bool(measured and measured[0].intervals))
        (queue,) = measured[0].intervals
        assert queue.stage is Stage.QUEUE and queue.is_open
    wait_for(lambda: not queue.is_open)
    assert not result.done()
    device.can_finish.set()
    assert result.result(TIMEOUT) == [2] and measured[0].intervals == [queue]


def test_values_with_different_keys_do_not_share_a_batch(device: FakeDevice) -> None:
    batcher = device.batcher(8, max_delay=0.05)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(batcher.run_all, [n], n % 2, CancelToken()) for n in range(4)]:
            future.result(TIMEOUT)
    assert sorted(map(sorted, device.batches)) == [[0, 2], [1, 3]]


def test_a_partial_batch_waits_for_the_delay_and_a_full_one_does_not(device: FakeDevice) -> None:
    batcher, started = device.batcher(2, max_delay=0.2), time.monotonic()
    assert batcher.run_all([1], None, CancelToken()) == [2]
    assert 0.2 <= time.monotonic() - started < 2
    started = time.monotonic()
    assert batcher.run_all([1, 2], None, CancelToken()) == [2, 4]
    assert time.monotonic() - started < 0.2


def test_a_cancelled_caller_returns_at_once_and_its_batch_continues(
    device: FakeDevice, clients: ThreadPoolExecutor
) -> None:
    batcher, token = device.batcher(2, max_delay=1), CancelToken()
    device.can_finish.clear()
    cancelled, other = (clients.submit(batcher.run_all, [n], None, t) for n, t in ((1, token), (2, CancelToken())))
    assert device.is_busy.wait(TIMEOUT)
    token.cancel()
    with pytest.raises(Cancelled):
        cancelled.result(1)
    device.can_finish.set()
    assert other.result(TIMEOUT) == [4]


def test_a_batch_stops_when_all_of_its_callers_are_cancelled(device: FakeDevice, clients: ThreadPoolExecutor) -> None:
    batcher, tokens = device.batcher(2, max_delay=1), [CancelToken(), CancelToken()]
    device.can_finish.clear()
    cancelled = [clients.submit(batcher.run_all, [1], None, token) for token in tokens]
    assert device.is_busy.wait(TIMEOUT)
    for token in tokens:
        token.cancel()
    assert all(isinstance(future.exception(1), Cancelled) for future in cancelled)
    # `can_finish` is still clear, so the next batch starts only if the first one stopped
    device.is_busy.clear()
    after = clients.submit(batcher.run_all, [3], None, CancelToken())
    assert device.is_busy.wait(TIMEOUT)
    device.can_finish.set()
    assert after.result(TIMEOUT) == [6]


def test_a_value_cancelled_in_the_queue_is_not_computed(device: FakeDevice, clients: ThreadPoolExecutor) -> None:
    batcher, token = device.batcher(1), CancelToken()
    device.can_finish.clear()
    first = clients.submit(batcher.run_all, [1], None, CancelToken())
    assert device.is_busy.wait(TIMEOUT)
    cancelled = clients.submit(batcher.run_all, [2], None, token)
    wait_for(lambda: len(batcher._queue) == 1)
    token.cancel()
    assert isinstance(cancelled.exception(1), Cancelled)
    device.can_finish.set()
    assert first.result(TIMEOUT) == [2] and batcher.run_all([3], None, CancelToken()) == [6]
    assert [2] not in device.batches


def test_a_deadline_ends_the_wait(device: FakeDevice) -> None:
    device.can_finish.clear()
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        device.batcher().run_all([1], None, CancelToken(time.monotonic() + 0.2))
    assert time.monotonic() - started < 1


def test_an_error_is_raised_by_its_caller_and_later_batches_run(device: FakeDevice) -> None:
    batcher = device.batcher()
    with pytest.raises(ValueError, match="minus one"):
        batcher.run_all([-1], None, CancelToken())
    assert batcher.run_all([1], None, CancelToken()) == [2]


def test_too_few_results_raise_and_later_batches_run() -> None:
    batcher: Batcher[int, int] = Batcher(lambda values, _: values[1:], 4, 0, threading.Lock())
    for _ in range(2):
        with pytest.raises(ValueError, match="zip"):
            batcher.run_all([1, 2], None, CancelToken(time.monotonic() + TIMEOUT))


def test_out_of_memory_halves_the_batch_and_limits_later_ones(device: FakeDevice) -> None:
    device.memory = 3
    batcher = device.batcher(8)
    assert batcher.run_all(list(range(8)), None, CancelToken()) == list(range(0, 16, 2))
    assert device.batch_sizes == [8, 4, 2, 2, 4, 2, 2]
    assert batcher.max_batch == 2 and batcher.run_all([1, 2, 3], None, CancelToken()) == [2, 4, 6]
    assert device.batch_sizes[7:] == [2, 1]


def test_out_of_memory_on_a_single_value_raises_and_later_batches_run(device: FakeDevice) -> None:
    device.memory = 0
    batcher = device.batcher()
    with pytest.raises(Unavailable, match="out of memory on a single image: no memory"):
        batcher.run_all([1], None, CancelToken())
    device.memory = 1
    assert batcher.run_all([1], None, CancelToken()) == [2]
