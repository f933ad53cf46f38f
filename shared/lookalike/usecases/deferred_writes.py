"""Writes that a response need not wait for: records of finished searches."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, TypeVar

from lookalike.domain.errors import LookalikeError

log = logging.getLogger("lookalike.writes")
T = TypeVar("T")
Write = Callable[[Sequence[T]], object]
"""Writes some items in one transaction."""
DELAY_SECONDS = 0.1
"""How long an item waits for others, to share their transaction."""
MAX_PENDING = 500
"""Items that may wait. Above, `add` waits until they are written."""


class DeferredWrites:
    """Collects items for `DELAY_SECONDS` and writes them together, on a thread of its own. Failures are logged.

    A process that exits normally writes all items first; a killed one loses them. With `is_deferred` false, each item
    is written at once in the calling thread.
    """

    def __init__(self, is_deferred: bool = True) -> None:
        self._is_deferred, self._lock = is_deferred, Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._batches: list[PendingBatch] = []

    def add(self, write: Write[T], item: T) -> None:
        """Write the item later, together with others of the same `write`. Raises nothing."""
        if not self._is_deferred:
            write_items(write, [item])
            return
        with self._lock:
            if batch := self._open_batch():
                batch.items.setdefault(write, []).append(item)
                batch.count += 1
        if batch is None:
            write_items(write, [item])
        elif batch.count > MAX_PENDING:
            batch.write_now()

    def wait(self) -> None:
        """Return when all items added so far are written."""
        with self._lock:
            batches = list(self._batches)
        for batch in batches:
            batch.write_now()

    def _open_batch(self) -> "PendingBatch | None":
        """Return the batch that still accepts items, or `None` while the process exits. Requires the lock."""
        if not self._batches or self._batches[-1].is_closed:
            # created here, after the server has forked
            self._pool = self._pool or ThreadPoolExecutor(1, "deferred-writes")
            batch = PendingBatch()
            try:
                batch.result = self._pool.submit(self._write, batch)
            except RuntimeError:
                # the interpreter has waited for its pools and starts no further work on them
                return None
            self._batches.append(batch)
        return self._batches[-1]

    def _write(self, batch: "PendingBatch") -> None:
        batch.is_due.wait(DELAY_SECONDS)
        with self._lock:
            batch.is_closed = True
        for write, items in batch.items.items():
            write_items(write, items)
        with self._lock:
            self._batches.remove(batch)


class PendingBatch:
    """Items that are written together, by the function that writes them."""

    def __init__(self) -> None:
        self.items: dict[Write[Any], list[Any]] = {}
        self.count, self.is_closed, self.is_due = 0, False, Event()
        self.result: Future[None]

    def write_now(self) -> None:
        """Return when the items are written, without waiting for others."""
        self.is_due.set()
        self.result.result()


def write_items(write: Write[T], items: Sequence[T]) -> None:
    """Write the items together. If that fails, write them one by one, so that one of them cannot prevent the others.

    Logs failures and raises nothing: a search does not fail because its record cannot be written.
    """
    try:
        write(items)
    except Exception as error:
        if len(items) > 1:
            for item in items:
                write_items(write, [item])
        else:
            level = logging.WARNING if isinstance(error, LookalikeError) else logging.ERROR
            log.log(level, "A record of a finished search could not be written", exc_info=error)
