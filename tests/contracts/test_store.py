"""Contract of the port `ObjectStore`, on the fake, the directory store and the cloud store."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from urllib.parse import unquote, urlsplit

import pytest

from lookalike.adapters.cloud_store import CdnLinks, CloudStore
from lookalike.adapters.directory_store import DirectoryStore
from lookalike.domain.cdn import CdnKey
from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unavailable
from lookalike.domain.ports import ObjectStore
from tests.emulators.bucket import Preconditions
from tests.emulators.signatures import credentials_with_key
from tests.emulators.storage_server import storage_server
from tests.fakes.store import FakeStore

KEY = b"a key of this machine"
PNG = "image/png"


def directory_store(folder: Path) -> DirectoryStore:
    return DirectoryStore(folder / "bucket", "http://localhost:5001/bucket", KEY)


@contextmanager
def cloud_store(_: Path, thumbnail_links: CdnLinks | None = None) -> Iterator[CloudStore]:
    """A store with a prefix, on an emulated bucket that also contains an object outside the prefix."""
    with storage_server("closet") as server:
        server.bucket("closet").write({"name": "others/a.png"}, b"others", Preconditions())
        account = credentials_with_key(server.account)
        signer = account.with_token_uri(f"{server.url}/token")
        yield CloudStore("closet", "photos", server.url, signer, thumbnail_links=thumbnail_links)


STORES: dict[str, Callable[[Path], AbstractContextManager[ObjectStore]]] = {
    "fake": lambda _: nullcontext(FakeStore()),
    "directory": lambda folder: nullcontext(directory_store(folder)),
    "cloud": cloud_store,
}


LINKS_BY_CDN = "cloud with a CDN"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=[*STORES, LINKS_BY_CDN])
def linking_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """The stores, and the cloud store whose thumbnails are linked through Cloud CDN."""
    links = CdnLinks("https://shop.example/pictures", CdnKey("key-1", KEY[:16]))
    with cloud_store(tmp_path, links) if request.param == LINKS_BY_CDN else STORES[request.param](tmp_path) as opened:
        yield opened


def list_paths(store: ObjectStore, prefix: str = "") -> list[str]:
    return [stored.path for stored in store.list(prefix)]


def test_put_object_is_read_and_described(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    stored = store.put("look/segment_0.png", b"pixels", PNG)
    assert store.get("look/segment_0.png") == b"pixels"
    found = store.stat("look/segment_0.png")
    assert found is not None and (found.path, found.size, found.generation) == (stored.path, 6, stored.generation)
    assert stored.generation > 0 and before < found.updated < datetime.now(UTC) + timedelta(seconds=2)


def test_missing_object_is_not_found(store: ObjectStore) -> None:
    assert store.stat("look/none.png") is None and list_paths(store) == [] and not store.delete("look/none.png")
    with pytest.raises(NotFound):
        store.get("look/none.png")


def test_create_does_not_overwrite(store: ObjectStore) -> None:
    store.put("a.png", b"first", PNG)
    with pytest.raises(Conflict):
        store.put("a.png", b"second", PNG)
    assert store.get("a.png") == b"first"


def test_create_with_the_same_bytes_can_be_repeated(store: ObjectStore) -> None:
    assert store.put("a.png", b"same", PNG).generation == store.put("a.png", b"same", PNG).generation


def test_overwrite_requires_the_current_generation(store: ObjectStore) -> None:
    first = store.put("a.png", b"first", PNG)
    second = store.put("a.png", b"second", PNG, first.generation)
    assert second.generation != first.generation and store.get("a.png") == b"second"
    for path, generation in (("a.png", first.generation), ("a.png", 7), ("new.png", first.generation)):
        with pytest.raises(Conflict):
            store.put(path, b"third", PNG, generation)
    assert store.get("a.png") == b"second" and store.stat("new.png") is None


def test_temporary_objects_are_written_under_the_same_conditions(store: ObjectStore) -> None:
    first = store.put_temporary("look/claim", b"one", "text/plain")
    with pytest.raises(Conflict):
        store.put_temporary("look/claim", b"two", "text/plain")
    second = store.put_temporary("look/claim", b"two", "text/plain", first.generation)
    with pytest.raises(Conflict):
        store.put_temporary("look/claim", b"three", "text/plain", first.generation)
    stored = store.stat("look/claim")
    assert stored and stored.generation == second.generation and store.get("look/claim") == b"two"
    assert store.delete("look/claim", second.generation)


def test_delete_checks_the_given_generation(store: ObjectStore) -> None:
    first = store.put("a.png", b"first", PNG)
    second = store.put("a.png", b"second", PNG, first.generation)
    with pytest.raises(Conflict):
        store.delete("a.png", first.generation)
    assert store.delete("a.png", second.generation) and store.stat("a.png") is None


def test_generations_are_never_reused(store: ObjectStore) -> None:
    seen = set()
    for number in range(50):
        seen.add(store.put("a.png", b"%d" % number, PNG).generation)
        assert store.delete("a.png")
    assert len(seen) == 50


def test_list_returns_objects_with_a_prefix_sorted_by_path(store: ObjectStore) -> None:
    names = ["a/b.png", "a-b/c.png", "a.png", "a/b/c.png", "ab/x.png", "index/current.json", "ä/ö.png"]
    for name in names:
        store.put(name, name.encode(), PNG)
    assert list_paths(store) == sorted(names)
    for prefix in ("a", "a/", "a/b", "a/b/", "index/", "nothing/", "ä/"):
        assert list_paths(store, prefix) == sorted(name for name in names if name.startswith(prefix))


def test_concurrent_creates_succeed_once(store: ObjectStore) -> None:
    def create(number: int) -> bool:
        try:
            store.put("claim", b"%d" % number, "text/plain")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        succeeded = list(pool.map(create, range(24)))
    assert succeeded.count(True) == 1 and store.get("claim") == b"%d" % succeeded.index(True)


def test_concurrent_overwrites_succeed_once(store: ObjectStore) -> None:
    generation = store.put("pointer", b"old", "text/plain").generation

    def overwrite(number: int) -> bool:
        try:
            store.put("pointer", b"%d" % number, "text/plain", generation)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(overwrite, range(24))).count(True) == 1


def test_concurrent_creates_and_deletes_lose_no_object(store: ObjectStore) -> None:
    def create_and_delete(number: int) -> None:
        for repetition in range(8):
            path = f"folder/{number}/{repetition}.png"
            store.put(path, b"x", PNG)
            assert store.delete(path)
        store.put(f"folder/{number}/kept.png", b"kept", PNG)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create_and_delete, range(6)))
    assert list_paths(store) == [f"folder/{number}/kept.png" for number in range(6)]


def test_empty_and_large_objects_are_stored(store: ObjectStore) -> None:
    store.put("empty", b"", "text/plain")
    store.put("large", bytes(3_000_000), "text/plain")
    assert store.get("empty") == b"" and len(store.get("large")) == 3_000_000


@pytest.mark.parametrize("size", [0, 1, 40 << 20])
def test_objects_are_written_and_read_in_chunks(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) or b"a" * size
    chunks = (data[start : start + 1_000_003] for start in range(0, size, 1_000_003))
    stored = store.write("weights/net.pth", chunks, "application/octet-stream")
    assert b"".join(store.read("weights/net.pth")) == data
    found = store.stat("weights/net.pth")
    assert found and (found.size, found.generation) == (size, stored.generation) and stored.size == size
    assert max((len(chunk) for chunk in store.read("weights/net.pth")), default=0) <= 16 << 20


def test_put_object_is_read_in_chunks(store: ObjectStore) -> None:
    store.put("a.png", b"pixels" * 5000, PNG)
    assert b"".join(store.read("a.png")) == b"pixels" * 5000


def test_read_of_a_missing_object_raises_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        list(store.read("weights/net.pth"))


def test_interrupted_write_creates_no_object(store: ObjectStore) -> None:
    def failing_chunks() -> Iterator[bytes]:
        yield bytes(20 << 20)
        raise Unavailable("The source cannot be read")

    with pytest.raises(Unavailable, match="source"):
        store.write("a/b.bin", failing_chunks(), "application/octet-stream")
    assert store.stat("a/b.bin") is None and list_paths(store) == []


def test_write_does_not_overwrite(store: ObjectStore) -> None:
    store.put("a.bin", b"first", PNG)
    for data in (b"second", bytes(20 << 20)):
        with pytest.raises(Conflict):
            store.write("a.bin", [data], PNG)
    assert store.get("a.bin") == b"first"


def test_concurrent_writes_succeed_once(store: ObjectStore) -> None:
    barrier = Barrier(6)

    def write(number: int) -> bool:
        def chunks() -> Iterator[bytes]:
            barrier.wait()
            yield b"%d" % number

        try:
            store.write("claim", chunks(), "text/plain")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        succeeded = list(pool.map(write, range(6)))
    assert succeeded.count(True) == 1 and store.get("claim") == b"%d" % succeeded.index(True)


def test_url_contains_the_path(linking_store: ObjectStore) -> None:
    for path in ("look/segment_0.png", "look/ä b.thumbnail.jpg"):
        url = urlsplit(linking_store.url(path))
        assert url.scheme in ("http", "https") and unquote(url.path).endswith(f"/{path}")


INVALID_PATHS = [
    "",
    "/",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a//b",
    "a/.",
    ".",
    "..",
    "a\0b",
    "a\\b",
    "a/",
    ".tmp/lock",
]
INVALID_PATHS += ["x" * 256, "a/" * 600 + "b", "\ud800", "a\nb", "a\rb", "\u00e4" * 128, "\u00e4/" * 400 + "b"]
INVALID_PATHS += [".well-known/x"]


@pytest.mark.parametrize("path", INVALID_PATHS)
@pytest.mark.parametrize("call", ["put", "get", "read", "write", "stat", "delete", "url"])
def test_invalid_path_is_rejected(store: ObjectStore, path: str, call: str) -> None:
    arguments = {"put": (b"x", PNG), "write": ([b"x"], PNG)}.get(call, ())
    with pytest.raises(InvalidField):
        result = getattr(store, call)(path, *arguments)
        # `read` is a generator: it checks the path when the first chunk is read.
        list(result if call == "read" else [])


@pytest.mark.parametrize("prefix", ["/x/", "../", "a//b", "a/../b", "a\nb/", "\ud800"])
def test_invalid_prefix_is_rejected(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidField):
        list_paths(store, prefix)


def test_unusual_valid_names_are_accepted(store: ObjectStore) -> None:
    names = ["a b.png", "\u00e4%2F+&=?#.png", "~*:.png", "..a", "\U0001f457/x", "\uffff/x", "x" * 255, "\u00e4" * 127]
    names += ["x/.tmp/y", "x/.well-known"]
    for name in names:
        store.put(name, name.encode(), PNG)
        assert store.get(name) == name.encode()
    assert list_paths(store) == sorted(names)


def test_fake_raises_when_unavailable() -> None:
    store = FakeStore()
    store.is_unavailable = True
    for call in (lambda path: store.put(path, b"", PNG), store.get, store.stat, store.list, store.delete, store.url):
        with pytest.raises(Unavailable):
            call("a")
