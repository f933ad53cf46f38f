"""Temporary databases: SQLite files, and databases of a MySQL or MariaDB server.

The server is the one at `TEST_MYSQL_URL`, or a local `mariadbd` started once per test process with a data directory of its own.
"""

import atexit
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import create_engine, make_url

from tests.skip_summary import MARIADB_MISSING

DATABASE_KINDS = ("sqlite", "mysql")


@contextmanager
def temporary_database(kind: str, folder: Path) -> Iterator[str]:
    """Create an empty database and yield its URL. Skips the test if there is no server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'lookalike.db'}"
        return
    server = make_url(mysql_server_url())
    name = f"lookalike_test_{uuid.uuid4().hex[:8]}"
    execute(server.render_as_string(False), f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(False)
    finally:
        execute(server.render_as_string(False), f"DROP DATABASE {name}")


def execute(url: str, *statements: str) -> None:
    """Execute SQL statements in one transaction."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def mysql_server_url() -> str:
    """Return the URL of a server, starting one if needed. Skips the test if there is none."""
    url = os.environ.get("TEST_MYSQL_URL") or local_server_url()
    if not url:
        pytest.skip(MARIADB_MISSING)
    return url


@cache
def local_server_url() -> str:
    """Start a MariaDB server and return its URL, or an empty string if it is not installed. Stopped at exit."""
    if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
        return ""
    folder = tempfile.mkdtemp(prefix="lookalike-mariadb-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    options = ["--no-defaults", f"--datadir={folder}/data", f"--user={getpass.getuser()}"]
    install = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    port = _free_port()
    # Faster, and safe for tests only: commits are not synced to disk.
    speed = ["--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--innodb-buffer-pool-size=64M"]
    listen = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
    with Path(folder, "log").open("wb") as log:
        server = subprocess.Popen(["mariadbd", *options, *listen, *speed], stdout=log, stderr=log)
    atexit.register(_stop, server)
    _wait_for(port, server, Path(folder, "log"))
    return f"mysql+pymysql://root@127.0.0.1:{port}/mysql"


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root").close()
        except pymysql.err.OperationalError:
            if server.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"mariadbd did not start within 30 s: {log.read_text()[-2000:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
