"""Tests of servers with the full models: startup, many clients, cancellation by another process, and deadlines.

The weights are random, in the published shapes.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

import lookalike
from tests.conftest import jpeg
from tests.e2e.server import HttpResponse, Server, free_port
from tests.full.serving import (
    full_model_settings,
    measure_cancellations,
    panorama,
    segment_results,
    split_photo,
    wait_until_idle,
    worker_pid,
)
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
ROOT = Path(lookalike.__file__).parents[2]
PHOTOS = [jpeg(sample_photo(seed).resize((900, 1200))) for seed in range(4)]
CLIENTS = 64


@pytest.fixture(scope="module")
def settings(weights: Path) -> dict[str, str]:
    return full_model_settings(weights, PRECISION="float32", CONCURRENCY=str(CLIENTS))


@pytest.fixture(scope="module")
def server(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("full"), settings, timeout=600).start()
    assert server.upload(PHOTOS[0], "full").json["data"]["segments"]
    yield server
    assert server.stop() == 0


def test_startup_log_has_the_seconds_of_each_step(server: Server) -> None:
    messages = [line for line in server.log().splitlines() if "Models loaded" in line]
    assert len(messages) == 1
    assert all(name in messages[0] for name in ("imports", "checking weights", "detector", "embedder"))


def test_search_finds_the_uploaded_photo(server: Server) -> None:
    best = server.search(PHOTOS[0], num=3, segment=True).json["results"][0]
    assert best["splitted_image_id"].startswith("full_segment_") and best["similarity"] > 0.99


def search_results(response: HttpResponse) -> list[Any]:
    """Return the id and approximate similarity of each result in a successful response."""
    assert response.status == 200, response.body[:300]
    results = response.json["results"]
    return [(result["splitted_image_id"], pytest.approx(result["similarity"], abs=1e-4)) for result in results]


def test_64_concurrent_clients_get_the_same_results_as_single_ones(server: Server) -> None:
    """One client in four detects garments, the others search with whole photos."""

    def send_request(number: int) -> list[Any]:
        photo = PHOTOS[number // 4 % 4]
        if number % 4 == 0:
            return segment_results(split_photo(server, photo))
        return search_results(server.search(photo, num=2))

    single = [send_request(number) for number in range(16)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        concurrent = list(pool.map(send_request, range(CLIENTS)))
    assert all(single) and any(segments[0][1] for segments in single[::4])
    assert concurrent == [single[number % 16] for number in range(CLIENTS)]


def test_cancellation_through_another_process_frees_the_processor(server: Server) -> None:
    """The processes share only the database. `make bench-full` measures the delay."""
    other = Server(server.folder, {"REINDEX_EVERY": "0"}).start()
    try:
        assert max(measure_cancellations(server, other, times=4)) < 3
    finally:
        other.stop()


def test_a_deadline_stops_the_detection(settings: dict[str, str], tmp_path: Path) -> None:
    server = Server(tmp_path / "deadline", settings | {"REQUEST_TIMEOUT": "12"}).start()
    try:
        assert split_photo(server, panorama()).status == 504
        responded = time.monotonic()
        assert wait_until_idle(worker_pid(server)) - responded < 3
    finally:
        server.stop()


def test_the_images_start_script_serves_the_full_models(settings: dict[str, str], tmp_path: Path) -> None:
    """functions-framework imports the function and forks. Models, threads and devices are created after the fork."""
    port, program = free_port(), ROOT / "infra" / "docker" / "start.sh"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LOOKALIKE_HOME": str(tmp_path), **settings}
    environment |= {"FUNCTION_TARGET": "upload", "PORT": str(port), "CONCURRENCY": "4"}
    process = subprocess.Popen([program], env=environment, start_new_session=True)
    try:
        server = Server(tmp_path, port=port)
        while (status := readiness_status(server)) is None:
            assert process.poll() is None
            time.sleep(0.1)
        assert status == 200
        assert segment_results(split_photo(server, PHOTOS[0]))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def readiness_status(server: Server) -> int | None:
    """Return the status of the startup probe, or `None` if the server does not listen yet."""
    try:
        return server.request("GET", "/readyz").status
    except URLError:
        return None


@pytest.mark.parametrize("missing", [True, False])
def test_startup_without_valid_weights_names_the_fetch_command(
    settings: dict[str, str], tmp_path: Path, missing: bool
) -> None:
    wrong = {"MODELS_DIR": str(tmp_path / "none")} if missing else {"MODELS_SHA256": ""}
    server = Server(tmp_path / "home", settings | wrong)
    with pytest.raises(AssertionError, match="run `lookalike models fetch`"):
        server.start()
    assert "Traceback" not in server.log()
