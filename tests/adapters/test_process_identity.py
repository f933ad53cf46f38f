"""Identities of processes: running ones, ended ones, and those of other machines."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from lookalike.adapters.process_identity import PROC, is_process_gone, process_identity

pytestmark = pytest.mark.skipif(not process_identity(), reason="needs /proc")
SCRIPT = (
    "import threading, time; from lookalike.adapters.process_identity import process_identity;"
    "threading.Thread(target=time.sleep, args=[60], daemon=True).start(); print(process_identity(), flush=True);"
    "time.sleep(60)"
)


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process with two threads, and its identity."""
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_running_processes_are_not_gone(other: tuple[subprocess.Popen[str], str]) -> None:
    assert not is_process_gone(process_identity()) and not is_process_gone(other[1])


def test_killed_process_is_gone_before_its_parent_has_noticed(other: tuple[subprocess.Popen[str], str]) -> None:
    process, identity = other
    os.kill(process.pid, signal.SIGKILL)
    for _ in range(500):
        if is_process_gone(identity):
            break
        time.sleep(0.01)
    assert is_process_gone(identity) and (PROC / str(process.pid)).exists(), "a zombie"
    process.wait()
    assert is_process_gone(identity)


def test_process_with_a_reused_id_is_another_one() -> None:
    boot, namespace, pid, start = process_identity().split()
    assert is_process_gone(f"{boot} {namespace} {pid} {int(start) - 1}")


@pytest.mark.parametrize("identity", ["", "another machine", "boot pid:[1] 1 1", "1 2 3 4 5"])
def test_processes_elsewhere_may_still_run(identity: str) -> None:
    boot, _, pid, start = process_identity().split()
    assert not is_process_gone(identity) and not is_process_gone(f"{boot} pid:[1] {pid} {start}")
