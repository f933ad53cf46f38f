"""The contract of the port `ObjectStore`, run on every store; and what only a directory must withstand."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapters.cloud_store import CloudStore
from lookalike.adapters.directory_store import DirectoryStore
from lookalike.domain.errors import Conflict, Forbidden, InvalidField, NotFound, Unavailable
from lookalike.domain.ports import ObjectStore
from tests.fakes.store import FakeStore
from tests.standins.bucket import Conditions
from tests.standins.signatures import credentials_with_key
from tests.standins.storage_server import storage_server

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
def test_what_is_too_large_for_memory_is_downloaded_to_a_file(store: ObjectStore, tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) or b"a" * size
    store.put("weights/net.pth", data, "application/octet-stream")
    store.download("weights/net.pth", tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == data


def test_what_is_not_there_is_not_downloaded(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.download("weights/net.pth", tmp_path / "net.pth")


def test_an_address_names_the_object(store: ObjectStore) -> None:
    assert "look/segment_0.png" in unquote(store.url("look/segment_0.png"))


BAD = ["", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "a/.", ".", "..", "a\0b", "a\\b", "a/", ".tmp/lock"]
BAD += ["x" * 256, "a/" * 600 + "b", "\ud800", "a\nb", "a\rb", "\u00e4" * 128, "\u00e4/" * 400 + "b"]
BAD += [".well-known/x"]


@pytest.mark.parametrize("path", BAD)
@pytest.mark.parametrize("call", ["put", "get", "download", "stat", "delete", "url"])
def test_a_path_that_leads_elsewhere_is_refused(store: ObjectStore, path: str, call: str) -> None:
    more = {"put": (b"x", PNG), "download": (Path("/dev/null"),)}.get(call, ())
    with pytest.raises(InvalidField):
        getattr(store, call)(path, *more)


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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("ab./\\\0~*:ü\n "), max_size=12))
def test_no_path_leaves_the_bucket(tmp_path: Path, path: str) -> None:
    store = directory(tmp_path)
    outside = {one for one in tmp_path.iterdir() if one.name != "bucket"}
    try:
        store.put(path, b"x", PNG)
        assert store.get(path) == b"x" and path in paths(store)
        store.delete(path)
    except (InvalidField, Conflict):
        pass
    assert {one for one in tmp_path.iterdir() if one.name != "bucket"} == outside


def test_links_are_not_followed(tmp_path: Path) -> None:
    store = directory(tmp_path)
    store.put("a/b.png", b"x", PNG)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (tmp_path / "bucket" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "bucket" / "a" / "file").symlink_to(tmp_path / "secret" / "key")
    for path in ("link/key", "a/file"):
        with pytest.raises(NotFound):
            store.get(path)
        assert store.stat(path) is None
    assert paths(store) == ["a/b.png"] and paths(store, "link/") == []


@pytest.mark.parametrize("path", ["link/new", "link/deeper/new", "file", "loop/new"])
def test_nothing_is_written_through_links(tmp_path: Path, path: str) -> None:
    store = directory(tmp_path)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for link, target in (("link", tmp_path / "elsewhere"), ("file", tmp_path / "secret"), ("loop", "loop")):
        (tmp_path / "bucket" / link).symlink_to(target)
    with pytest.raises(Conflict):
        store.put(path, b"x", PNG)
    assert not list((tmp_path / "elsewhere").iterdir()) and (tmp_path / "bucket" / "file").is_symlink()
    assert not store.delete(path)


BEGIN = """
import resource, sys
from pathlib import Path
from lookalike.adapters.directory_store import DirectoryStore
from lookalike.domain.errors import Conflict, Unavailable
store = DirectoryStore(Path(sys.argv[1]), "", b"k")
"""


def processes(folder: Path, script: str, count: int) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", BEGIN + script, str(folder / "bucket")]
    return [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(count)]


def told(started: list[subprocess.Popen[str]]) -> list[str]:
    return [line for process in started for line in process.communicate()[0].split()]


def test_of_many_processes_one_creates(tmp_path: Path) -> None:
    script = """
for number in range(40):
    try: store.put(f"claims/{number}", sys.argv[2].encode(), "text/plain")
    except Conflict: continue
    print(number)
"""
    assert sorted(told(processes(tmp_path, script, 4)), key=int) == [str(number) for number in range(40)]


def test_no_overwrite_of_many_processes_is_lost(tmp_path: Path) -> None:
    store = directory(tmp_path)
    store.put("count", b"0", "text/plain")
    script = """
added = 0
while added < 25:
    there = store.stat("count")
    try: store.put("count", b"%d" % (int(store.get("count")) + 1), "text/plain", there.generation)
    except Conflict: continue
    added += 1
print("done")
"""
    assert told(processes(tmp_path, script, 4)) == ["done"] * 4
    assert store.get("count") == b"100"


def test_what_a_killed_writer_leaves_is_whole_and_blocks_nobody(tmp_path: Path) -> None:
    script = """
for number in range(10**6):
    store.put(f"{sys.argv[2]}/{number}", b"%d" % number * 200_000, "text/plain")
    print(number, flush=True)
"""
    store = directory(tmp_path)
    for delay in range(4):
        for process in (running := processes(tmp_path, script, 3)):
            assert process.stdout and process.stdout.readline()
            time.sleep(delay * 0.003)
            process.kill()
        told(running)
        for path in paths(store):
            number = path.split("/")[1].encode()
            assert store.get(path) == number * 200_000
            assert store.delete(path)


def test_a_full_disk_is_unavailable_and_keeps_nothing(tmp_path: Path) -> None:
    script = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try: store.put("a", bytes(10**6), "text/plain")
except Unavailable: print("unavailable")
"""
    assert told(processes(tmp_path, script, 1)) == ["unavailable"] and paths(directory(tmp_path)) == []
    assert {one.name for one in (tmp_path / "bucket" / ".tmp").iterdir()} <= {"lock", "last"}


def test_a_file_dropped_in_by_hand_is_an_object(tmp_path: Path) -> None:
    store = directory(tmp_path)
    (tmp_path / "bucket" / "incoming").mkdir(parents=True)
    (tmp_path / "bucket" / "incoming" / "dress.jpg").write_bytes(b"photo")
    (found,) = store.list("incoming/")
    assert found.generation > 0 and store.get(found.path) == b"photo"


def test_a_file_of_1970_is_an_object_and_not_overwritten(tmp_path: Path) -> None:
    store = directory(tmp_path)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "old.jpg").write_bytes(b"photo")
    os.utime(tmp_path / "bucket" / "old.jpg", (0, 0))
    with pytest.raises(Conflict):
        store.put("old.jpg", b"other", PNG)
    (found,) = store.list()
    assert found.generation > 0 and store.put("old.jpg", b"other", PNG, found.generation)


def test_an_object_and_a_folder_of_one_name_conflict(tmp_path: Path) -> None:
    store = directory(tmp_path)
    store.put("a/b", b"x", PNG)
    for path in ("a", "a/b/c"):
        with pytest.raises(Conflict):
            store.put(path, b"x", PNG)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir(mode=0o500)
    with pytest.raises(Unavailable):
        directory(tmp_path).put("a", b"x", PNG)


@pytest.mark.parametrize("folder", [".", "bucket"])
def test_a_bucket_that_is_or_lies_below_a_file_is_unavailable(tmp_path: Path, folder: str) -> None:
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(Unavailable):
        directory(tmp_path / folder).put("a", b"x", PNG)


def test_a_fake_that_is_away_raises_everywhere() -> None:
    store = FakeStore()
    store.away = True
    for call in (lambda path: store.put(path, b"", PNG), store.get, store.stat, store.list, store.delete, store.url):
        with pytest.raises(Unavailable):
            call("a")


@pytest.mark.parametrize("path", [" a.png", "q a.png", "1 a.png"])
def test_nothing_can_be_shifted_between_path_and_expiry(tmp_path: Path, path: str) -> None:
    store = directory(tmp_path)
    store.put("a.png", b"secret", PNG)
    asked = parse_qs(urlsplit(store.url(path)).query)
    for between in ("", " ", "\n"):
        with pytest.raises(Forbidden):
            expires = asked["expires"][0] + between + path.removesuffix("a.png").strip()
            store.open_url("a.png", expires, asked["signature"][0])


@pytest.mark.parametrize("asked", [("\ud800", "1", "a"), ("a", "\ud800", "a"), ("a", "1", "\ud800"), ("a", "", "")])
def test_an_address_of_anything_else_is_refused(tmp_path: Path, asked: tuple[str, str, str]) -> None:
    with pytest.raises(Forbidden):
        directory(tmp_path).open_url(*asked)


def test_a_signed_address_opens_its_object_and_no_other(tmp_path: Path) -> None:
    store = directory(tmp_path)
    store.put("look/ä b.png", b"pixels", PNG)
    address = urlsplit(store.url("look/ä b.png"))
    asked = parse_qs(address.query)
    path, expires, signature = unquote(address.path[len("/bucket/") :]), asked["expires"][0], asked["signature"][0]
    assert store.open_url(path, expires, signature) == b"pixels"
    store.put("other.png", b"secret", PNG)
    for wrong in ([("other.png"), expires, signature], [path, expires + "0", signature], [path, expires, "ä"]):
        with pytest.raises(Forbidden):
            store.open_url(*wrong)
    stale = parse_qs(urlsplit(store.url(path, seconds=-5)).query)
    with pytest.raises(Forbidden):
        store.open_url(path, stale["expires"][0], stale["signature"][0])
    store.delete(path)
    with pytest.raises(NotFound):
        store.open_url(path, expires, signature)
