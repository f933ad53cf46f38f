"""Deferred writes: batches, order, failures and the end of the process."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest

from lookalike.domain.errors import Unavailable
from lookalike.usecases.deferred_writes import MAX_PENDING, DeferredWrites


class Recorder:
    """Records the batches that it is asked to write. Fails for batches that contain `broken`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()

    def write(self, items: Sequence[str]) -> None:
        if "broken" in items:
            raise Unavailable("The database cannot be reached")
        self.batches.append(list(items))
        self.threads.add(threading.current_thread().name)


def test_items_are_written_together_and_in_order() -> None:
    writes, one, other = DeferredWrites(), Recorder(), Recorder()
    for number in range(5):
        writes.add(one.write, f"one {number}")
        writes.add(other.write, f"other {number}")
    assert not one.batches
    writes.wait()
    assert one.batches == [[f"one {number}" for number in range(5)]] and len(other.batches) == 1
    assert threading.current_thread().name not in one.threads
    writes.add(one.write, "later")
    writes.wait()
    assert one.batches[1:] == [["later"]]


def test_items_are_written_without_waiting_for_them() -> None:
    writes, recorder = DeferredWrites(), Recorder()
    writes.add(recorder.write, "item")
    deadline = time.monotonic() + 10
    while not recorder.batches and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorder.batches == [["item"]]


def test_failed_item_does_not_prevent_the_others(caplog: pytest.LogCaptureFixture) -> None:
    writes, recorder = DeferredWrites(), Recorder()
    with caplog.at_level(logging.WARNING, "lookalike.writes"):
        for item in ("one", "broken", "two"):
            writes.add(recorder.write, item)
        writes.wait()
    assert recorder.batches == [["one"], ["two"]] and len(caplog.records) == 1


def test_many_pending_items_make_add_wait() -> None:
    writes, recorder = DeferredWrites(), Recorder()
    for number in range(MAX_PENDING + 1):
        writes.add(recorder.write, str(number))
    assert sum(map(len, recorder.batches)) == MAX_PENDING + 1


def test_concurrent_callers_lose_no_item() -> None:
    writes, recorder = DeferredWrites(), Recorder()

    def add_some(name: str) -> None:
        for number in range(200):
            writes.add(recorder.write, f"{name} {number}")
            if number % 50 == 0:
                writes.wait()

    threads = [threading.Thread(target=add_some, args=(f"thread {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writes.wait()
    items = [item for batch in recorder.batches for item in batch]
    assert len(items) == len(set(items)) == 800


def test_items_are_written_at_once_if_not_deferred() -> None:
    writes, recorder = DeferredWrites(is_deferred=False), Recorder()
    writes.add(recorder.write, "item")
    assert recorder.batches == [["item"]] and recorder.threads == {threading.current_thread().name}
    writes.add(recorder.write, "broken")


def test_process_that_exits_writes_its_items_first() -> None:
    code = (
        "from lookalike.usecases.deferred_writes import DeferredWrites\n"
        "DeferredWrites().add(lambda items: print(*items, flush=True), 'item')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "item\n"


@pytest.mark.parametrize("is_deferred", [True, False])
def test_unexpected_error_is_logged_and_prevents_no_other_write(
    is_deferred: bool, caplog: pytest.LogCaptureFixture
) -> None:
    writes, recorder = DeferredWrites(is_deferred), Recorder()

    def fail(items: Sequence[str]) -> None:
        raise ZeroDivisionError

    writes.add(fail, "item")
    writes.add(recorder.write, "item")
    writes.wait()
    writes.wait()
    assert recorder.batches == [["item"]]
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def test_item_that_is_added_while_the_process_exits_is_written() -> None:
    code = (
        "import threading, time\n"
        "from lookalike.usecases.deferred_writes import DeferredWrites\n"
        "writes = DeferredWrites()\n"
        "def add_late():\n"
        "    threading.main_thread().join()\n"
        "    time.sleep(0.3)\n"
        "    writes.add(lambda items: print(*items, flush=True), 'late')\n"
        "threading.Thread(target=add_late).start()\n"
        "writes.add(lambda items: print(*items, flush=True), 'early')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (result.stdout, result.stderr) == ("early\nlate\n", "")
