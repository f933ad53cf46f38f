"""Memory, threads and open files of the server's worker over time, and whether they grow."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

INTERVAL = 1.0
"""Seconds between two samples."""
MAX_WARM_UP, WARM_UP_SHARE = 120.0, 0.4
"""Seconds, and part of a life, in which a new worker starts its threads, opens its connections and fills its heaps."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one worker used at a moment."""

    time: float
    """Seconds since the start of the load."""
    pid: int
    megabytes: float
    """Resident memory."""
    threads: int
    files: int
    """Open file handles, sockets included."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Median use in the first and in the last third of a worker's life, after its warm-up."""

    pid: int
    life: float
    """Seconds that the worker lived, its warm-up included."""
    quantity: str
    first: float
    last: float


class Sampler(threading.Thread):
    """Takes a sample each second until it is stopped."""

    def __init__(self, worker_pid: Callable[[], int | None], now: Callable[[], float]) -> None:
        super().__init__(name="sampler", daemon=True)
        self.samples: list[Sample] = []
        self._worker_pid, self._now, self._stopping = worker_pid, now, threading.Event()

    def run(self) -> None:
        """Take samples."""
        while not self._stopping.wait(INTERVAL):
            pid = self._worker_pid()
            if pid is not None and (sample := read_sample(pid, self._now())):
                self.samples.append(sample)

    def stop(self) -> None:
        """Take no more samples."""
        self._stopping.set()
        self.join()


def read_sample(pid: int, moment: float) -> Sample | None:
    """Read what a process uses from `/proc`. Returns `None` if it ends meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        kilobytes, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
    except (OSError, KeyError):
        # a process that has ended and was not waited for has no memory
        return None
    return Sample(moment, pid, kilobytes / 1024, threads, files)


MEMORY = "memory (MB)"
QUANTITIES: dict[str, Callable[[Sample], float]] = {
    MEMORY: lambda sample: sample.megabytes,
    "threads": lambda sample: sample.threads,
    "file handles": lambda sample: sample.files,
}


def measure_growth(samples: Sequence[Sample]) -> Iterator[Growth]:
    """Yield the growth of each quantity in each worker's life that has enough samples."""
    for pid, group in groupby(samples, key=lambda sample: sample.pid):
        lived = list(group)
        start, life = lived[0].time, lived[-1].time - lived[0].time
        warm = [sample for sample in lived if sample.time >= start + min(MAX_WARM_UP, WARM_UP_SHARE * life)]
        third = len(warm) // 3
        if not third:
            continue
        for quantity, read in QUANTITIES.items():
            first, last = (median(map(read, part)) for part in (warm[:third], warm[-third:]))
            yield Growth(pid, life, quantity, first, last)
