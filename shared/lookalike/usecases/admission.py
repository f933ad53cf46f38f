"""Admission queue of limited length, for what requests must share: the models and the memory of photos."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Busy
from lookalike.domain.stage_times import Stage, stage

DEADLINE_CHECK_SECONDS = 0.05
"""Interval at which a waiting call checks its deadline. A cancellation wakes it at once."""


class AdmissionQueue:
    """Admission control: calls share `slots`, wait in the order of their arrival, and are rejected if too many wait.

    `max_waiting` limits the calls that wait or run.
    """

    def __init__(self, max_waiting: int, slots: int = 1) -> None:
        self._max_waiting, self._lock = max_waiting, threading.Lock()
        self._length, self._slots, self._free_slots = 0, slots, slots
        self._waiting: deque[WaitingCall] = deque()

    @property
    def length(self) -> int:
        """Number of calls that wait or run."""
        return self._length

    @contextmanager
    def admit(self, cancel: CancelToken, slots: int = 1) -> Iterator[None]:
        """Wait for free slots and hold them inside the context. A call that needs more than all gets all.

        Raises `Busy` at once if the queue is full, and the token's error if it is cancelled while waiting.
        """
        call = self._enter(min(slots, self._slots))
        try:
            with stage(Stage.QUEUE), cancel.on_cancel(call.turn.set):
                while not call.turn.wait(DEADLINE_CHECK_SECONDS):
                    cancel.check()
                # the token's callback may have set the event, and not a free slot
                cancel.check()
            yield
        finally:
            self._leave(call)

    def _enter(self, slots: int) -> "WaitingCall":
        call = WaitingCall(slots)
        with self._lock:
            if self._length >= self._max_waiting:
                raise Busy("Too many requests are waiting for the models: try again in a few seconds")
            self._length += 1
            self._waiting.append(call)
            self._fill_free_slots()
        return call

    def _leave(self, call: "WaitingCall") -> None:
        with self._lock:
            self._length -= 1
            if call in self._waiting:
                self._waiting.remove(call)
            else:
                self._free_slots += call.slots
            self._fill_free_slots()

    def _fill_free_slots(self) -> None:
        """Give free slots to the calls that wait the longest. Requires the lock."""
        while self._waiting and self._waiting[0].slots <= self._free_slots:
            call = self._waiting.popleft()
            self._free_slots -= call.slots
            call.turn.set()


@dataclass(frozen=True, slots=True, eq=False)
class WaitingCall:
    """A call that waits for slots. `turn` is set once it has them."""

    slots: int
    turn: threading.Event = field(default_factory=threading.Event)
