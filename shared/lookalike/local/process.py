"""Which process this is, and whether another one of this machine is gone. Linux only; elsewhere nobody can tell."""

import os
from pathlib import Path

PROC = Path("/proc")


def identity() -> str:
    """Names this process among all of this boot and its containers; empty where that cannot be told."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {_space()} {os.getpid()} {_started(os.getpid())}"
    except OSError:
        return ""


def is_gone(other: str) -> bool:
    """Whether that process surely runs no more: false wherever it might be on another machine or in another container."""
    ours, parts = identity().split(), other.split()
    if len(parts) != 4 or parts[:2] != ours[:2]:
        return False
    try:
        return _started(int(parts[2])) != parts[3]
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def _space() -> str:
    return str((PROC / "self/ns/pid").readlink())


def _started(pid: int) -> str:
    """The moment it started, in ticks since boot: numbers are used again, moments are not."""
    return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[19]
