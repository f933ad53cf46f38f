"""How running work learns that it should stop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lookalike.domain.errors import Cancelled, DeadlineExceeded, LookalikeError


class CancelToken:
    """Asked by work whether it may go on. Safe to use from several threads.

    `deadline` is a `time.monotonic()` moment; past it `check` raises `DeadlineExceeded`.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self._lock = threading.Lock()
        self._error: LookalikeError | None = None
        self._stops: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        return self._error is not None or self._is_late()

    def check(self) -> None:
        """Raise `Cancelled` or `DeadlineExceeded` if work must stop."""
        if self._is_late():
            self.expire()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        self._stop(Cancelled("The request was cancelled"))

    def expire(self) -> None:
        self._stop(DeadlineExceeded("The request ran out of time; nothing was stored"))

    @contextmanager
    def on_cancel(self, stop: Callable[[], None]) -> Iterator[None]:
        """While inside, call `stop` (from the cancelling thread) as soon as the token is cancelled."""
        with self._lock:
            self._stops.append(stop)
            stopped = self._error is not None
        if stopped:
            stop()
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _stop(self, error: LookalikeError) -> None:
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            stops = list(self._stops)
        for stop in stops:
            stop()
