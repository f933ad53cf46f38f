"""What a bucket in the cloud must withstand, over HTTP against a stand-in that fails as asked."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from google.auth.credentials import AnonymousCredentials, Credentials

from lookalike.adapters.cloud_store import Clients, CloudStore
from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unavailable
from lookalike.domain.ports import ObjectStore
from tests.emulators.bucket import Conditions
from tests.emulators.signatures import credentials_with_key
from tests.emulators.storage_server import Fault, Kind, StorageServer, storage_server

PNG = "image/png"
LARGE = os.urandom(9 * 1024 * 1024)
"""More than the library sends in one request."""
TIMEOUT = 0.4


class Keyless(Credentials):
    """As the metadata server gives them: a name and a token, both only after a refresh, and no key."""

    service_account_email, account = "default", ""

    def refresh(self, _: object) -> None:
        self.service_account_email, self.token = self.account, "a-token"


def keyless(account: str) -> Keyless:
    made = Keyless()  # type: ignore[no-untyped-call]
    made.account = account
    return made


@pytest.fixture
def server() -> Iterator[StorageServer]:
    with storage_server("closet") as started:
        yield started


@pytest.fixture
def store(server: StorageServer) -> CloudStore:
    return patient(server)


def patient(
    server: StorageServer, credentials: Credentials | None = None, bucket: str = "closet", patience: float = 10
) -> CloudStore:
    credentials = credentials or AnonymousCredentials()
    return CloudStore(
        bucket,
        "",
        server.address,
        credentials,
        patience=patience,
        timeout=TIMEOUT,
        clients=Clients(),
        iam=server.address,
    )


def check_put(store: ObjectStore) -> None:
    store.put("new", b"pixels", PNG)
    assert store.get("new") == b"pixels"


def check_overwrite(store: ObjectStore) -> None:
    there = store.stat("there")
    assert there and store.put("there", b"newer", PNG, there.generation).generation != there.generation
    assert store.get("there") == b"newer"


def check_large(store: ObjectStore) -> None:
    store.put("large", LARGE, PNG)
    assert store.get("large") == LARGE


def check_delete(store: ObjectStore) -> None:
    assert store.delete("there") and store.stat("there") is None


def check_write(store: ObjectStore) -> None:
    store.write("pieces", [LARGE, b"end"], PNG)
    assert store.get("pieces") == LARGE + b"end"


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "put": check_put,
    "overwrite": check_overwrite,
    "large": check_large,
    "read": lambda store: b"".join(store.read("there")) == b"pixels" or pytest.fail("other bytes"),
    "write": check_write,
    "get": lambda store: store.get("there") == b"pixels" or pytest.fail("other bytes"),
    "stat": lambda store: store.stat("there") or pytest.fail("not seen"),
    "list": lambda store: [one.path for one in store.list()] == ["there"] or pytest.fail("not listed"),
    "delete": check_delete,
}
ONCE: list[Fault] = [
    Fault("refuse"),
    Fault("refuse", 2, status=429),
    Fault("refuse", status=500),
    Fault("reset", 2),
    Fault("lose"),
    Fault("stall"),
    Fault("truncate"),
]


@pytest.mark.parametrize("fault", ONCE, ids=lambda one: f"{one.kind}{one.status}")
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_that_passes_is_not_noticed(server: StorageServer, store: CloudStore, call: str, fault: Fault) -> None:
    """In each of the methods that the call uses, once."""
    store.put("there", b"pixels", PNG)
    server.faults = [replace(fault, method=method) for method in ("POST", "PUT", "GET", "DELETE")]
    CALLS[call](store)
    assert any(one.times < fault.times for one in server.faults)


@pytest.mark.parametrize("kind", ["refuse", "reset", "lose", "stall", "truncate"])
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_that_stays_ends_in_time_and_clearly(
    server: StorageServer, store: CloudStore, call: str, kind: Kind
) -> None:
    store.put("there", b"pixels", PNG)
    server.faults = [Fault(kind, 10_000)]
    before = time.monotonic()
    with pytest.raises(Unavailable) as told:
        CALLS[call](patient(server, patience=0.3))
    assert time.monotonic() - before < 0.3 + 3 * TIMEOUT and told.value.retry_after
    server.faults = []
    assert store.get("there") == b"pixels"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("data", [b"pixels", LARGE], ids=["small", "large"])
def test_a_write_whose_answer_is_lost_is_one_write(
    server: StorageServer, store: CloudStore, data: bytes, method: str
) -> None:
    server.faults = [Fault("lose", method=method)]
    first = store.put("a", data, PNG)
    server.faults = [Fault("lose", method=method)]
    second = store.put("a", data[::-1], PNG, first.generation)
    there = store.stat("a")
    assert there and second == there and there.generation > first.generation


def test_a_lost_answer_does_not_hide_another_writer(server: StorageServer, store: CloudStore) -> None:
    first = store.put("a", b"first", PNG)
    store.put("a", b"theirs", PNG, first.generation)
    server.faults = [Fault("lose", method="POST")]
    with pytest.raises(Conflict):
        store.put("a", b"theirs", PNG, first.generation)
    with pytest.raises(Conflict):
        store.put("a", b"ours..", PNG)
    assert store.get("a") == b"theirs"


def test_a_delete_whose_answer_is_lost_has_deleted(server: StorageServer, store: CloudStore) -> None:
    generation = store.put("a", b"x", PNG).generation
    server.faults = [Fault("lose", method="DELETE")]
    assert store.delete("a", generation)
    assert not store.delete("a", generation) and not store.delete("a")


def test_a_create_is_recognised_by_its_checksums(server: StorageServer, store: CloudStore) -> None:
    server.bucket("closet").compose("composed", b"pixels")
    for data in (b"pixel!", b"pixels and more"):
        with pytest.raises(Conflict):
            store.put("composed", data, PNG)
    server.asked.clear()
    assert store.put("composed", b"pixels", PNG).generation
    # without an md5 the bytes decide
    assert any(one.query.get("alt") == "media" for one in server.asked)


def test_every_write_names_a_generation(server: StorageServer, store: CloudStore) -> None:
    first = store.put("a", b"first", PNG)
    store.put("a", b"second", PNG, first.generation)
    store.put("large", LARGE, PNG)
    for path in ("a", "large"):
        store.delete(path)
    writes = [one for one in server.asked if one.method in ("POST", "DELETE")]
    assert len(writes) == 5 and all("ifGenerationMatch" in one.query for one in writes)


def test_corrupt_bytes_are_read_again_once(server: StorageServer, store: CloudStore) -> None:
    store.put("a", b"pixels", PNG)
    server.faults = [Fault("corrupt", 1)]
    assert store.get("a") == b"pixels"
    server.faults = [Fault("corrupt", 2)]
    with pytest.raises(Unavailable, match="as it was stored"):
        store.get("a")


def test_a_large_download_that_broke_off_is_verified_whole(server: StorageServer, store: CloudStore) -> None:
    store.put("large", LARGE, PNG)
    server.faults = [Fault("truncate", 1, "GET"), Fault("corrupt", 1, "GET")]
    assert store.get("large") == LARGE


def test_pieces_whose_bytes_changed_on_the_way_are_refused(server: StorageServer, store: CloudStore) -> None:
    store.put("large", LARGE, PNG)
    server.faults = [Fault("corrupt", 9, "GET")]
    with pytest.raises(Unavailable):
        list(store.read("large"))


def test_pieces_changed_on_the_way_are_not_stored(server: StorageServer, store: CloudStore) -> None:
    server.faults = [Fault("garble", method="PUT")]
    with pytest.raises(Unavailable, match="as it was sent"):
        store.write("a", [b"pixels", LARGE], PNG)
    assert store.stat("a") is None


def test_a_piece_of_which_only_a_part_was_kept_is_no_object(server: StorageServer, store: CloudStore) -> None:
    server.keeps_half = True
    with pytest.raises(Unavailable, match="whole"):
        store.write("a", [bytes(17 << 20), LARGE], PNG)
    assert store.stat("a") is None
    server.keeps_half = False
    assert store.write("a", [bytes(17 << 20), LARGE], PNG).size == (17 << 20) + len(LARGE)


def test_bytes_changed_on_the_way_are_not_stored(server: StorageServer, store: CloudStore) -> None:
    server.faults = [Fault("garble", method="POST")]
    with pytest.raises(Unavailable):
        store.put("a", b"pixels", PNG)
    assert store.stat("a") is None
    server.faults = [Fault("garble", method="PUT")]
    with pytest.raises(Unavailable):
        store.put("a", b"pixels" + LARGE, PNG)
    assert store.stat("a") is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("call", CALLS)
def test_a_missing_right_is_named_at_once(server: StorageServer, store: CloudStore, call: str, status: int) -> None:
    server.faults = [Fault("refuse", 10_000, status=status, message="No")]
    before = time.monotonic()
    with pytest.raises(Unavailable, match=r"storage\.objects\.(create|get|list|delete)"):
        CALLS[call](store)
    assert time.monotonic() - before < 1


def test_the_right_that_google_names_is_named(server: StorageServer, store: CloudStore) -> None:
    denied = "x@y does not have storage.objects.delete access to the Google Cloud Storage object."
    server.faults = [Fault("refuse", status=403, message=denied)]
    with pytest.raises(Unavailable, match=r"lacks storage\.objects\.delete on the bucket closet"):
        store.put("a", b"x", PNG)


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_bucket_is_no_missing_object(server: StorageServer, call: str) -> None:
    with pytest.raises(Unavailable, match="There is no bucket wardrobe"):
        CALLS[call](patient(server, bucket="wardrobe"))


def test_a_machine_without_credentials(server: StorageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(Unavailable, match="credentials"):
        CloudStore("closet", endpoint=server.address, clients=Clients()).get("a")


def test_what_is_kept_of_an_object(server: StorageServer, store: CloudStore) -> None:
    stored = store.put("a.png", b"pixels", PNG)
    store.put("index/current.json", b"{}", "application/json")
    assert store.stat("a.png") == stored == next(iter(store.list("a")))
    assert stored.sha256 and len(stored.sha256) == 64
    written = server.bucket("closet").objects
    assert written["a.png"].written["cacheControl"] == "private, max-age=3600" and written["a.png"].content_type == PNG
    assert written["index/current.json"].written["cacheControl"] == "no-store"


def test_a_list_of_many_pages(server: StorageServer, store: CloudStore) -> None:
    names = sorted(f"{number}.png" for number in range(11))
    for name in [*names, "folder/", "others/x"]:
        server.bucket("closet").write({"name": name}, b"x", Conditions())
    server.page = 3
    server.faults = [Fault("refuse", 1, "GET")]
    assert [one.path for one in store.list()] == [*names, "others/x"]
    assert sum(one.path.endswith("/o") for one in server.asked) == 1 + 5


def test_an_address_signed_with_a_key_opens_its_object_and_no_other(server: StorageServer) -> None:
    opens(server, patient(server, credentials_with_key(server.account).with_token_uri(f"{server.address}/token")))
    assert not any("signBlob" in one.path for one in server.asked)


def test_an_address_signed_by_iam_opens_its_object_and_no_other(server: StorageServer) -> None:
    opens(server, patient(server, keyless(server.account)))


def opens(server: StorageServer, store: CloudStore) -> None:
    store.put("look/ä b.png", b"pixels", PNG)
    store.put("other.png", b"secret", PNG)
    server.faults = [Fault("refuse", 1)]
    address = store.url("look/ä b.png")
    server.faults = []
    with urlopen(address) as answer:
        assert answer.read() == b"pixels" and answer.headers["Content-Type"] == PNG
    for wrong in (
        address.replace("look/%C3%A4%20b.png", "other.png"),
        address.replace("Expires=3600", "Expires=36000"),
    ):
        assert wrong != address
        with pytest.raises(HTTPError, match="403") as refused:
            urlopen(wrong)
        refused.value.close()


def test_an_address_is_good_for_seven_days_at_most(server: StorageServer) -> None:
    assert "X-Goog-Expires=604800" in patient(server, keyless(server.account)).url("a.png", seconds=10**9)


def test_who_may_not_sign_is_told(server: StorageServer) -> None:
    with pytest.raises(Unavailable, match=r"iam\.serviceAccounts\.signBlob"):
        patient(server, keyless("somebody@else")).url("a.png")
    with pytest.raises(Unavailable, match=r"iam\.serviceAccounts\.signBlob"):
        patient(server).url("a.png")


def test_nothing_is_asked_that_was_not_needed(server: StorageServer, store: CloudStore) -> None:
    """The library would look for the bucket, from a thread of its own, with a right that the service does not have."""
    store.put("a", b"pixels", PNG)
    store.get("a")
    assert store.stat("none") is None and [one.method for one in server.asked] == ["POST", "GET", "GET"]
    assert not [one for one in threading.enumerate() if "_background" in one.name]


def test_the_prefix_is_part_of_the_name(server: StorageServer) -> None:
    store = CloudStore("closet", "/ours/", server.address, AnonymousCredentials())
    store.put("a.png", b"x", PNG)
    assert list(server.bucket("closet").objects) == ["ours/a.png"]
    with pytest.raises(InvalidField):
        store.put("/".join(["x" * 200] * 5 + ["y" * 19]), b"x", PNG)
    with pytest.raises(NotFound):
        CloudStore("closet", "theirs", server.address, AnonymousCredentials()).get("a.png")


def test_many_threads_and_stores_share_one_client(server: StorageServer) -> None:
    clients, credentials = Clients(), AnonymousCredentials()

    def work(number: int) -> object:
        store = CloudStore("closet", "", server.address, credentials, clients=clients)
        store.put(f"{number}.png", b"%d" % number, PNG)
        assert store.get(f"{number}.png") == b"%d" % number
        return clients.get(server.address, credentials)

    with ThreadPoolExecutor(16) as pool:
        assert len(set(map(id, pool.map(work, range(64))))) == 1


def run(script: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environment}
    ).stdout.strip()


def test_importing_and_making_a_store_loads_nothing_of_google() -> None:
    script = (
        "import sys; from lookalike.adapters.cloud_store import CloudStore; CloudStore('b');"
        "print({'google.auth', 'google.cloud.storage', 'google.api_core', 'requests', 'urllib3'} & set(sys.modules))"
    )
    assert run(script) == "set()"


def test_a_fork_gets_a_client_of_its_own(server: StorageServer) -> None:
    script = (
        "import os, sys; from lookalike.adapters.cloud_store import Clients\n"
        "from google.auth.credentials import AnonymousCredentials\n"
        "clients, nobody = Clients(), AnonymousCredentials()\n"
        "before = clients.get(sys.argv[1], nobody)\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(clients.get(sys.argv[1], nobody) is before)\n"
        "print(os.waitpid(child, 0)[1], clients.get(sys.argv[1], nobody) is before)"
    )
    assert run(script, server.address) == "0 True"


def test_an_emulator_in_the_environment_changes_nothing(server: StorageServer) -> None:
    """The library would go there, and without its credentials."""
    script = (
        "import sys; from lookalike.adapters.cloud_store import CloudStore\n"
        "from google.auth.credentials import AnonymousCredentials\n"
        "CloudStore('closet', '', sys.argv[1], AnonymousCredentials(), patience=1).put('a', b'x', 'text/plain')"
    )
    run(script, server.address, STORAGE_EMULATOR_HOST="http://127.0.0.1:9")
    assert list(server.bucket("closet").objects) == ["a"]
