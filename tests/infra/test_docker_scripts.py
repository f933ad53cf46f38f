"""Tests of the images' scripts, which are run without Docker: install, start, stop, bake and migrate."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

import lookalike
from infra.docker.grant import ROLE
from tests.contracts.databases import execute, temporary_database
from tests.e2e.server import free_port
from tests.emulators.file_server import CHECKSUMS, WEIGHTS, file_server

ROOT = Path(lookalike.__file__).parents[2]
DOCKER = ROOT / "infra" / "docker"
PROGRAMS = Path(sys.executable).parent
KILL_DELAY = 10
"""Seconds from SIGTERM to SIGKILL on Cloud Run."""


@dataclass
class Container:
    """A running start.sh."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get_status(self, path: str) -> int:
        """Send a GET request, as soon as the server listens, and return the status."""
        for _ in range(300):
            try:
                with urlopen(self.url + path, timeout=60) as response:
                    return int(response.status)
            except HTTPError as error:
                with error:
                    return error.code
            except URLError:
                assert self.process.poll() is None, "start.sh has exited"
                time.sleep(0.1)
        raise AssertionError("the server does not listen")


Start = Callable[..., Container]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts start.sh with a minimal environment. Kills all processes in the end."""
    started: list[Container] = []

    def run(function: str, programs: Path = PROGRAMS, tree: Path = ROOT) -> Container:
        port = free_port()
        environment = minimal_environment(programs, tmp_path) | {"FUNCTION_TARGET": function, "PORT": str(port)}
        process = subprocess.Popen([tree / "infra/docker/start.sh"], env=environment, start_new_session=True)
        started.append(Container(port, process))
        return started[-1]

    yield run
    for container in started:
        if container.process.poll() is None:
            os.killpg(container.process.pid, signal.SIGKILL)
        container.process.wait(KILL_DELAY)


def minimal_environment(programs: Path, home: Path) -> dict[str, str]:
    settings = {"LOOKALIKE_HOME": str(home / "home"), "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), **settings}


@pytest.mark.parametrize("target", ["", "nothing", "../relay", "relay/../relay", "Relay"])
def test_start_rejects_an_unknown_function(target: str, tmp_path: Path) -> None:
    environment = minimal_environment(PROGRAMS, tmp_path) | {"FUNCTION_TARGET": target}
    result = subprocess.run([DOCKER / "start.sh"], env=environment, capture_output=True, text=True)
    assert result.returncode == 64
    assert f"'{target}'" in result.stderr and "functions/relay/" in result.stderr


@pytest.mark.parametrize("concurrency", [None, "3"])
def test_start_sets_threads_to_the_concurrency(concurrency: str | None, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$THREADS $WORKERS $PORT $FUNCTION_SOURCE $*"\n')
    python.chmod(0o755)
    environment = minimal_environment(tmp_path, tmp_path) | {"FUNCTION_TARGET": "relay"}
    environment |= {"CONCURRENCY": concurrency} if concurrency else {}
    result = subprocess.run([DOCKER / "start.sh"], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == f"{concurrency or 16} 1 8080 functions/relay/main.py infra/docker/launch.py\n"


def bake(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "bin").mkdir(exist_ok=True)
    link = tmp_path / "bin" / "lookalike"
    link.unlink(missing_ok=True)
    link.symlink_to(PROGRAMS / "lookalike")
    command = [DOCKER / "bake.sh", tmp_path, tmp_path / "models"]
    return subprocess.run(
        command, env=minimal_environment(PROGRAMS, tmp_path) | settings, cwd=tmp_path, capture_output=True, text=True
    )


def test_bake_downloads_weights_only_if_baked(tmp_path: Path) -> None:
    for settings in ({}, {"WEIGHTS": "pulled"}):
        assert bake(tmp_path, **settings).returncode == 0 and not [*(tmp_path / "models").iterdir()]
    with file_server(WEIGHTS) as server:
        result = bake(tmp_path, WEIGHTS="baked", MIRROR=server.url, MODELS_SHA256=CHECKSUMS)
        assert result.returncode == 0, result.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()} == WEIGHTS
    invalid = bake(tmp_path, WEIGHTS="unknown")
    assert invalid.returncode == 64 and "WEIGHTS is 'unknown'" in invalid.stderr


@pytest.mark.slow
def test_functions_start_and_the_smoke_test_checks_them(start: Start) -> None:
    relay, detail = start("relay"), start("detail")
    for container in (relay, detail):
        assert (container.get_status("/healthz"), container.get_status("/readyz")) == (200, 200)
    assert detail.get_status("/relay_image") == 404
    lines = f"relay {relay.url} public\ndetail {detail.url}"
    assert smoke(f"{lines} public") == (0, ["ok relay", "ok detail"])
    assert smoke(f"{lines} private") == (1, ["ok relay", "BAD detail"])
    assert smoke(f"relay http://127.0.0.1:{free_port()} public") == (1, ["BAD relay"])
    assert smoke("") == (1, [])


def smoke(lines: str) -> tuple[int, list[str]]:
    """Run the smoke test. Returns its exit status, and the result and name of each service."""
    script = ROOT / "infra" / "terraform" / "smoke.sh"
    result = subprocess.run([script], input=lines, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, [" ".join(line.split()[:2]) for line in result.stdout.splitlines()]


@pytest.mark.slow
def test_server_exits_before_cloud_run_kills_it_despite_an_unfinished_request(start: Start) -> None:
    """With gunicorn's default graceful timeout of 30 s, it would not."""
    detail = start("detail")
    assert detail.get_status("/healthz") == 200
    with socket.create_connection(("127.0.0.1", detail.port)) as slow:
        slow.sendall(b"POST /image_detail HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(0.5)
        detail.process.send_signal(signal.SIGTERM)
        signaled = time.monotonic()
        detail.process.wait(KILL_DELAY)
    assert time.monotonic() - signaled < KILL_DELAY - 0.5


@pytest.mark.slow
def test_install_creates_a_complete_environment(start: Start, tmp_path: Path) -> None:
    tree, prefix = copy_build_context(tmp_path / "tree"), tmp_path / "prefix"
    interpreter = Path(sys.base_prefix) / "bin" / "python3"
    # the machine's settings of pip's index and proxies apply
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    environment = minimal_environment(Path("/usr/bin"), tmp_path) | {"PYTHON": str(interpreter), **pip}
    result = subprocess.run(
        [tree / "infra/docker/install.sh", prefix, "gcp,otel,scale"], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "detector.onnx" in result.stdout and "embedder.onnx" in result.stdout
    assert not list(tmp_path.glob("home/**/pip")) and not (prefix / "bin" / "pip").exists()
    relay = start("relay", prefix / "bin", tree)
    assert relay.get_status("/readyz") == 200


def copy_build_context(tree: Path) -> Path:
    """Copy the files that Docker gets as build context."""
    for name in (".dockerignore", "pyproject.toml", "README.md", "LICENSE"):
        tree.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for name in ("shared", "functions", "infra/docker"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return tree


@pytest.mark.slow
def test_migrated_role_may_write_rows_but_not_change_tables(tmp_path: Path) -> None:
    with temporary_database("mysql", tmp_path) as url:
        job = {"DATABASE_URL": url, "CLOUD_RUN_JOB": "lookalike-migrate"}
        environment = minimal_environment(PROGRAMS, tmp_path) | job
        for _ in range(2):
            subprocess.run([DOCKER / "migrate.sh"], env=environment, check=True)
        execute(url, "CREATE USER lookalike_relay", f"GRANT {ROLE} TO lookalike_relay")
        try:
            # Cloud SQL activates roles at sign-in. Here it is done by hand, and only then a database can be selected.
            database_url = make_url(url)
            engine = create_engine(database_url.set(username="lookalike_relay", password=None, database=""))
            with engine.connect() as connection:
                connection.execute(text(f"SET ROLE {ROLE}"))
                connection.execute(text(f"USE {database_url.database}"))
                connection.execute(text("UPDATE commits SET number = number + 1"))
                with pytest.raises(DBAPIError, match="denied"):
                    connection.execute(text("DROP TABLE commits"))
                with pytest.raises(DBAPIError, match="denied"):
                    connection.execute(text("SELECT * FROM mysql.user"))
            engine.dispose()
        finally:
            execute(url, "DROP USER lookalike_relay", f"DROP ROLE {ROLE}")
