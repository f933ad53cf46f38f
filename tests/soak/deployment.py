"""The server under test with MariaDB and the storage emulator, and the signals that kill it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.bootstrap import Services
from lookalike.settings import Settings
from tests.contracts.databases import temporary_database
from tests.e2e.server import Server
from tests.soak.storage import BUCKET, storage_process

START_TIMEOUT = 60
"""Seconds until a new worker must be ready."""
RESPONSE_TIMEOUT = 120
"""Seconds until a response must arrive. Requests also wait for a thread, and for a new worker."""
SERVER_SETTINGS = {
    # Clients rebuild the index themselves. Twenty changes make an unforced build due.
    "REINDEX_EVERY": "0",
    "REINDEX_AFTER": "20",
    # Shorter than the threads could fill it, so that some requests are rejected.
    "MODELS_QUEUE": "14",
    # Work stops ten seconds earlier, so some requests of 32 clients exceed it.
    "REQUEST_TIMEOUT": "13",
}


@dataclass
class Deployment:
    """A running server, its database and its bucket."""

    server: Server
    services: Services
    """Use cases of this process on the same database and bucket."""
    database_url: str
    admin_headers: dict[str, str] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    """Output of the server's earlier processes."""

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        if self.server.process:
            self.logs.append(self.server.log())
        self.server.start()
        self.admin_headers = self.admin_headers or self.server.admin_headers

    def worker_pid(self) -> int | None:
        """Return the process id of gunicorn's worker; `None` while there is none."""
        process = self.server.process
        if process is None:
            return None
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None

    def kill_worker(self) -> None:
        """Kill the worker, and wait until gunicorn has started another one and it is ready."""
        ready_before, pid = self.server.log().count("Ready: "), self.worker_pid()
        assert pid is not None, "The server has no worker"
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + START_TIMEOUT
        while self.server.log().count("Ready: ") == ready_before:
            assert time.monotonic() < deadline, f"No new worker within {START_TIMEOUT} s: {self.server.log()[-2000:]}"
            time.sleep(0.05)

    def kill_server(self) -> None:
        """Kill all processes of the server, and start it again."""
        self.server.stop(signal.SIGKILL)
        self.start()

    def full_log(self) -> str:
        """Return the output of all processes of the server."""
        return "".join([*self.logs, self.server.log()])


@contextmanager
def running_deployment(folder: Path) -> Iterator[Deployment]:
    """Start a server with an empty database and an empty bucket. Stops everything at the end.

    Skips the test if MariaDB is missing.
    """
    with ExitStack() as stack:
        settings = Settings(
            lookalike_home=folder / "server" / ".lookalike",
            database_url=stack.enter_context(temporary_database("mysql", folder)),
            store_url=f"gs://{BUCKET}",
            storage_emulator_host=stack.enter_context(storage_process()),
        )
        names = ("database_url", "store_url", "storage_emulator_host")
        backends = {name.upper(): getattr(settings, name) for name in names}
        server = Server(folder / "server", {**SERVER_SETTINGS, **backends}, timeout=RESPONSE_TIMEOUT)
        upgrade = server.run("db", "upgrade")
        assert upgrade.returncode == 0, server.log("db")
        deployment = Deployment(server, Services(settings), settings.database_url)
        stack.callback(stop_by_force, server)
        deployment.start()
        yield deployment


def stop_by_force(server: Server) -> None:
    """Kill the server if it runs."""
    if server.process and server.process.poll() is None:
        server.stop(signal.SIGKILL)
