"""Limits on the requests to one host: how many at a time, and how soon one after another if the host asks for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lookalike.adapters.checked_http.client import POLL_SECONDS
from lookalike.domain.cancel import CancelToken

TOO_MANY_REQUESTS = 429
RECOVERY = 0.9
"""Factor of the delay between requests after each response that is not 429."""
LEAST_DELAY = 0.05
"""Seconds below which a delay is dropped."""


@dataclass
class _Host:
    slots: threading.Semaphore
    next_start: float = 0.0
    delay: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def seconds_to_wait(self) -> float:
        """Return 0 if a request may start now, and count it; otherwise the seconds to wait before asking again."""
        with self.lock:
            now = time.monotonic()
            if now < self.next_start:
                return self.next_start - now
            self.next_start = now + self.delay
            return 0.0


class HostLimits:
    """Limits requests per host. Safe to use from several threads. Keeps a small entry for each host.

    There is no delay between requests until a host responds with 429. Each 429 doubles the delay, from `first_delay`
    up to `max_delay` seconds; other responses reduce it again.
    """

    def __init__(self, concurrency: int = 4, first_delay: float = 0.5, max_delay: float = 10.0) -> None:
        self._concurrency, self._first_delay, self._max_delay = concurrency, first_delay, max_delay
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, host: str, cancel: CancelToken) -> Iterator[None]:
        """Wait until a request to the host may start, and count it as running inside of the context.

        Raises `Cancelled` or `DeadlineExceeded` while waiting.
        """
        entry = self._entry(host)
        while not entry.slots.acquire(timeout=POLL_SECONDS):
            cancel.check()
        try:
            # another thread's 429 may move the start further, so the time is asked for again
            while seconds := entry.seconds_to_wait():
                sleep(min(seconds, POLL_SECONDS), cancel)
            yield
        finally:
            entry.slots.release()

    def record(self, host: str, status: int, retry_after: float) -> None:
        """Note a response. `retry_after`: seconds in which the host wants no requests, 0 if it does not tell."""
        entry = self._entry(host)
        with entry.lock:
            if status == TOO_MANY_REQUESTS:
                entry.delay = min(max(2 * entry.delay, self._first_delay), self._max_delay)
            elif entry.delay:
                entry.delay = entry.delay * RECOVERY if entry.delay > LEAST_DELAY else 0.0
            pause = max(retry_after, entry.delay if status == TOO_MANY_REQUESTS else 0.0)
            entry.next_start = max(entry.next_start, time.monotonic() + pause)

    def _entry(self, host: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(host, _Host(threading.Semaphore(self._concurrency)))


def sleep(seconds: float, cancel: CancelToken) -> None:
    """Sleep, and raise `Cancelled` or `DeadlineExceeded` soon after a cancellation."""
    end = time.monotonic() + seconds
    cancel.check()
    while (remaining := end - time.monotonic()) > 0:
        time.sleep(min(remaining, POLL_SECONDS))
        cancel.check()
