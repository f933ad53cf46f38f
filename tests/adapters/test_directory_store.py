"""What only a directory as bucket must withstand: links, other processes, kills, full disks, and addresses of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.domain.errors import Conflict, Forbidden, InvalidField, NotFound, Unavailable
from tests.contracts.test_store import PNG, directory, paths


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


def test_what_killed_writes_left_is_gone_after_a_day(tmp_path: Path) -> None:
    store = directory(tmp_path)
    store.put("a", b"a", "image/png")
    old, young = (tmp_path / "bucket" / ".tmp" / name for name in ("tmpold", "tmpyoung"))
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    store.write("b", [b"b"], "image/png")
    assert not old.exists() and young.exists() and store.get("a") == b"a"
