"""Cold start of a function: from the start of its process to its first correct response."""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike import images
from tests.e2e.server import HttpResponse, Server, encode_base64, free_port
from tests.sample_photos import sample_photo

FUNCTIONS = ("detail", "auth", "relay", "upload")
STARTS = 3
IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|")
"""A line of `python -X importtime`: microseconds of one module without its imports."""
SERVE = "from functions_framework._cli import _cli; _cli()"


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds of each start, and the share of imports in them."""

    seconds: list[float]
    import_share: float


Version = tuple[Path, Path, Mapping[str, str]]
"""A version of the code: its root folder, a home with data, and the environment of its processes."""


def measure_cold_starts_of(name: str, versions: Sequence[Version]) -> list[ColdStart]:
    """Start a function of each version in turn, several times, and once more to time its imports."""
    rounds = [[start_function(*version, name)[0] for version in versions] for _ in range(STARTS)]
    logs = [start_function(*version, name, "-X", "importtime")[1] for version in versions]
    return [
        ColdStart(list(seconds), min(1.0, sum(map(int, IMPORT_TIME.findall(log))) / 1e6 / statistics.median(seconds)))
        for seconds, log in zip(zip(*rounds, strict=True), logs, strict=True)
    ]


def start_function(root: Path, home: Path, settings: Mapping[str, str], name: str, *options: str) -> tuple[float, str]:
    """Start a function as its container does. Returns the seconds to the first correct response, and its output."""
    server = Server(home, dict(settings), free_port())
    token = read_token(server) if name == "upload" else ""
    command = [sys.executable, *options, "-c", SERVE, "--source", str(root / "functions" / name / "main.py")]
    environment = server.environment() | {"THREADS": "8", "WORKERS": "1"}
    with (home / "function.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--target", name, "--port", str(server.port), "--host", "127.0.0.1", "--signature-type", "http"],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for_correct_response(server, name, token)
            seconds = time.perf_counter() - start
        finally:
            process.terminate()
            process.wait(20)
    return seconds, (home / "function.log").read_text()


def read_token(server: Server) -> str:
    """Return an administrator's token."""
    assert server.run("token").returncode == 0
    return server.log("token").strip()


def wait_for_correct_response(server: Server, name: str, token: str) -> None:
    """Send the function's request until it is answered. Raises `AssertionError` for a wrong answer."""
    for _ in range(3000):
        try:
            response = send_request(server, name, token)
        except OSError:
            time.sleep(0.01)
            continue
        assert is_correct(name, response), (name, response.status, response.body[:500])
        return
    raise AssertionError(f"The function {name} did not respond")


def send_request(server: Server, name: str, token: str) -> HttpResponse:
    """Send a typical request of the function."""
    body: dict[str, Any] = {"image_base64": encode_base64(images.jpeg(sample_photo(3)))}
    match name:
        case "detail":
            return server.request("GET", "/splitted_images/by_original/look")
        case "auth":
            return server.request(
                "POST", "/api/auth/login", {"email": "nobody@example.org", "password": "a wrong password"}
            )
        case "relay":
            return server.request("POST", "/relay_image", {**body, "segment": True})
        case _:
            headers = {"Authorization": f"Bearer {token}"}
            return server.request("POST", "/upload_image", {**body, "image_name": f"new{time.time_ns()}"}, headers)


def is_correct(name: str, response: HttpResponse) -> bool:
    """Return whether the response is that of a working function."""
    if name == "auth":
        return response.status == 401
    return response.status == 200 and bool(response.json["results" if name == "relay" else "data"])
