"""Cancellation tokens, which stop running work on request or at a deadline."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lookalike.domain.errors import Cancelled, DeadlineExceeded, LookalikeError


class CancelToken:
    """Signal to running work that it must stop. Safe to use from several threads.

    `deadline` is a value of `time.monotonic()`. After it, `check` raises `DeadlineExceeded`.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self._lock = threading.Lock()
        self._error: LookalikeError | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether the work must stop, because of a cancellation or the deadline."""
        return self._error is not None or self._is_past_deadline()

    def check(self) -> None:
        """Raise `Cancelled` or `DeadlineExceeded` if the work must stop. Call it between steps of the work."""
        if self._is_past_deadline():
            self.expire()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Request cancellation. Does nothing if the work was already stopped."""
        self._stop(Cancelled("The request was cancelled"))

    def expire(self) -> None:
        """Stop the work because its time is over, without waiting for the next `check`."""
        self._stop(DeadlineExceeded("The request exceeded its time limit and nothing was stored: try again later"))

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` when the token is cancelled inside the context, or at once if it is cancelled already.

        The callback runs in the thread that cancels.
        """
        with self._lock:
            self._callbacks.append(callback)
            is_stopped = self._error is not None
        if is_stopped:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def _is_past_deadline(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _stop(self, error: LookalikeError) -> None:
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            callbacks = list(self._callbacks)
        # called without the lock: a callback may use the token itself
        for callback in callbacks:
            callback()
