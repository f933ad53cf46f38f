"""The process that serves requests: whether it is cold, and what its time costs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class RequestShare:
    """The part that one request has in the time of its instance."""

    is_cold: bool
    """Whether it is the first request of the instance. Health checks do not count as requests."""
    seconds: float = 0.0
    """Seconds of the instance: those of the request, each divided by the number of requests at that moment."""


class Instance:
    """Counts the requests of this process. Thread-safe. Create it when the process starts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._started, self._start_seconds = clock(), 0.0
        self._is_cold, self._running = True, 0
        self._last_change, self._seconds_of_each = self._started, 0.0

    @property
    def start_seconds(self) -> float:
        """Seconds from the start of the process until it was ready, or 0 before."""
        return self._start_seconds

    def mark_ready(self) -> None:
        """Record that the instance can serve requests. Only the first call has an effect."""
        with self._lock:
            self._start_seconds = self._start_seconds or self._clock() - self._started

    @contextmanager
    def serve(self, is_health_check: bool = False) -> Iterator[RequestShare]:
        """Count a request inside the context. `seconds` of the share is set at the end."""
        if not is_health_check:
            self.mark_ready()
        with self._lock:
            share = RequestShare(self._is_cold)
            self._is_cold = self._is_cold and is_health_check
            before = self._change_running(1)
        try:
            yield share
        finally:
            with self._lock:
                share.seconds = self._change_running(-1) - before

    def _change_running(self, change: int) -> float:
        """Add to the number of running requests, and return the seconds that a request would have had so far."""
        now = self._clock()
        if self._running:
            self._seconds_of_each += (now - self._last_change) / self._running
        self._last_change, self._running = now, self._running + change
        return self._seconds_of_each


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money."""

    amount: float
    currency: str
    """Code by ISO 4217."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Price of an instance."""

    second: float
    """Price of one second of the instance."""
    request: float
    currency: str

    def estimate_cost(self, seconds: float) -> Cost:
        """Return the cost of a request that has this share of the instance's time."""
        return Cost(seconds * self.second + self.request, self.currency)
