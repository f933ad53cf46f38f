"""Checks that memory, threads and file handles of a worker do not grow."""

from collections.abc import Sequence

from tests.soak.check import Check
from tests.soak.sampling import MEMORY, QUANTITIES, Growth, Sample, measure_growth

MIN_LIFE = 20.0
"""Seconds that a worker must have lived for its growth to be judged."""
LIMITS = {MEMORY: 40.0, "threads": 3.0, "file handles": 12.0}
"""Largest growth of the median from the first to the last third of a worker's life after its warm-up.

40 MB between the thirds of a life of five minutes are 20 kB for each of 17 requests a second: less than a photo.
"""
WARM_LIFE, WARMING_LIMIT = 60.0, 200.0
"""Seconds from which a life shows whether the memory is level, and the limit of growth in MB in shorter ones.

With 32 clients on two cores, a worker had 270 MB after 6 s, 390 MB after 12 s, 410 MB after 20 s and 424 MB after 60 s
and after 90 s. So lives of half a minute, as in the test of one minute, show only large leaks.
"""
MEMORY_LIMIT = 700.0
"""Most memory in MB that a worker may use at any time."""


def check_everything(samples: Sequence[Sample]) -> list[Check]:
    """Check the growth of each quantity, and the size of the memory."""
    growths = [growth for growth in measure_growth(samples) if growth.life >= MIN_LIFE]
    of_quantity = {quantity: [one for one in growths if one.quantity == quantity] for quantity in QUANTITIES}
    return [*(check_growth(*item) for item in of_quantity.items()), check_memory(samples)]


def check_growth(quantity: str, growths: Sequence[Growth]) -> Check:
    """Check one quantity in all lives that are long enough. There must be one at least."""
    changes = [
        f"{one.first:.0f} to {one.last:.0f} in a life of {one.life:.0f} s, limit {limit(one):.0f} more"
        for one in growths
    ]
    problems = [text for text, one in zip(changes, growths, strict=True) if one.last - one.first > limit(one)]
    if not growths:
        problems.append(f"no worker lived for {MIN_LIFE:.0f} s")
    return Check.of(f"A worker's {quantity} stay level", "; ".join(changes), problems)


def limit(growth: Growth) -> float:
    """Return the largest growth that passes."""
    is_warming = growth.quantity == MEMORY and growth.life < WARM_LIFE
    return WARMING_LIMIT if is_warming else LIMITS[growth.quantity]


def check_memory(samples: Sequence[Sample]) -> Check:
    """Check the largest use of memory."""
    most = max((sample.megabytes for sample in samples), default=0.0)
    problems = [f"{most:.0f} MB"] if most > MEMORY_LIMIT else []
    return Check.of(f"A worker uses at most {MEMORY_LIMIT:.0f} MB", f"at most {most:.0f} MB", problems)
