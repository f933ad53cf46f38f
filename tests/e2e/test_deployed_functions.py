"""Each function as in its container: functions-framework with threads, MariaDB and an emulator of Cloud Storage."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from PIL import Image

from lookalike.adapters.cloud_store import CloudStore
from lookalike.http.handlers.events import FINALIZED
from tests.conftest import FUNCTIONS_FOLDER, jpeg
from tests.contracts.databases import temporary_database
from tests.e2e.server import HttpResponse, Server, encode_base64, free_port
from tests.emulators.storage_server import storage_server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
NAMES = sorted(path.parent.name for path in FUNCTIONS_FOLDER.glob("*/main.py"))
PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))
THREADS = 8


class Function(Server):
    """One function on its own port."""

    def serve(self, name: str) -> "Function":
        """Start the function and wait until it is ready."""
        self.port = free_port()
        source = str(FUNCTIONS_FOLDER / name / "main.py")
        command = [str(Path(sys.executable).parent / "functions-framework"), "--source", source, "--target", name]
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "serve.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--host", "127.0.0.1", "--signature-type", "http"],
                cwd=self.folder,
                env={**os.environ, **self.settings, "THREADS": str(THREADS), "WORKERS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.wait_until_ready()

    def wait_until_ready(self) -> "Function":
        """Poll `/readyz`, like the startup probe."""
        for _ in range(300):
            try:
                if self.request("GET", "/readyz").status == 200:
                    return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError(self.log())

    @property
    def log_entries(self) -> list[dict[str, Any]]:
        """The JSON entries of the log."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Function]]:
    """All functions, by name, on one database and bucket."""
    home = tmp_path_factory.mktemp("deployed")
    with ExitStack() as stack:
        database = stack.enter_context(temporary_database("mysql", home))
        storage = stack.enter_context(storage_server("shop"))
        settings = {
            "LOOKALIKE_HOME": str(home / "home"),
            "DATABASE_URL": database,
            "STORE_URL": "gs://shop/closet",
            "STORAGE_EMULATOR_HOST": storage.url,
            "CONCURRENCY": str(THREADS),
            "GOOGLE_CLOUD_PROJECT": "shop-project",
        }
        upgraded = Server(home / "upgrade", settings).run("db", "upgrade")
        assert upgraded.returncode == 0
        with ThreadPoolExecutor() as pool:
            started = pool.map(lambda name: Function(home / name, settings).serve(name), NAMES)
            running = dict(zip(NAMES, started, strict=True))
        yield running
        for function in running.values():
            function.stop()


@pytest.fixture(scope="module")
def admin(functions: dict[str, Function]) -> dict[str, str]:
    """Authorization header of an administrator."""
    operator = Server(functions["upload"].folder / "token", functions["upload"].settings)
    operator.run("token")
    return {"Authorization": f"Bearer {operator.log('token').strip()}"}


def upload_photo(function: Function, admin: dict[str, str], photo: bytes, name: str, **fields: Any) -> HttpResponse:
    body = {"image_base64": encode_base64(photo), "image_name": name, **fields}
    return function.request("POST", "/upload_image", body, admin)


def test_every_function_responds(functions: dict[str, Function]) -> None:
    for name, function in functions.items():
        assert function.request("GET", "/healthz").status == 200, name
        assert function.request("GET", "/nothing").status == 404, name


def test_functions_share_catalog_bucket_and_index(functions: dict[str, Function], admin: dict[str, str]) -> None:
    stored = upload_photo(functions["upload"], admin, PHOTO, "first").json["data"]["segments"]
    best = functions["relay"].search(PHOTO, num=3).json["results"][0]
    assert best["splitted_image_id"] == "first_segment_0" and best["processed_image_base64"]
    assert functions["reindex"].request("POST", "/reindex", {}).status == 202
    detail = functions["detail"]
    assert detail.request("GET", "/splitted_images/first_segment_0").json["data"]["id"] == stored[0]["id"]
    assert detail.request("GET", "/thumbnails/first_segment_0").body.startswith(b"\xff\xd8")
    assert detail.request("DELETE", "/splitted_images/first_segment_0", None, admin).status == 200
    later = functions["relay"].search(PHOTO, num=100, include="none").json["results"]
    assert "first_segment_0" not in [match["splitted_image_id"] for match in later]
    assert functions["auth"].request("GET", "/api/auth/user", None, admin).json["data"]["is_admin"] is True


def test_storage_event_ingests_the_object_once(functions: dict[str, Function]) -> None:
    url = functions["ingest"].settings["STORAGE_EMULATOR_HOST"]
    store = CloudStore("shop", "", url, AnonymousCredentials())
    stored = store.put("closet/incoming/new.jpg", OTHER_PHOTO, "image/jpeg")
    event = {"bucket": "shop", "name": stored.path, "generation": str(stored.generation)}
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "//storage", "ce-type": FINALIZED}
    for _ in range(2):
        assert functions["ingest"].request("POST", "/", event, headers).status == 204
    results = functions["relay"].search(OTHER_PHOTO, num=100, include="none").json["results"]
    assert [match["original_image_id"] for match in results].count("incoming-new") >= 1


def test_function_cancels_a_job_of_another_function(functions: dict[str, Function], admin: dict[str, str]) -> None:
    large = jpeg(sample_photo(3).resize((5400, 7200), Image.Resampling.NEAREST))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(upload_photo, functions["upload"], admin, large, "cancelled", request_id="cancel-me")
        for _ in range(2000):
            if functions["cancel"].request("POST", "/cancel_request/cancel-me", None, admin).status == 200:
                break
            time.sleep(0.005)
        response = running.result()
    assert response.json["status"] == "cancelled"
    assert functions["detail"].request("GET", "/splitted_images/by_original/cancelled").status == 404
    assert functions["cancel"].request("GET", "/request_status/cancel-me", None, admin).json["status"] == "cancelled"


def test_models_are_loaded_once_before_requests(functions: dict[str, Function]) -> None:
    relay = functions["relay"]
    with ThreadPoolExecutor(THREADS) as pool:
        responses = pool.map(lambda _: relay.search(PHOTO, include="none"), range(THREADS))
        assert {response.status for response in responses} <= {200, 429}
    loaded = [number for number, line in enumerate(relay.log_entries) if line["message"] == "Models loaded"]
    first = next(number for number, line in enumerate(relay.log_entries) if line["message"].startswith("search"))
    assert len(loaded) == 1 and loaded[0] < first
    for name in ("detail", "cancel", "auth"):
        assert not [line for line in functions[name].log_entries if line["message"] == "Models loaded"]


def test_concurrent_searches_are_correct_or_rejected(functions: dict[str, Function]) -> None:
    relay = functions["relay"]
    expected = [match["id"] for match in relay.search(PHOTO, include="none").json["results"]]
    with ThreadPoolExecutor(64) as pool:
        responses = list(pool.map(lambda _: relay.search(PHOTO, include="none"), range(64)))
    assert {response.status for response in responses} <= {200, 429}
    for response in responses:
        assert response.status == 429 or [match["id"] for match in response.json["results"]] == expected


def test_logs_are_json_with_request_id_and_trace_and_no_secrets(
    functions: dict[str, Function], admin: dict[str, str]
) -> None:
    query = {"image_base64": encode_base64(PHOTO), "request_id": "logged", "include": "none"}
    headers = {"X-Cloud-Trace-Context": "105445aa7843bc8bf206b12000100000/1;o=1", **admin}
    functions["relay"].request("POST", "/relay_image", query, headers)
    job, request = [line for line in functions["relay"].log_entries if line.get("request_id") == "logged"]
    assert job["stages"].keys() >= {"reading", "embedding", "searching", "fetching"}
    assert request["stages"].keys() >= {"decode", "queue", "embed", "search", "rows", "pictures"}
    assert (request["route"], request["status"]) == ("/relay_image", 200)
    for line in (job, request):
        assert line["severity"] == "INFO"
        assert line["logging.googleapis.com/trace"] == "projects/shop-project/traces/105445aa7843bc8bf206b12000100000"
    secrets = (
        functions["relay"].settings["LOOKALIKE_HOME"],
        admin["Authorization"].split()[1],
        encode_base64(PHOTO)[200:260],
    )
    for function in functions.values():
        assert all(line["severity"] for line in function.log_entries)
        assert not [secret for secret in secrets if secret in function.log()]


def test_sigterm_lets_a_running_upload_finish(functions: dict[str, Function], admin: dict[str, str]) -> None:
    function = Function(functions["upload"].folder / "ending", functions["upload"].settings).serve("upload")
    large = jpeg(sample_photo(8).resize((4500, 6000), Image.Resampling.NEAREST))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(upload_photo, function, admin, large, "last", request_id="last")
        while functions["cancel"].request("GET", "/request_status/last", None, admin).status != 200:
            time.sleep(0.005)
        start = time.monotonic()
        function.stop(signal.SIGTERM)
        assert time.monotonic() - start < 8
        assert running.result().json["success"] is True
    assert functions["detail"].request("GET", "/splitted_images/by_original/last").status == 200
