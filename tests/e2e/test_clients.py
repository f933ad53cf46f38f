"""Clients on a running server: the Python client, and clients generated from the OpenAPI document."""

import asyncio
import importlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike.client import AsyncClient, Cancelled, Client, Conflict, NotFound
from tests.conftest import jpeg
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

ROOT = Path(lookalike.__file__).parents[2]
TYPESCRIPT = ROOT / "clients" / "typescript"
PHOTO = jpeg(sample_photo(3))
SLOW_PHOTO = jpeg(sample_photo(3).resize((5400, 7200)))
"""Takes long enough to be canceled."""
NETWORK_ERRORS = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("clients")).start()
    for number in range(3):
        running.client().upload(jpeg(sample_photo(number)), name=f"look{number}")
    yield running
    assert running.stop() == 0


def wait_until_running(client: Client, request_id: str) -> None:
    for _ in range(1000):
        try:
            if client.job(request_id).stage:
                return
        except NotFound:
            pass
        time.sleep(0.01)
    raise AssertionError(f"{request_id} did not start")


def final_status(client: Client, request_id: str) -> str:
    for _ in range(1000):
        status = client.job(request_id).status
        if status != "processing":
            return status
        time.sleep(0.01)
    raise AssertionError(f"{request_id} did not end")


def test_interrupted_process_cancels_its_search_on_the_server(server: Server, tmp_path: Path) -> None:
    """As Ctrl-C does."""
    (tmp_path / "slow.jpg").write_bytes(SLOW_PHOTO)
    script = (
        "import signal, sys; from pathlib import Path; from lookalike.client import Client\n"
        # shells start background processes, such as a test run, with this signal ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "Client(sys.argv[1]).search(Path(sys.argv[2]), segment=True, request_id='interrupted')"
    )
    arguments = [sys.executable, "-c", script, server.address, str(tmp_path / "slow.jpg")]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    client = server.client()
    wait_until_running(client, "interrupted")
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT and "KeyboardInterrupt" in output
    assert final_status(client, "interrupted") == "cancelled"


def test_canceled_task_cancels_its_job_on_the_server(server: Server) -> None:
    async def cancel_search() -> None:
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.search(SLOW_PHOTO, segment=True, request_id="task"))
            await asyncio.to_thread(wait_until_running, server.client(), "task")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel_search())
    assert final_status(server.client(), "task") == "cancelled"


def test_search_that_another_client_cancels_raises_cancelled(server: Server) -> None:
    async def search_and_cancel(request_id: str) -> bool:
        """Return whether the cancellation came before the end of the search."""
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.search(SLOW_PHOTO, segment=True, request_id=request_id))
            await asyncio.to_thread(wait_until_running, server.client(), request_id)
            try:
                await client.cancel(request_id)
            except Conflict:
                await task
                return False
            with pytest.raises(Cancelled):
                await task
            return True

    # on a busy machine, a cancellation can come too late
    assert any(asyncio.run(search_and_cancel(f"other-{number}")) for number in range(5))


def test_progress_names_the_stages_of_a_job(server: Server) -> None:
    stages = list[str]()
    server.client().split(SLOW_PHOTO, on_progress=lambda job: stages.append(job.stage))
    # the stages that take long: the client asks now and then
    assert "cutting" in stages

    async def split() -> None:
        async with AsyncClient(server.address) as client:
            await client.split(SLOW_PHOTO, on_progress=lambda job: stages.append(f"async {job.stage}"))

    asyncio.run(split())
    assert "async cutting" in stages


def test_asynchronous_client_reads_pages_and_searches_at_the_same_time(server: Server) -> None:
    async def search() -> tuple[list[str], list[int]]:
        async with AsyncClient(server.address, server.token) as client:
            names = [match.splitted_image_id async for match in client.matches(PHOTO, page_size=1)]
            results = await asyncio.gather(*(client.search(name, limit=1) for name in ("red dress", "blue shirt")))
            return names, [len(result.understood) for result in results]

    names, understood = asyncio.run(search())
    assert names == [match.splitted_image_id for match in server.client().matches(PHOTO)] and len(names) >= 3
    assert understood == [2, 2]


@pytest.mark.slow
def test_generator_of_python_clients_accepts_the_document(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generates a client with openapi-python-client, and calls the server with it."""
    media_types = [f"image/{kind}" for kind in ("*", "jpeg", "png", "webp", "avif")]
    overrides = dict.fromkeys(media_types, "application/octet-stream") | {
        "application/cloudevents+json": "application/json"
    }
    # the generator does not know the types of images
    (tmp_path / "config.json").write_text(json.dumps({"post_hooks": [], "content_type_overrides": overrides}))
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"]
    source = ["--url", f"{server.address}/openapi.json", "--config", str(tmp_path / "config.json")]
    options = ["--output-path", str(tmp_path / "generated"), "--fail-on-warning"]
    result = subprocess.run([*command, *source, *options], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "WARNING" not in result.stdout, result.stdout + result.stderr
    monkeypatch.syspath_prepend(tmp_path)
    generated: Any = importlib.import_module("generated")
    get_garment: Any = importlib.import_module("generated.api.detail.get_splitted_images_id")
    search: Any = importlib.import_module("generated.api.relay.post_search")
    models: Any = importlib.import_module("generated.models")
    with generated.Client(base_url=server.address) as client:
        body = models.SearchBody(query=[models.SearchExample(id="look1_segment_0")], limit=1)
        found = search.sync(client=client, body=body)
        assert found.results[0].splitted_image_id == "look1_segment_0"
        assert get_garment.sync("look1_segment_0", client=client).data.original_image_id == "look1"
        assert get_garment.sync("missing", client=client).error.code == "not_found"


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the TypeScript client with its packages. Skips if npm is missing or reaches no registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: install it by `apt-get install nodejs npm`")
    folder = tmp_path_factory.mktemp("typescript") / "client"
    shutil.copytree(TYPESCRIPT, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "schema.d.ts"))
    result = subprocess.run([npm, "ci"], cwd=folder, capture_output=True, text=True, check=False)
    if any(error in result.stderr for error in NETWORK_ERRORS):
        pytest.skip(f"npm reaches no registry: {result.stderr[:200]}")
    assert result.returncode == 0, result.stderr
    return folder


def run_npm(server: Server, folder: Path, *arguments: str) -> str:
    environment = server.environment() | {"LOOKALIKE_URL": server.address}
    command = ["npm", "run", "--silent", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_document_satisfies_the_recommended_rules_of_a_linter(server: Server, typescript: Path) -> None:
    assert run_npm(server, typescript, "lint").startswith("0 problems in ")
    broken = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"get": {"responses": {}}}}}
    (typescript / "broken.json").write_text(json.dumps(broken))
    result = subprocess.run(["node", "lint.mjs", "broken.json"], cwd=typescript, capture_output=True, check=False)
    assert result.returncode == 1, "the linter does find problems"


@pytest.mark.slow
def test_typescript_client_is_generated_checked_and_run(server: Server, typescript: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    for script in ("generate", "check", "build"):
        run_npm(server, typescript, script)
    command = ["node", "dist/tests/roundtrip.js", server.address, server.token, str(tmp_path / "photo.jpg")]
    result = subprocess.run(command, cwd=typescript, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    client = server.client()
    assert found["garments"] == [garment.splitted_image_id for garment in client.garments_of_photo("typescript")] != []
    assert found["matches"] == [match.splitted_image_id for match in client.matches(PHOTO)]
    assert found["codes"] == ["not_found", "unauthenticated", "not_found", "invalid_field"]
