"""Identify this process, and tell whether another process of this machine has ended.

Works on Linux through `/proc`. Elsewhere `process_identity` is empty and `is_process_gone` is always false.
"""

import os
from pathlib import Path

PROC = Path("/proc")


def process_identity() -> str:
    """Return an id of this process, unique across boots and containers, or "" if it cannot be determined.

    Four fields: boot id, PID namespace, PID, start time.
    """
    try:
        boot_id = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot_id} {_pid_namespace()} {os.getpid()} {_start_time(os.getpid())}"
    except OSError:
        return ""


def is_process_gone(identity: str) -> bool:
    """Return whether that process has certainly ended.

    False if it may run on another machine or in another container, where this process cannot see it.
    """
    own, other = process_identity().split(), identity.split()
    if len(other) != 4 or other[:2] != own[:2]:
        return False
    try:
        pid = int(other[2])
        return _start_time(pid) != other[3] or _is_zombie(pid)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def _pid_namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def _start_time(pid: int) -> str:
    """Return the start time in clock ticks since boot: unlike PIDs, it is not reused."""
    return _status_fields(pid)[22]


def _is_zombie(pid: int) -> bool:
    """Return whether the process has ended, with all its threads, and only its parent has not read the status yet."""
    fields = _status_fields(pid)
    return fields[3] == "Z" and int(fields[20]) <= 1


def _status_fields(pid: int) -> dict[int, str]:
    """Return fields of /proc/PID/stat by their number in man proc_pid_stat, from 3 on."""
    # Field 2, the command name, may contain spaces and parentheses, so counting starts behind the last ")".
    return dict(enumerate((PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split(), 3))
