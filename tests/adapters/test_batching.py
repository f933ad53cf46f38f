"""Requests that wait at the same time, worked on together."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike.adapters.batching import Alive, Batcher
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, DeadlineExceeded, Unavailable

WAIT = 10


class TooMuch(Exception):
    """What a device says that has no more memory."""


class Machine:
    """Doubles numbers, and remembers its batches. Holds each batch back while `open` is not set."""

    def __init__(self, room: int = 100) -> None:
        self.batches: list[list[int]] = []
        self.open, self.busy = threading.Event(), threading.Event()
        self.open.set()
        self.room = room

    def run(self, things: list[int], alive: Alive) -> list[int]:
        self.batches.append(things)
        self.busy.set()
        if len(things) > self.room:
            raise TooMuch("no memory")
        while not self.open.wait(0.005):
            alive()
        if -1 in things:
            raise ValueError("minus one")
        return [2 * thing for thing in things]

    def batcher(self, most: int = 4, wait: float = 0.0) -> Batcher[int, int]:
        return Batcher(self.run, most, wait, threading.Lock(), TooMuch)


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.open.set()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_results_come_in_the_order_of_the_things(machine: Machine) -> None:
    assert machine.batcher(4).all(list(range(10)), None, CancelToken()) == list(range(0, 20, 2))
    assert [len(batch) for batch in machine.batches] == [4, 4, 2]


def test_nothing_comes_of_nothing(machine: Machine) -> None:
    assert machine.batcher().all([], None, CancelToken()) == []


def test_those_who_wait_go_together_and_get_their_own(machine: Machine, clients: ThreadPoolExecutor) -> None:
    batcher = machine.batcher(8)
    machine.open.clear()
    first = clients.submit(batcher.all, [100], None, CancelToken())
    assert machine.busy.wait(WAIT)
    others = [clients.submit(batcher.all, [number], None, CancelToken()) for number in range(16)]
    until(lambda: len(batcher._waiting) == 16)
    machine.open.set()
    assert first.result(WAIT) == [200]
    assert [one.result(WAIT) for one in others] == [[2 * number] for number in range(16)]
    assert [len(batch) for batch in machine.batches] == [1, 8, 8]


def test_only_things_of_one_kind_go_together(machine: Machine) -> None:
    batcher = machine.batcher(8, wait=0.05)
    with ThreadPoolExecutor(4) as pool:
        for answer in [pool.submit(batcher.all, [n], n % 2, CancelToken()) for n in range(4)]:
            answer.result(WAIT)
    assert sorted(map(sorted, machine.batches)) == [[0, 2], [1, 3]]


def test_the_first_waits_for_others_but_not_for_long(machine: Machine) -> None:
    batcher, began = machine.batcher(2, wait=0.2), time.monotonic()
    assert batcher.all([1], None, CancelToken()) == [2]
    assert 0.2 <= time.monotonic() - began < 2
    began = time.monotonic()
    assert batcher.all([1, 2], None, CancelToken()) == [2, 4]
    assert time.monotonic() - began < 0.2


def test_who_is_cancelled_leaves_at_once_and_harms_nobody(machine: Machine, clients: ThreadPoolExecutor) -> None:
    batcher, token = machine.batcher(2, wait=1), CancelToken()
    machine.open.clear()
    leaves, stays = (clients.submit(batcher.all, [n], None, t) for n, t in ((1, token), (2, CancelToken())))
    assert machine.busy.wait(WAIT)
    token.cancel()
    with pytest.raises(Cancelled):
        leaves.result(1)
    machine.open.set()
    assert stays.result(WAIT) == [4]


def test_a_batch_that_all_have_left_ends_early(machine: Machine, clients: ThreadPoolExecutor) -> None:
    batcher, tokens = machine.batcher(2, wait=1), [CancelToken(), CancelToken()]
    machine.open.clear()
    gone = [clients.submit(batcher.all, [1], None, token) for token in tokens]
    assert machine.busy.wait(WAIT)
    for token in tokens:
        token.cancel()
    assert all(isinstance(one.exception(1), Cancelled) for one in gone)
    # still closed: the next one is served only if the machine is free again
    machine.busy.clear()
    after = clients.submit(batcher.all, [3], None, CancelToken())
    assert machine.busy.wait(WAIT)
    machine.open.set()
    assert after.result(WAIT) == [6]


def test_who_leaves_the_queue_is_not_worked_for(machine: Machine, clients: ThreadPoolExecutor) -> None:
    batcher, token = machine.batcher(1), CancelToken()
    machine.open.clear()
    first = clients.submit(batcher.all, [1], None, CancelToken())
    assert machine.busy.wait(WAIT)
    gone = clients.submit(batcher.all, [2], None, token)
    until(lambda: len(batcher._waiting) == 1)
    token.cancel()
    assert isinstance(gone.exception(1), Cancelled)
    machine.open.set()
    assert first.result(WAIT) == [2] and batcher.all([3], None, CancelToken()) == [6]
    assert [2] not in machine.batches


def test_a_deadline_ends_the_waiting(machine: Machine) -> None:
    machine.open.clear()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        machine.batcher().all([1], None, CancelToken(time.monotonic() + 0.2))
    assert time.monotonic() - began < 1


def test_an_error_reaches_whom_it_concerns_and_the_next_one_is_served(machine: Machine) -> None:
    batcher = machine.batcher()
    with pytest.raises(ValueError, match="minus one"):
        batcher.all([-1], None, CancelToken())
    assert batcher.all([1], None, CancelToken()) == [2]


def test_too_few_results_are_an_error_and_the_next_one_is_served(machine: Machine) -> None:
    batcher: Batcher[int, int] = Batcher(lambda things, _: things[1:], 4, 0, threading.Lock())
    for _ in range(2):
        with pytest.raises(ValueError, match="zip"):
            batcher.all([1, 2], None, CancelToken(time.monotonic() + WAIT))


def test_short_of_memory_a_batch_is_halved_and_later_ones_are_smaller(machine: Machine) -> None:
    machine.room = 3
    batcher = machine.batcher(8)
    assert batcher.all(list(range(8)), None, CancelToken()) == list(range(0, 16, 2))
    assert [len(batch) for batch in machine.batches] == [8, 4, 2, 2, 4, 2, 2]
    assert batcher.most == 2 and batcher.all([1, 2, 3], None, CancelToken()) == [2, 4, 6]
    assert [len(batch) for batch in machine.batches[7:]] == [2, 1]


def test_what_does_not_fit_even_alone_is_told_and_the_next_one_is_served(machine: Machine) -> None:
    machine.room = 0
    batcher = machine.batcher()
    with pytest.raises(Unavailable, match="short of memory"):
        batcher.all([1], None, CancelToken())
    machine.room = 1
    assert batcher.all([1], None, CancelToken()) == [2]
