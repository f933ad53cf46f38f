"""Things that wait at the same time are worked on together, by one thread for all."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Unavailable

log = logging.getLogger("lookalike.batching")
T = TypeVar("T")
R = TypeVar("R")
Alive = Callable[[], None]
Run = Callable[[list[T], Alive], list[R]]
"""What is done with a batch. It calls the second argument often, which raises where nobody waits any more."""
PATIENCE = 0.05
"""Seconds between two looks of a waiting caller at the clock."""


class Abandoned(Exception):
    """Nobody waits for this batch any more."""


@dataclass(slots=True, eq=False)
class Ticket(Generic[T, R]):
    """One thing of one caller. `left` tells the caller's thread that there is something to see."""

    thing: T
    kind: Hashable
    cancel: CancelToken
    left: threading.Event
    since: float = field(default_factory=time.monotonic)
    result: R | None = None
    error: BaseException | None = None
    done: bool = False

    def end(self, result: R | None, error: BaseException | None = None) -> None:
        self.result, self.error, self.done = result, error, True
        self.left.set()


class Batcher(Generic[T, R]):
    """At most `most` things of one kind go through `run` at once; the first of them waits at most `wait` seconds for others.

    Who is cancelled leaves at once; the batch goes on for the others, and ends early only when all have left. A batch that
    raises `too_much` is halved and tried again, and from then on batches are no larger than that.
    `turn` is held while `run` works: several batchers of one device share it.
    """

    def __init__(
        self, run: Run[T, R], most: int, wait: float, turn: threading.Lock, too_much: type[BaseException] = MemoryError
    ) -> None:
        self._run, self.most, self._wait, self._turn, self._too_much = run, most, wait, turn, too_much
        self._waiting: deque[Ticket[T, R]] = deque()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    def all(self, things: Sequence[T], kind: Hashable, cancel: CancelToken) -> list[R]:
        """What becomes of each, in order. Raises the token's error as soon as it stops, and what `run` raised."""
        cancel.check()
        left = threading.Event()
        tickets: list[Ticket[T, R]] = [Ticket(thing, kind, cancel, left) for thing in things]
        self._queue(tickets)
        with cancel.on_cancel(left.set):
            while not all(ticket.done for ticket in tickets):
                left.wait(PATIENCE)
                left.clear()
                cancel.check()
        for ticket in tickets:
            if ticket.error:
                raise ticket.error
        return [ticket.result for ticket in tickets]  # type: ignore[misc]

    def _queue(self, tickets: list[Ticket[T, R]]) -> None:
        with self._news:
            self._waiting.extend(tickets)
            if self._thread is None:
                # now, not when made: the host forks in between, and threads do not survive that
                self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
                self._thread.start()
            self._news.notify()

    def _work(self) -> None:
        while True:
            batch = self._next()
            with self._turn:
                self._serve([ticket for ticket in batch if not ticket.cancel.is_cancelled])

    def _next(self) -> list[Ticket[T, R]]:
        with self._news:
            while not self._waiting:
                self._news.wait()
            first = self._waiting[0]
            while self._count(first.kind) < self.most and (spare := first.since + self._wait - time.monotonic()) > 0:
                self._news.wait(spare)
            batch = [ticket for ticket in self._waiting if ticket.kind == first.kind][: self.most]
            for ticket in batch:
                self._waiting.remove(ticket)
            return batch

    def _count(self, kind: Hashable) -> int:
        return sum(ticket.kind == kind for ticket in self._waiting)

    def _serve(self, batch: list[Ticket[T, R]]) -> None:
        if not batch:
            return
        try:
            results = self._run([ticket.thing for ticket in batch], lambda: check(batch))
            for ticket, result in zip(batch, results, strict=True):
                ticket.end(result)
        except self._too_much as error:
            self._halve(batch, error)
        except Abandoned:
            # whoever left has an error of its own
            return
        except Exception as error:
            # raised where each of them waits; this thread has to go on for the others
            for ticket in batch:
                ticket.end(None, error)
            if all(ticket.cancel.is_cancelled for ticket in batch):
                log.exception("A batch failed that nobody waits for any more")

    def _halve(self, batch: list[Ticket[T, R]], error: BaseException) -> None:
        if len(batch) == 1:
            batch[0].end(None, Unavailable(f"The models are short of memory: {error}".splitlines()[0]))
            return
        half = self.most = len(batch) // 2
        self._serve(batch[:half])
        self._serve(batch[half:])


def check(batch: Sequence[Ticket[T, R]]) -> None:
    """Raises `Abandoned` if nobody waits for any of the batch."""
    if all(ticket.cancel.is_cancelled for ticket in batch):
        raise Abandoned
