"""Waiting for several slow things at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
MAX_THREADS = 8


def map_concurrently(do: Callable[[A], B], things: Sequence[A]) -> list[B]:
    """`do` of each, in their order, side by side. All have ended when it returns or raises the first error.

    `do` must not call `together` itself: the threads are shared by all.
    """
    if len(things) < 2:
        return [do(thing) for thing in things]
    running = [_pool().submit(do, thing) for thing in things]
    wait(running)
    return [one.result() for one in running]


@cache
def _pool() -> ThreadPoolExecutor:
    """Made when first needed, which is after the host's fork."""
    return ThreadPoolExecutor(MAX_THREADS, "together")
