"""Thread pools for blocking calls, mostly to the object store."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from itertools import islice
from typing import ParamSpec, TypeVar

A = TypeVar("A")
B = TypeVar("B")
P = ParamSpec("P")
MAX_THREADS = 8
"""Threads of the pool, which all requests of a process share."""


def map_concurrently(function: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """Apply a function to all items in parallel. Returns the results in the order of the items.

    Waits for all calls, also if one of them fails, and then raises the first exception. `function` must not call
    `map_concurrently` itself: with all threads waiting for nested calls, the pool would deadlock.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    futures = [_pool().submit(function, item) for item in items]
    wait(futures)
    return [future.result() for future in futures]


def start_call(function: Callable[P, B], *args: P.args, **kwargs: P.kwargs) -> Future[B]:
    """Start a call in the pool, to do something else meanwhile."""
    return _pool().submit(function, *args, **kwargs)


@cache
def _pool() -> ThreadPoolExecutor:
    # Created at the first call and not at import: threads do not survive the fork of the server's workers.
    return ThreadPoolExecutor(MAX_THREADS, "map-concurrently")


def map_unordered(function: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[tuple[A, B]]:
    """Apply a function to the items on several threads. Yields items with results as they complete.

    Takes an item, in the thread of the caller, only when an earlier one is done, so that memory does not grow with the
    number of items. After an exception of `function`, waits for the running calls and raises it.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        running = {pool.submit(function, item): item for item in islice(remaining, threads)}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                item, result = running.pop(future), future.result()
                running |= {pool.submit(function, following): following for following in islice(remaining, 1)}
                yield item, result
