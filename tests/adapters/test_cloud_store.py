"""Cloud Storage adapter against an emulator over HTTP: faults, retries, permissions and signed URLs."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from google.auth.credentials import AnonymousCredentials, Credentials

from lookalike.adapters.cloud_store import ClientCache, CloudStore
from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unavailable
from lookalike.domain.ports import ObjectStore
from tests.emulators.bucket import Preconditions
from tests.emulators.storage_server import Fault, FaultKind, StorageServer, storage_server

PNG = "image/png"
LARGE = os.urandom(9 * 1024 * 1024)
"""Larger than the library's limit (8 MiB) for an upload in one request."""
TIMEOUT = 0.4


@pytest.fixture
def server() -> Iterator[StorageServer]:
    with storage_server("closet") as running:
        yield running


@pytest.fixture
def store(server: StorageServer) -> CloudStore:
    return cloud_store(server)


def cloud_store(
    server: StorageServer, credentials: Credentials | None = None, bucket: str = "closet", retry_timeout: float = 10
) -> CloudStore:
    credentials = credentials or AnonymousCredentials()
    return CloudStore(
        bucket,
        "",
        server.url,
        credentials,
        retry_timeout=retry_timeout,
        timeout=TIMEOUT,
        clients=ClientCache(),
        iam_endpoint=server.url,
    )


def check_put(store: ObjectStore) -> None:
    store.put("new", b"pixels", PNG)
    assert store.get("new") == b"pixels"


def check_overwrite(store: ObjectStore) -> None:
    existing = store.stat("existing")
    assert existing and store.put("existing", b"newer", PNG, existing.generation).generation != existing.generation
    assert store.get("existing") == b"newer"


def check_large(store: ObjectStore) -> None:
    store.put("large", LARGE, PNG)
    assert store.get("large") == LARGE


def check_delete(store: ObjectStore) -> None:
    assert store.delete("existing") and store.stat("existing") is None


def check_write(store: ObjectStore) -> None:
    store.write("chunks", [LARGE, b"end"], PNG)
    assert store.get("chunks") == LARGE + b"end"


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "put": check_put,
    "overwrite": check_overwrite,
    "large": check_large,
    "read": lambda store: b"".join(store.read("existing")) == b"pixels" or pytest.fail("other bytes"),
    "write": check_write,
    "get": lambda store: store.get("existing") == b"pixels" or pytest.fail("other bytes"),
    "stat": lambda store: store.stat("existing") or pytest.fail("not found"),
    "list": lambda store: [stored.path for stored in store.list()] == ["existing"] or pytest.fail("not listed"),
    "delete": check_delete,
}
"""A check of each method, on a store with the object `existing`."""
TEMPORARY_FAULTS: list[Fault] = [
    Fault("error"),
    Fault("error", 2, status=429),
    Fault("error", status=500),
    Fault("reset", 2),
    Fault("drop_response"),
    Fault("stall"),
    Fault("truncate_response"),
]


@pytest.mark.parametrize("fault", TEMPORARY_FAULTS, ids=lambda fault: f"{fault.kind}{fault.status}")
@pytest.mark.parametrize("call", CALLS)
def test_temporary_fault_is_retried(server: StorageServer, store: CloudStore, call: str, fault: Fault) -> None:
    """The fault occurs once for each HTTP method that the call uses."""
    store.put("existing", b"pixels", PNG)
    server.faults = [replace(fault, method=method) for method in ("POST", "PUT", "GET", "DELETE")]
    CALLS[call](store)
    assert any(injected.times < fault.times for injected in server.faults)


@pytest.mark.parametrize("kind", ["error", "reset", "drop_response", "stall", "truncate_response"])
@pytest.mark.parametrize("call", CALLS)
def test_permanent_fault_is_unavailable_within_the_retry_timeout(
    server: StorageServer, store: CloudStore, call: str, kind: FaultKind
) -> None:
    store.put("existing", b"pixels", PNG)
    server.faults = [Fault(kind, 10_000)]
    start = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        CALLS[call](cloud_store(server, retry_timeout=0.3))
    assert time.monotonic() - start < 0.3 + 3 * TIMEOUT and raised.value.retry_after
    server.faults = []
    assert store.get("existing") == b"pixels"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("data", [b"pixels", LARGE], ids=["small", "large"])
def test_write_with_a_lost_response_writes_once(
    server: StorageServer, store: CloudStore, data: bytes, method: str
) -> None:
    server.faults = [Fault("drop_response", method=method)]
    first = store.put("a", data, PNG)
    server.faults = [Fault("drop_response", method=method)]
    second = store.put("a", data[::-1], PNG, first.generation)
    stored = store.stat("a")
    assert stored and second == stored and stored.generation > first.generation


def test_write_with_a_lost_response_detects_another_writer(server: StorageServer, store: CloudStore) -> None:
    first = store.put("a", b"first", PNG)
    store.put("a", b"second", PNG, first.generation)
    server.faults = [Fault("drop_response", method="POST")]
    with pytest.raises(Conflict):
        store.put("a", b"second", PNG, first.generation)
    with pytest.raises(Conflict):
        store.put("a", b"third.", PNG)
    assert store.get("a") == b"second"


def test_delete_with_a_lost_response_returns_true(server: StorageServer, store: CloudStore) -> None:
    generation = store.put("a", b"x", PNG).generation
    server.faults = [Fault("drop_response", method="DELETE")]
    assert store.delete("a", generation)
    assert not store.delete("a", generation) and not store.delete("a")


def test_repeated_create_is_recognized_by_checksums(server: StorageServer, store: CloudStore) -> None:
    server.bucket("closet").compose("composed", b"pixels")
    for data in (b"pixel!", b"pixels and more"):
        with pytest.raises(Conflict):
            store.put("composed", data, PNG)
    server.requests.clear()
    assert store.put("composed", b"pixels", PNG).generation
    # Composed objects have no MD5, so the content is downloaded and compared.
    assert any(request.query.get("alt") == "media" for request in server.requests)


def test_every_write_sends_a_generation_precondition(server: StorageServer, store: CloudStore) -> None:
    first = store.put("a", b"first", PNG)
    store.put("a", b"second", PNG, first.generation)
    store.put("large", LARGE, PNG)
    for path in ("a", "large"):
        store.delete(path)
    writes = [request for request in server.requests if request.method in ("POST", "DELETE")]
    assert len(writes) == 5 and all("ifGenerationMatch" in request.query for request in writes)


def test_get_retries_a_corrupt_download_once(server: StorageServer, store: CloudStore) -> None:
    store.put("a", b"pixels", PNG)
    server.faults = [Fault("corrupt_response", 1)]
    assert store.get("a") == b"pixels"
    server.faults = [Fault("corrupt_response", 2)]
    with pytest.raises(Unavailable, match="a was received with a wrong checksum"):
        store.get("a")


def test_get_verifies_a_resumed_large_download(server: StorageServer, store: CloudStore) -> None:
    store.put("large", LARGE, PNG)
    server.faults = [Fault("truncate_response", 1, "GET"), Fault("corrupt_response", 1, "GET")]
    assert store.get("large") == LARGE


def test_read_rejects_corrupt_downloads(server: StorageServer, store: CloudStore) -> None:
    store.put("large", LARGE, PNG)
    server.faults = [Fault("corrupt_response", 9, "GET")]
    with pytest.raises(Unavailable):
        list(store.read("large"))


@pytest.mark.parametrize("omits_zero_size", [False, True])
def test_empty_object_without_size_is_read_and_listed(
    server: StorageServer, store: CloudStore, omits_zero_size: bool
) -> None:
    server.omits_zero_size = omits_zero_size
    stored = store.write("empty", [], PNG)
    assert stored.size == 0 and store.stat("empty") == stored and [*store.list()] == [stored]
    assert b"".join(store.read("empty")) == b"" and store.get("empty") == b""
    assert store.put("empty", b"", PNG).generation == stored.generation


def test_write_deletes_an_upload_that_was_corrupted(server: StorageServer, store: CloudStore) -> None:
    server.faults = [Fault("corrupt_request", method="PUT")]
    with pytest.raises(Unavailable, match="stored with a wrong checksum"):
        store.write("a", [b"pixels", LARGE], PNG)
    assert store.stat("a") is None


def test_write_of_a_partly_stored_chunk_leaves_no_object(server: StorageServer, store: CloudStore) -> None:
    server.stores_half_chunks = True
    with pytest.raises(Unavailable, match="only in part"):
        store.write("a", [bytes(17 << 20), LARGE], PNG)
    assert store.stat("a") is None
    server.stores_half_chunks = False
    assert store.write("a", [bytes(17 << 20), LARGE], PNG).size == (17 << 20) + len(LARGE)


def test_put_leaves_no_object_of_a_corrupted_upload(server: StorageServer, store: CloudStore) -> None:
    server.faults = [Fault("corrupt_request", method="POST")]
    with pytest.raises(Unavailable):
        store.put("a", b"pixels", PNG)
    assert store.stat("a") is None
    server.faults = [Fault("corrupt_request", method="PUT")]
    with pytest.raises(Unavailable):
        store.put("a", b"pixels" + LARGE, PNG)
    assert store.stat("a") is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("call", CALLS)
def test_missing_permission_is_reported_without_retries(
    server: StorageServer, store: CloudStore, call: str, status: int
) -> None:
    server.faults = [Fault("error", 10_000, status=status, message="No")]
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"storage\.objects\.(create|get|list|delete)"):
        CALLS[call](store)
    assert time.monotonic() - start < 1


def test_missing_permission_is_taken_from_the_error_message(server: StorageServer, store: CloudStore) -> None:
    denied = "x@y does not have storage.objects.delete access to the Google Cloud Storage object."
    server.faults = [Fault("error", status=403, message=denied)]
    with pytest.raises(Unavailable, match=r"lacks the permission storage\.objects\.delete on the bucket closet"):
        store.put("a", b"x", PNG)


@pytest.mark.parametrize("call", CALLS)
def test_missing_bucket_is_unavailable(server: StorageServer, call: str) -> None:
    with pytest.raises(Unavailable, match="The bucket wardrobe does not exist"):
        CALLS[call](cloud_store(server, bucket="wardrobe"))


def test_missing_credentials_are_unavailable(server: StorageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(Unavailable, match="credentials"):
        CloudStore("closet", endpoint=server.url, clients=ClientCache()).get("a")


def test_put_stores_metadata(server: StorageServer, store: CloudStore) -> None:
    stored = store.put("a.png", b"pixels", PNG)
    store.put("index/current.json", b"{}", "application/json")
    assert store.stat("a.png") == stored == next(iter(store.list("a")))
    assert stored.sha256 and len(stored.sha256) == 64
    image, pointer = (server.bucket("closet").objects[name] for name in ("a.png", "index/current.json"))
    assert image.resource["cacheControl"] == "private, max-age=3600" and image.content_type == PNG
    assert pointer.resource["cacheControl"] == "no-store"


def test_list_fetches_all_pages(server: StorageServer, store: CloudStore) -> None:
    names = sorted(f"{number}.png" for number in range(11))
    for name in [*names, "folder/", "others/x"]:
        server.bucket("closet").write({"name": name}, b"x", Preconditions())
    server.page_size = 3
    server.faults = [Fault("error", 1, "GET")]
    assert [stored.path for stored in store.list()] == [*names, "others/x"]
    assert sum(request.path.endswith("/o") for request in server.requests) == 1 + 5


def test_no_unnecessary_requests_are_sent(server: StorageServer, store: CloudStore) -> None:
    """By default the library requests the bucket in a background thread, which needs another permission."""
    store.put("a", b"pixels", PNG)
    store.get("a")
    assert store.stat("none") is None and [request.method for request in server.requests] == ["POST", "GET", "GET"]
    assert not [thread for thread in threading.enumerate() if "_background" in thread.name]


def test_prefix_is_part_of_the_object_name(server: StorageServer) -> None:
    store = CloudStore("closet", "/photos/", server.url, AnonymousCredentials())
    store.put("a.png", b"x", PNG)
    assert list(server.bucket("closet").objects) == ["photos/a.png"]
    with pytest.raises(InvalidField):
        store.put("/".join(["x" * 200] * 5 + ["y" * 17]), b"x", PNG)
    with pytest.raises(NotFound):
        CloudStore("closet", "others", server.url, AnonymousCredentials()).get("a.png")


def test_threads_and_stores_share_one_client(server: StorageServer) -> None:
    clients, credentials = ClientCache(), AnonymousCredentials()

    def put_and_get(number: int) -> object:
        store = CloudStore("closet", "", server.url, credentials, clients=clients)
        store.put(f"{number}.png", b"%d" % number, PNG)
        assert store.get(f"{number}.png") == b"%d" % number
        return clients.get(server.url, credentials)

    with ThreadPoolExecutor(16) as pool:
        assert len(set(map(id, pool.map(put_and_get, range(64))))) == 1


def run_python(script: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environment}
    ).stdout.strip()


def test_creating_a_store_does_not_import_google_libraries() -> None:
    script = (
        "import sys; from lookalike.adapters.cloud_store import CloudStore; CloudStore('b');"
        "print({'google.auth', 'google.cloud.storage', 'google.api_core', 'requests', 'urllib3'} & set(sys.modules))"
    )
    assert run_python(script) == "set()"


def test_forked_process_gets_its_own_client(server: StorageServer) -> None:
    script = (
        "import os, sys; from lookalike.adapters.cloud_store import ClientCache\n"
        "from google.auth.credentials import AnonymousCredentials\n"
        "clients, credentials = ClientCache(), AnonymousCredentials()\n"
        "before = clients.get(sys.argv[1], credentials)\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(clients.get(sys.argv[1], credentials) is before)\n"
        "print(os.waitpid(child, 0)[1], clients.get(sys.argv[1], credentials) is before)"
    )
    assert run_python(script, server.url) == "0 True"


def test_emulator_in_the_environment_is_ignored(server: StorageServer) -> None:
    """By default the library would connect to STORAGE_EMULATOR_HOST, without credentials."""
    script = (
        "import sys; from lookalike.adapters.cloud_store import CloudStore\n"
        "from google.auth.credentials import AnonymousCredentials\n"
        "CloudStore('closet', '', sys.argv[1], AnonymousCredentials(), retry_timeout=1).put('a', b'x', 'text/plain')"
    )
    run_python(script, server.url, STORAGE_EMULATOR_HOST="http://127.0.0.1:9")
    assert list(server.bucket("closet").objects) == ["a"]
