"""Leases: one process at a time, also after crashes, suspensions and lost responses."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Conflict, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.usecases.claims import Claims
from lookalike.usecases.leases import Leases
from tests.fakes.store import FakeStore

SHORT = timedelta(seconds=0.2)


def make_leases(store: FakeStore, timeout: timedelta = timedelta(minutes=1), holder: str = "me") -> Leases:
    return Leases(Claims(store, timeout, holder, lambda other: other == "gone"))


def hold(leases: Leases, work: str = "work") -> None:
    with leases.hold(work, "busy", CancelToken()):
        pass


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_second_holder_is_refused_until_the_first_has_finished() -> None:
    store = FakeStore()
    with make_leases(store).hold("work", "busy", CancelToken()):
        with pytest.raises(Conflict, match=r"^busy$"):
            hold(make_leases(store, holder="another"))
        hold(make_leases(store), "other work")
    hold(make_leases(store, holder="another"))
    assert not store.objects and "lease" not in {thread.name for thread in threading.enumerate()}


def test_lease_of_a_process_that_is_gone_is_taken_over_at_once() -> None:
    store = FakeStore()
    with make_leases(store, holder="gone").hold("work", "busy", CancelToken()):
        hold(make_leases(store))


def test_lease_is_renewed_while_the_work_takes_longer() -> None:
    store = FakeStore()
    with make_leases(store, SHORT).hold("work", "busy", CancelToken()):
        for _ in range(4):
            time.sleep(SHORT.total_seconds() / 2)
            with pytest.raises(Conflict):
                hold(make_leases(store, SHORT))


def test_lease_of_a_suspended_process_is_taken_over_and_its_work_stops() -> None:
    store, cancel = FakeStore(), CancelToken()
    with pytest.raises(Conflict, match=r"Another process has taken over.*busy"):
        with make_leases(store, SHORT).hold("work", "busy", cancel):
            (path,) = store.objects
            taken = Claims(store, timedelta(0)).take(path)
            wait_for(lambda: cancel.is_cancelled)
            cancel.check()
    assert taken and store.stat(path) == taken


class FlakyStore(FakeStore):
    """Loses the responses of renewals while `is_flaky`."""

    is_flaky = False

    def put_temporary(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        stored = super().put_temporary(path, data, content_type, if_generation)
        if self.is_flaky:
            raise Unavailable("The response was lost")
        return stored


def test_lost_responses_do_not_lose_the_lease() -> None:
    store, cancel = FlakyStore(), CancelToken()
    with make_leases(store, SHORT).hold("work", "busy", cancel):
        store.is_flaky = True
        time.sleep(SHORT.total_seconds() / 2)
        store.is_flaky = False
        time.sleep(SHORT.total_seconds())
        assert not cancel.is_cancelled
    assert not store.objects


def test_work_stops_when_the_lease_cannot_be_renewed_for_its_whole_time() -> None:
    store, cancel = FakeStore(), CancelToken()
    with pytest.raises(Conflict), make_leases(store, SHORT).hold("work", "busy", cancel):
        store.is_unavailable = True
        wait_for(lambda: cancel.is_cancelled)
        cancel.check()


def test_cancellation_by_others_passes_through() -> None:
    store, cancel = FakeStore(), CancelToken()
    with pytest.raises(Cancelled), make_leases(store).hold("work", "busy", cancel):
        cancel.cancel()
        cancel.check()
    assert not store.objects
