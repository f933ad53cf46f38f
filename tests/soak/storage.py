"""The storage emulator as a process of its own, so that it survives the server and does not slow down the clients.

Prints its address, and ends when its standard input is closed.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.emulators.storage_server import storage_server

BUCKET = "soak"
ROOT = Path(__file__).parents[2]


@contextmanager
def storage_process() -> Iterator[str]:
    """Run the emulator with an empty bucket and yield its address."""
    command = [sys.executable, "-m", "tests.soak.storage"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


def main() -> None:
    """Serve."""
    with storage_server(BUCKET) as server:
        server.records_requests = False
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
