"""What the image does, done without Docker: its scripts installed, started, stopped and migrated for real."""

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
from tests.contracts.databases import execute, fresh_database
from tests.e2e.serving import free_port
from tests.emulators.file_server import SUMS, WEIGHTS, file_server

ROOT = Path(lookalike.__file__).parents[2]
DOCKER = ROOT / "infra" / "docker"
HERE = Path(sys.executable).parent
GRACE = 10
"""Seconds from SIGTERM to SIGKILL on Cloud Run."""


@dataclass
class Container:
    """A started start.sh."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> int:
        """The status, as soon as somebody listens."""
        for _ in range(300):
            try:
                with urlopen(self.address + path, timeout=60) as said:
                    return int(said.status)
            except HTTPError as error:
                with error:
                    return error.code
            except URLError:
                assert self.process.poll() is None, "start.sh has ended"
                time.sleep(0.1)
        raise AssertionError("nobody listens")


Start = Callable[..., Container]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the function, with nothing in the environment but what is said here."""
    started: list[Container] = []

    def run(function: str, programs: Path = HERE, tree: Path = ROOT) -> Container:
        port = free_port()
        environment = bare(programs, tmp_path) | {"FUNCTION_TARGET": function, "PORT": str(port)}
        process = subprocess.Popen([tree / "infra/docker/start.sh"], env=environment, start_new_session=True)
        started.append(Container(port, process))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait(GRACE)


def bare(programs: Path, home: Path) -> dict[str, str]:
    settings = {"LOOKALIKE_HOME": str(home / "home"), "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), **settings}


@pytest.mark.parametrize("target", ["", "nothing", "../relay", "relay/../relay", "Relay"])
def test_a_function_that_is_not_there_is_refused(target: str, tmp_path: Path) -> None:
    environment = bare(HERE, tmp_path) | {"FUNCTION_TARGET": target}
    said = subprocess.run([DOCKER / "start.sh"], env=environment, capture_output=True, text=True)
    assert said.returncode == 64
    assert f"'{target}'" in said.stderr and "functions/relay/" in said.stderr


@pytest.mark.parametrize("concurrency", [None, "3"])
def test_threads_are_what_concurrency_says(concurrency: str | None, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$THREADS $WORKERS $PORT $FUNCTION_SOURCE $*"\n')
    python.chmod(0o755)
    environment = bare(tmp_path, tmp_path) | {"FUNCTION_TARGET": "relay"}
    environment |= {"CONCURRENCY": concurrency} if concurrency else {}
    said = subprocess.run([DOCKER / "start.sh"], env=environment, capture_output=True, text=True, check=True).stdout
    assert said == f"{concurrency or 16} 1 8080 functions/relay/main.py infra/docker/launch.py\n"


def bake(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "bin").mkdir(exist_ok=True)
    link = tmp_path / "bin" / "lookalike"
    link.unlink(missing_ok=True)
    link.symlink_to(HERE / "lookalike")
    command = [DOCKER / "bake.sh", tmp_path, tmp_path / "models"]
    return subprocess.run(command, env=bare(HERE, tmp_path) | settings, cwd=tmp_path, capture_output=True, text=True)


def test_weights_are_baked_into_the_image_or_left_out(tmp_path: Path) -> None:
    for told in ({}, {"WEIGHTS": "pulled"}):
        assert bake(tmp_path, **told).returncode == 0 and not [*(tmp_path / "models").iterdir()]
    with file_server(WEIGHTS) as server:
        said = bake(tmp_path, WEIGHTS="baked", MIRROR=server.address, MODELS_SHA256=SUMS)
        assert said.returncode == 0, said.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()} == WEIGHTS
    refused = bake(tmp_path, WEIGHTS="fried")
    assert refused.returncode == 64 and "WEIGHTS is 'fried'" in refused.stderr


@pytest.mark.slow
def test_functions_start_and_the_smoke_test_tells_who_is_ready(start: Start) -> None:
    relay, detail = start("relay"), start("detail")
    for one in (relay, detail):
        assert (one.ask("/healthz"), one.ask("/readyz")) == (200, 200)
    assert detail.ask("/relay_image") == 404
    both = f"relay {relay.address} public\ndetail {detail.address}"
    assert smoke(f"{both} public") == (0, ["ok relay", "ok detail"])
    assert smoke(f"{both} private") == (1, ["ok relay", "BAD detail"])
    assert smoke(f"relay http://127.0.0.1:{free_port()} public") == (1, ["BAD relay"])
    assert smoke("") == (1, [])


def smoke(lines: str) -> tuple[int, list[str]]:
    """Its exit status, and what it says of whom."""
    script = ROOT / "infra" / "terraform" / "smoke.sh"
    said = subprocess.run([script], input=lines, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return said.returncode, [" ".join(line.split()[:2]) for line in said.stdout.splitlines()]


@pytest.mark.slow
def test_it_ends_before_it_is_killed_even_with_a_request_that_does_not(start: Start) -> None:
    """gunicorn's own patience, 30 s, is longer than Cloud Run's."""
    detail = start("detail")
    assert detail.ask("/healthz") == 200
    with socket.create_connection(("127.0.0.1", detail.port)) as slow:
        slow.sendall(b"POST /image_detail HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(0.5)
        detail.process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        detail.process.wait(GRACE)
    assert time.monotonic() - asked < GRACE - 0.5


@pytest.mark.slow
def test_the_package_installs_whole_into_an_empty_environment(start: Start, tmp_path: Path) -> None:
    tree, prefix = copied(tmp_path / "tree"), tmp_path / "prefix"
    interpreter = Path(sys.base_prefix) / "bin" / "python3"
    # where pip finds its packages is the machine's to say
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    environment = bare(Path("/usr/bin"), tmp_path) | {"PYTHON": str(interpreter), **pip}
    said = subprocess.run(
        [tree / "infra/docker/install.sh", prefix, "gcp,scale"], env=environment, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert "detector.onnx" in said.stdout and "embedder.onnx" in said.stdout
    assert not list(tmp_path.glob("home/**/pip")) and not (prefix / "bin" / "pip").exists()
    relay = start("relay", prefix / "bin", tree)
    assert relay.ask("/readyz") == 200


def copied(tree: Path) -> Path:
    """What Docker is sent."""
    for name in (".dockerignore", "pyproject.toml", "README.md", "LICENSE"):
        tree.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for name in ("shared", "functions", "infra/docker"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return tree


@pytest.mark.slow
def test_the_migration_lets_functions_write_rows_and_change_no_table(tmp_path: Path) -> None:
    with fresh_database("mysql", tmp_path) as url:
        environment = bare(HERE, tmp_path) | {"DATABASE_URL": url}
        for _ in range(2):
            subprocess.run([DOCKER / "migrate.sh"], env=environment, check=True)
        execute(url, "CREATE USER lookalike_relay", f"GRANT {ROLE} TO lookalike_relay")
        try:
            # Cloud SQL activates roles at sign-in; here it is done by hand, and before a database can be chosen
            address = make_url(url)
            engine = create_engine(address.set(username="lookalike_relay", password=None, database=""))
            with engine.connect() as function:
                function.execute(text(f"SET ROLE {ROLE}"))
                function.execute(text(f"USE {address.database}"))
                function.execute(text("UPDATE commits SET number = number + 1"))
                with pytest.raises(DBAPIError, match="denied"):
                    function.execute(text("DROP TABLE commits"))
                with pytest.raises(DBAPIError, match="denied"):
                    function.execute(text("SELECT * FROM mysql.user"))
            engine.dispose()
        finally:
            execute(url, "DROP USER lookalike_relay", f"DROP ROLE {ROLE}")
