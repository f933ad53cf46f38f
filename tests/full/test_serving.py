"""The full models as deployed: forked servers, made-up weights of the published shapes, many clients, cancelled from elsewhere."""

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
    serving = Server(tmp_path_factory.mktemp("full"), settings, timeout=600).start()
    assert serving.upload(PHOTOS[0], "full").json["data"]["segments"]
    yield serving
    assert serving.stop() == 0


def test_a_start_tells_how_long_each_step_took(server: Server) -> None:
    steps = [line for line in server.log().splitlines() if "Models loaded" in line]
    assert len(steps) == 1
    assert all(name in steps[0] for name in ("imports", "checking weights", "detector", "embedder"))


def test_uploads_and_searches_work(server: Server) -> None:
    found = server.search(PHOTOS[0], num=3, segment=True).json["results"]
    assert found[0]["splitted_image_id"].startswith("full_segment_") and found[0]["similarity"] > 0.99


def similarities(said: HttpResponse) -> list[Any]:
    assert said.status == 200, said.body[:300]
    return [(one["splitted_image_id"], pytest.approx(one["similarity"], abs=1e-4)) for one in said.json["results"]]


def test_64_clients_at_once_get_what_each_would_get_alone(server: Server) -> None:
    """One in four has garments found, the others search for whole photos."""

    def ask(number: int) -> list[Any]:
        photo = PHOTOS[number // 4 % 4]
        return (
            segment_results(split_photo(server, photo))
            if number % 4 == 0
            else similarities(server.search(photo, num=2))
        )

    alone = [ask(number) for number in range(16)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        together = list(pool.map(ask, range(CLIENTS)))
    assert (
        all(alone)
        and any(one[0][1] for one in alone[::4])
        and together == [alone[number % 16] for number in range(CLIENTS)]
    )


def test_cancelled_from_another_process_the_processor_is_soon_free(server: Server) -> None:
    """The other process shares nothing with the first but the database. `make bench-full` tells how soon."""
    other = Server(server.folder, {"REINDEX_EVERY": "0"}).start()
    try:
        assert max(measure_cancellations(server, other, times=4)) < 3
    finally:
        other.stop()


def test_a_deadline_stops_the_work(settings: dict[str, str], tmp_path: Path) -> None:
    hasty = Server(tmp_path / "hasty", settings | {"REQUEST_TIMEOUT": "12"}).start()
    try:
        assert split_photo(hasty, panorama()).status == 504
        answered = time.monotonic()
        assert wait_until_idle(worker_pid(hasty)) - answered < 3
    finally:
        hasty.stop()


def test_the_image_starts_a_function_with_them(settings: dict[str, str], tmp_path: Path) -> None:
    """functions-framework imports the function and forks: models, threads and devices come after that."""
    port, program = free_port(), ROOT / "infra" / "docker" / "start.sh"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LOOKALIKE_HOME": str(tmp_path), **settings}
    environment |= {"FUNCTION_TARGET": "upload", "PORT": str(port), "CONCURRENCY": "4"}
    process = subprocess.Popen([program], env=environment, start_new_session=True)
    try:
        asking = Server(tmp_path, port=port)
        while (said := status_of(asking)) is None:
            assert process.poll() is None
            time.sleep(0.1)
        assert said == 200
        assert segment_results(split_photo(asking, PHOTOS[0]))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def status_of(server: Server) -> int | None:
    """Of the start-up probe, as soon as somebody listens."""
    try:
        return server.request("GET", "/readyz").status
    except URLError:
        return None


@pytest.mark.parametrize("missing", [True, False])
def test_a_start_without_the_right_weights_says_what_to_do(
    settings: dict[str, str], tmp_path: Path, missing: bool
) -> None:
    wrong = {"MODELS_DIR": str(tmp_path / "none")} if missing else {"MODELS_SHA256": ""}
    server = Server(tmp_path / "home", settings | wrong)
    with pytest.raises(AssertionError, match="run `lookalike models fetch`"):
        server.start()
    assert "Traceback" not in server.log()
