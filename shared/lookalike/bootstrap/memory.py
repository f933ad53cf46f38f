"""Settings of the C library's memory allocator."""

import ctypes

# Parameters of `mallopt`, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MAX_ARENAS = 2
MMAP_THRESHOLD, TRIM_THRESHOLD = 1 << 20, 8 << 20
"""Bytes from which an allocation is mapped by itself, and free bytes at the end of the heap that are given back."""


def limit_heap() -> bool:
    """Make glibc return the memory of images and arrays to the system when they are freed. Returns whether it did.

    By default each thread has a heap of its own, and glibc keeps freed blocks of up to 32 MB in it, between which small
    objects stay. A server with 16 clients then grows by a megabyte in each second. Other C libraries are not changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    parameters = ((M_ARENA_MAX, MAX_ARENAS), (M_MMAP_THRESHOLD, MMAP_THRESHOLD), (M_TRIM_THRESHOLD, TRIM_THRESHOLD))
    results = [mallopt(name, value) for name, value in parameters]
    return all(result == 1 for result in results)
