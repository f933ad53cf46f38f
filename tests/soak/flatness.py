"""Checks that memory, threads and file handles of a worker do not grow."""

from collections.abc import Sequence

from tests.soak.check import Check
from tests.soak.sampling import Growth, Sample, measure_growth

LIMITS = {"memory (MB)": 40.0, "threads": 3.0, "file handles": 12.0}
"""Largest growth of the median from the first to the last third of a worker's life after its warm-up.

40 MB between the thirds of a life of five minutes are 20 kB for each of 17 requests a second: less than a photo.
"""
MIN_LIVES = {"memory (MB)": 240.0, "threads": 20.0, "file handles": 20.0}
"""Seconds that a worker must have lived for its growth to be judged.

The heaps of the threads fill with fragments at first: with 32 clients, the memory was 660 MB after 30 s, 730 MB after
60 s, 780 MB after 100 s and the same after 240 s.
"""
MEMORY_LIMIT = 1100.0
"""Most memory in MB that a worker may use at any time. It also finds large leaks in lives too short for `LIMITS`."""


def check_everything(samples: Sequence[Sample]) -> list[Check]:
    """Check the growth of each quantity, and the size of the memory."""
    growths = list(measure_growth(samples))
    judged = {
        quantity: [one for one in growths if one.quantity == quantity and one.life >= min_life]
        for quantity, min_life in MIN_LIVES.items()
    }
    # A short run has no life in which the memory becomes level.
    return [
        *(check_growth(quantity, lives) for quantity, lives in judged.items() if lives or quantity != "memory (MB)"),
        check_memory(samples),
    ]


def check_growth(quantity: str, growths: Sequence[Growth]) -> Check:
    """Check one quantity in all lives that are long enough. There must be one at least."""
    limit = LIMITS[quantity]
    problems = [
        f"worker {one.pid}: {one.first:.0f} to {one.last:.0f} in a life of {one.life:.0f} s"
        for one in growths
        if one.last - one.first > limit
    ]
    if not growths:
        problems.append(f"no worker lived for {MIN_LIVES[quantity]:.0f} s")
    changes = ", ".join(f"{one.first:.0f} to {one.last:.0f} in {one.life:.0f} s" for one in growths)
    return Check.of(f"The {quantity} of a worker stay level", f"{changes}; limit {limit:.0f} more", problems)


def check_memory(samples: Sequence[Sample]) -> Check:
    """Check the largest use of memory."""
    most = max((sample.megabytes for sample in samples), default=0.0)
    problems = [f"{most:.0f} MB"] if most > MEMORY_LIMIT else []
    return Check.of(f"A worker uses at most {MEMORY_LIMIT:.0f} MB", f"at most {most:.0f} MB", problems)
