"""The contract of the port `ObjectStore`, run on every store."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from urllib.parse import unquote

import pytest

from lookalike.adapters.cloud_store import CloudStore
from lookalike.adapters.directory_store import DirectoryStore
from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unavailable
from lookalike.domain.ports import ObjectStore
from tests.emulators.bucket import Conditions
from tests.emulators.signatures import credentials_with_key
from tests.emulators.storage_server import storage_server
from tests.fakes.store import FakeStore

KEY = b"a key of this machine"
PNG = "image/png"


def directory(folder: Path) -> DirectoryStore:
    return DirectoryStore(folder / "bucket", "http://localhost:5001/bucket", KEY)


@contextmanager
def cloud(_: Path) -> Iterator[CloudStore]:
    """A part of a bucket of which other parts are others', over HTTP."""
    with storage_server("closet") as server:
        server.bucket("closet").write({"name": "others/a.png"}, b"others", Conditions())
        account = credentials_with_key(server.account)
        yield CloudStore("closet", "ours", server.address, account.with_token_uri(f"{server.address}/token"))


STORES: dict[str, Callable[[Path], AbstractContextManager[ObjectStore]]] = {
    "fake": lambda _: nullcontext(FakeStore()),
    "directory": lambda folder: nullcontext(directory(folder)),
    "cloud": cloud,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    with STORES[request.param](tmp_path) as made:
        yield made


def paths(store: ObjectStore, prefix: str = "") -> list[str]:
    return [one.path for one in store.list(prefix)]


def test_what_is_put_is_there(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    stored = store.put("look/segment_0.png", b"pixels", PNG)
    assert store.get("look/segment_0.png") == b"pixels"
    found = store.stat("look/segment_0.png")
    assert found is not None and (found.path, found.size, found.generation) == (stored.path, 6, stored.generation)
    assert stored.generation > 0 and before < found.updated < datetime.now(UTC) + timedelta(seconds=2)


def test_what_is_not_there(store: ObjectStore) -> None:
    assert store.stat("look/none.png") is None and paths(store) == [] and not store.delete("look/none.png")
    with pytest.raises(NotFound):
        store.get("look/none.png")


def test_a_create_does_not_overwrite(store: ObjectStore) -> None:
    store.put("a.png", b"first", PNG)
    with pytest.raises(Conflict):
        store.put("a.png", b"second", PNG)
    assert store.get("a.png") == b"first"


def test_a_create_whose_answer_was_lost_may_be_repeated(store: ObjectStore) -> None:
    assert store.put("a.png", b"same", PNG).generation == store.put("a.png", b"same", PNG).generation


def test_an_overwrite_needs_the_current_generation(store: ObjectStore) -> None:
    first = store.put("a.png", b"first", PNG)
    second = store.put("a.png", b"second", PNG, first.generation)
    assert second.generation != first.generation and store.get("a.png") == b"second"
    for path, generation in (("a.png", first.generation), ("a.png", 7), ("new.png", first.generation)):
        with pytest.raises(Conflict):
            store.put(path, b"third", PNG, generation)
    assert store.get("a.png") == b"second" and store.stat("new.png") is None


def test_a_delete_may_ask_for_a_generation(store: ObjectStore) -> None:
    first = store.put("a.png", b"first", PNG)
    second = store.put("a.png", b"second", PNG, first.generation)
    with pytest.raises(Conflict):
        store.delete("a.png", first.generation)
    assert store.delete("a.png", second.generation) and store.stat("a.png") is None


def test_generations_are_never_used_again(store: ObjectStore) -> None:
    seen = set()
    for number in range(50):
        seen.add(store.put("a.png", b"%d" % number, PNG).generation)
        assert store.delete("a.png")
    assert len(seen) == 50


def test_objects_are_listed_by_prefix_in_the_order_of_their_paths(store: ObjectStore) -> None:
    names = ["a/b.png", "a-b/c.png", "a.png", "a/b/c.png", "ab/x.png", "index/current.json", "ä/ö.png"]
    for name in names:
        store.put(name, name.encode(), PNG)
    assert paths(store) == sorted(names)
    for prefix in ("a", "a/", "a/b", "a/b/", "index/", "nothing/", "ä/"):
        assert paths(store, prefix) == sorted(name for name in names if name.startswith(prefix))


def test_of_many_creators_one_wins(store: ObjectStore) -> None:
    def create(number: int) -> bool:
        try:
            store.put("claim", b"%d" % number, "text/plain")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        won = list(pool.map(create, range(24)))
    assert won.count(True) == 1 and store.get("claim") == b"%d" % won.index(True)


def test_of_many_overwriters_one_wins(store: ObjectStore) -> None:
    generation = store.put("pointer", b"old", "text/plain").generation

    def overwrite(number: int) -> bool:
        try:
            store.put("pointer", b"%d" % number, "text/plain", generation)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(overwrite, range(24))).count(True) == 1


def test_creating_and_deleting_side_by_side_loses_nothing(store: ObjectStore) -> None:
    def create_and_delete(number: int) -> None:
        for round_ in range(8):
            path = f"folder/{number}/{round_}.png"
            store.put(path, b"x", PNG)
            assert store.delete(path)
        store.put(f"folder/{number}/kept.png", b"kept", PNG)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create_and_delete, range(6)))
    assert paths(store) == [f"folder/{number}/kept.png" for number in range(6)]


def test_empty_and_large_objects(store: ObjectStore) -> None:
    store.put("empty", b"", "text/plain")
    store.put("large", bytes(3_000_000), "text/plain")
    assert store.get("empty") == b"" and len(store.get("large")) == 3_000_000


@pytest.mark.parametrize("size", [0, 1, 40 << 20])
def test_what_is_too_large_for_memory_comes_and_goes_in_pieces(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) or b"a" * size
    pieces = (data[start : start + 1_000_003] for start in range(0, size, 1_000_003))
    stored = store.write("weights/net.pth", pieces, "application/octet-stream")
    assert b"".join(store.read("weights/net.pth")) == data
    there = store.stat("weights/net.pth")
    assert there and (there.size, there.generation) == (size, stored.generation) and stored.size == size
    assert max((len(piece) for piece in store.read("weights/net.pth")), default=0) <= 16 << 20


def test_what_is_put_is_read_in_pieces(store: ObjectStore) -> None:
    store.put("a.png", b"pixels" * 5000, PNG)
    assert b"".join(store.read("a.png")) == b"pixels" * 5000


def test_what_is_not_there_cannot_be_read(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        list(store.read("weights/net.pth"))


def test_what_breaks_off_while_it_is_written_is_not_there(store: ObjectStore) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(20 << 20)
        raise Unavailable("The source is away")

    with pytest.raises(Unavailable, match="source"):
        store.write("a/b.bin", broken(), "application/octet-stream")
    assert store.stat("a/b.bin") is None and paths(store) == []


def test_what_is_there_is_not_written_over_in_pieces(store: ObjectStore) -> None:
    store.put("a.bin", b"first", PNG)
    for data in (b"second", bytes(20 << 20)):
        with pytest.raises(Conflict):
            store.write("a.bin", [data], PNG)
    assert store.get("a.bin") == b"first"


def test_of_many_who_write_in_pieces_one_wins(store: ObjectStore) -> None:
    together = Barrier(6)

    def write(number: int) -> bool:
        def pieces() -> Iterator[bytes]:
            together.wait()
            yield b"%d" % number

        try:
            store.write("claim", pieces(), "text/plain")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(write, range(6)))
    assert won.count(True) == 1 and store.get("claim") == b"%d" % won.index(True)


def test_an_address_names_the_object(store: ObjectStore) -> None:
    assert "look/segment_0.png" in unquote(store.url("look/segment_0.png"))


BAD = ["", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "a/.", ".", "..", "a\0b", "a\\b", "a/", ".tmp/lock"]
BAD += ["x" * 256, "a/" * 600 + "b", "\ud800", "a\nb", "a\rb", "\u00e4" * 128, "\u00e4/" * 400 + "b"]
BAD += [".well-known/x"]


@pytest.mark.parametrize("path", BAD)
@pytest.mark.parametrize("call", ["put", "get", "read", "write", "stat", "delete", "url"])
def test_a_path_that_leads_elsewhere_is_refused(store: ObjectStore, path: str, call: str) -> None:
    more = {"put": (b"x", PNG), "write": ([b"x"], PNG)}.get(call, ())
    with pytest.raises(InvalidField):
        found = getattr(store, call)(path, *more)
        # nothing is looked for before the first piece is asked for
        list(found if call == "read" else [])


@pytest.mark.parametrize("prefix", ["/x/", "../", "a//b", "a/../b", "a\nb/", "\ud800"])
def test_a_prefix_that_leads_elsewhere_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidField):
        paths(store, prefix)


def test_names_that_cloud_storage_and_disks_take_are_taken(store: ObjectStore) -> None:
    names = ["a b.png", "\u00e4%2F+&=?#.png", "~*:.png", "..a", "\U0001f457/x", "\uffff/x", "x" * 255, "\u00e4" * 127]
    names += ["x/.tmp/y", "x/.well-known"]
    for name in names:
        store.put(name, name.encode(), PNG)
        assert store.get(name) == name.encode()
    assert paths(store) == sorted(names)


def test_a_fake_that_is_away_raises_everywhere() -> None:
    store = FakeStore()
    store.away = True
    for call in (lambda path: store.put(path, b"", PNG), store.get, store.stat, store.list, store.delete, store.url):
        with pytest.raises(Unavailable):
            call("a")
