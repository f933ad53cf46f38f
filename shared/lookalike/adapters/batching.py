"""Dynamic batching: one thread runs concurrent callers' items through a model in batches."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Unavailable
from lookalike.domain.stage_times import Stage, stage

log = logging.getLogger("lookalike.batching")
T = TypeVar("T")
R = TypeVar("R")
CancelCheck = Callable[[], None]
"""Raises if the result is no longer needed. Long computations call it often, for example between layers."""
BatchFunction = Callable[[list[T], CancelCheck], list[R]]
"""Computes one result for each item of a batch, in the same order."""
POLL_INTERVAL = 0.05
"""Seconds between two deadline checks of a waiting caller. Cancellation wakes it at once; a deadline does not."""


class BatchAbandoned(Exception):
    """Every caller of the running batch was cancelled."""


@dataclass(slots=True, eq=False)
class PendingItem(Generic[T, R]):
    """One item of one caller, with its result or error. `wakeup` is shared by all items of the caller."""

    value: T
    key: Hashable
    cancel: CancelToken
    wakeup: threading.Event
    queued_at: float = field(default_factory=time.monotonic)
    result: R | None = None
    error: BaseException | None = None
    is_started: bool = False
    is_done: bool = False

    def start(self) -> None:
        """Record that a batch with this item runs now, and wake the caller."""
        self.is_started = True
        self.wakeup.set()

    def finish(self, result: R | None, error: BaseException | None = None) -> None:
        """Store the outcome and wake the caller."""
        self.result, self.error, self.is_done = result, error, True
        self.wakeup.set()


class Batcher(Generic[T, R]):
    """Collects items with equal keys into batches and runs them on one thread.

    A batch has at most `max_batch` items. Its first item waits at most `max_delay` seconds for others.
    A cancelled caller returns at once; its batch continues for the other callers and stops only when all are cancelled.
    A batch that raises `out_of_memory` is split in half and retried, and `max_batch` stays at the smaller size.
    Batchers that share a device share `device_lock`, which is held while `run` computes.
    """

    def __init__(
        self,
        run: BatchFunction[T, R],
        max_batch: int,
        max_delay: float,
        device_lock: threading.Lock,
        out_of_memory: type[BaseException] = MemoryError,
    ) -> None:
        self._run, self.max_batch, self._max_delay = run, max_batch, max_delay
        self._device_lock, self._out_of_memory = device_lock, out_of_memory
        self._queue: deque[PendingItem[T, R]] = deque()
        self._queue_changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def run_all(self, values: Sequence[T], key: Hashable, cancel: CancelToken) -> list[R]:
        """Return the result of each value, in order. Blocks until all are computed.

        Only values with equal keys share a batch. Raises the token's error as soon as it is cancelled or its deadline
        passes, and any error that `run` raised.
        """
        cancel.check()
        wakeup = threading.Event()
        items: list[PendingItem[T, R]] = [PendingItem(value, key, cancel, wakeup) for value in values]
        self._enqueue(items)
        with cancel.on_cancel(wakeup.set):
            with stage(Stage.QUEUE):
                self._wait(wakeup, cancel, lambda: not items or any(item.is_started for item in items))
            self._wait(wakeup, cancel, lambda: all(item.is_done for item in items))
        for item in items:
            if item.error:
                raise item.error
        return [item.result for item in items]  # type: ignore[misc]

    def _wait(self, wakeup: threading.Event, cancel: CancelToken, is_over: Callable[[], bool]) -> None:
        while not is_over():
            wakeup.wait(POLL_INTERVAL)
            # cleared before the items are looked at again, so that no wake-up between the two is lost
            wakeup.clear()
            cancel.check()

    def _enqueue(self, items: list[PendingItem[T, R]]) -> None:
        with self._queue_changed:
            self._queue.extend(items)
            if self._thread is None:
                # Not started in __init__: gunicorn forks in between, and threads do not survive a fork.
                self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
                self._thread.start()
            self._queue_changed.notify()

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            with self._device_lock:
                for item in batch:
                    item.start()
                self._run_batch([item for item in batch if not item.cancel.is_cancelled])

    def _next_batch(self) -> list[PendingItem[T, R]]:
        with self._queue_changed:
            while not self._queue:
                self._queue_changed.wait()
            first = self._queue[0]
            latest_start = first.queued_at + self._max_delay
            while self._count(first.key) < self.max_batch and (delay := latest_start - time.monotonic()) > 0:
                self._queue_changed.wait(delay)
            batch = [item for item in self._queue if item.key == first.key][: self.max_batch]
            for item in batch:
                self._queue.remove(item)
            return batch

    def _count(self, key: Hashable) -> int:
        return sum(item.key == key for item in self._queue)

    def _run_batch(self, batch: list[PendingItem[T, R]]) -> None:
        if not batch:
            return
        try:
            results = self._run([item.value for item in batch], lambda: raise_if_abandoned(batch))
            for item, result in zip(batch, results, strict=True):
                item.finish(result)
        except self._out_of_memory as error:
            self._split_batch(batch, error)
        except BatchAbandoned:
            # each caller has already raised its own cancellation error
            return
        except Exception as error:
            # Passed to the callers, which raise it. It must not end this thread, which serves all later batches.
            for item in batch:
                item.finish(None, error)
            if all(item.cancel.is_cancelled for item in batch):
                log.exception("Batch failed after all of its callers were cancelled")

    def _split_batch(self, batch: list[PendingItem[T, R]], error: BaseException) -> None:
        if len(batch) == 1:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            batch[0].finish(None, Unavailable(f"The models ran out of memory on a single image: {reason}"))
            return
        half = self.max_batch = len(batch) // 2
        self._run_batch(batch[:half])
        self._run_batch(batch[half:])


def raise_if_abandoned(batch: Sequence[PendingItem[T, R]]) -> None:
    """Raise `BatchAbandoned` if every caller of the batch was cancelled."""
    if all(item.cancel.is_cancelled for item in batch):
        raise BatchAbandoned
