"""The allocator's settings: memory of freed arrays goes back to the system."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from lookalike.bootstrap.memory import limit_heap

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def work(seed):
    # arrays of many sizes, and a small object after each, as in the processing of photos
    small = []
    for size in np.random.default_rng(seed).integers(10_000, 3_000_000, 200):
        array = np.ones(size, np.uint8)
        small.append(bytes(2000))
        del array
    return small

if sys.argv[1] == "limited":
    assert limit_heap()
start = resident()
with ThreadPoolExecutor(16) as pool:
    kept = [small[:: 10] for small in pool.map(work, range(64))]
print(resident() - start)
"""


def growth(mode: str) -> float:
    """Return the megabytes that a process grows by while its threads allocate and free arrays."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True, timeout=120
    )
    return float(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets the allocator of glibc")
def test_memory_of_freed_arrays_is_returned() -> None:
    limited, default = growth("limited"), growth("default")
    assert limited < 50
    assert limited < 0.7 * default
