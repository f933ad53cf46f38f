"""Waiting for several slow things at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
AT_ONCE = 8


def together(do: Callable[[A], B], things: Sequence[A]) -> list[B]:
    """`do` of each, in their order, side by side. All have ended when it returns or raises the first error."""
    if len(things) < 2:
        return [do(thing) for thing in things]
    with ThreadPoolExecutor(min(AT_ONCE, len(things))) as pool:
        return list(pool.map(do, things))
