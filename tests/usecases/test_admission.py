"""Admission queue: limits, order, weights and cancellation."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Busy, Cancelled
from lookalike.usecases.admission import AdmissionQueue


def test_admission_queue_runs_one_call_at_a_time_and_rejects_when_full() -> None:
    queue, is_inside = AdmissionQueue(3), threading.Semaphore(1)
    release = threading.Event()
    rejected: list[str] = []

    def enter() -> None:
        try:
            with queue.admit(CancelToken()):
                assert is_inside.acquire(blocking=False), "two calls run at once"
                release.wait(5)
                is_inside.release()
        except Busy as error:
            rejected.append(error.code)

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
        thread.join(0.05)
    assert rejected == ["busy"] * 3
    release.set()
    for thread in threads:
        thread.join()


def test_call_waiting_in_the_admission_queue_can_be_cancelled() -> None:
    queue, token = AdmissionQueue(2), CancelToken()
    with queue.admit(CancelToken()):
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Cancelled), queue.admit(token):
            raise AssertionError("the cancelled call must not be admitted")
    # both slots are free again
    with queue.admit(CancelToken()):
        pass


def test_waiting_calls_run_in_the_order_of_their_arrival() -> None:
    queue, order = AdmissionQueue(20), list[int]()

    def enter(number: int) -> None:
        with queue.admit(CancelToken()):
            order.append(number)

    with ThreadPoolExecutor(10) as pool, queue.admit(CancelToken()):
        for number in range(10):
            pool.submit(enter, number)
            while queue.length < number + 2:
                time.sleep(0.001)
        # longer than the interval of deadline checks, which must not change the order
        time.sleep(0.15)
    assert order == list(range(10))


def test_cancelled_calls_give_their_slots_to_others() -> None:
    queue, tokens, done = AdmissionQueue(40, 2), [CancelToken() for _ in range(30)], list[int]()

    def enter(number: int) -> None:
        with suppress(Cancelled), queue.admit(tokens[number]):
            time.sleep(0.001)
            done.append(number)

    with ThreadPoolExecutor(30) as pool:
        futures = [pool.submit(enter, number) for number in range(30)]
        for token in tokens[::3]:
            token.cancel()
        for future in futures:
            future.result(10)
    assert queue.length == 0 and set(range(30)) - set(range(0, 30, 3)) <= set(done)
    with queue.admit(CancelToken()), queue.admit(CancelToken()):
        assert queue.length == 2


def test_calls_with_several_slots_share_them_and_keep_their_order() -> None:
    queue, running, most, order = AdmissionQueue(40, 10), [0], [0], list[int]()
    lock = threading.Lock()

    def enter(slots: int) -> None:
        with queue.admit(CancelToken(), slots):
            with lock:
                running[0] += min(slots, 10)
                most[0] = max(most[0], running[0])
                order.append(slots)
            time.sleep(0.01)
            with lock:
                running[0] -= min(slots, 10)

    # a call that needs more than all slots runs alone; a small one that comes later does not overtake it
    sizes = [4, 4, 25, 1, 9, 2, 7, 3]
    with ThreadPoolExecutor(len(sizes)) as pool, queue.admit(CancelToken(), 10):
        for number, slots in enumerate(sizes):
            pool.submit(enter, slots)
            while queue.length < number + 2:
                time.sleep(0.001)
    assert sorted(order[:2]) == [4, 4] and order[2] == 25 and most[0] <= 10 and running[0] == 0


def test_cancelled_large_call_lets_smaller_ones_pass() -> None:
    queue, large, admitted = AdmissionQueue(5, 10), CancelToken(), threading.Event()

    def enter(token: CancelToken, slots: int) -> None:
        with suppress(Cancelled), queue.admit(token, slots):
            admitted.set()

    with ThreadPoolExecutor(2) as pool, queue.admit(CancelToken(), 5):
        pool.submit(enter, large, 10)
        while queue.length < 2:
            time.sleep(0.001)
        small = pool.submit(enter, CancelToken(), 3)
        assert not admitted.wait(0.1)
        large.cancel()
        small.result(10)
    assert admitted.is_set() and queue.length == 0
