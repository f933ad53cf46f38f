"""Directory store: symbolic links, concurrent processes, killed writers, full disks and signed URLs."""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapters.directory_store import DirectorySync
from lookalike.domain.errors import Conflict, Forbidden, InvalidField, NotFound, Unavailable
from tests.contracts.test_store import PNG, directory_store, list_paths


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("ab./\\\0~*:ü\n "), max_size=12))
def test_no_path_writes_outside_the_bucket(tmp_path: Path, path: str) -> None:
    store = directory_store(tmp_path)
    outside = {file for file in tmp_path.iterdir() if file.name != "bucket"}
    try:
        store.put(path, b"x", PNG)
        assert store.get(path) == b"x" and path in list_paths(store)
        store.delete(path)
    except (InvalidField, Conflict):
        pass
    assert {file for file in tmp_path.iterdir() if file.name != "bucket"} == outside


def test_reads_do_not_follow_symlinks(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    store.put("a/b.png", b"x", PNG)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (tmp_path / "bucket" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "bucket" / "a" / "file").symlink_to(tmp_path / "secret" / "key")
    for path in ("link/key", "a/file"):
        with pytest.raises(NotFound):
            store.get(path)
        assert store.stat(path) is None
    assert list_paths(store) == ["a/b.png"] and list_paths(store, "link/") == []


@pytest.mark.parametrize("path", ["link/new", "link/deeper/new", "file", "loop/new"])
def test_writes_do_not_follow_symlinks(tmp_path: Path, path: str) -> None:
    store = directory_store(tmp_path)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "outside").mkdir()
    for link, target in (("link", tmp_path / "outside"), ("file", tmp_path / "secret"), ("loop", "loop")):
        (tmp_path / "bucket" / link).symlink_to(target)
    with pytest.raises(Conflict):
        store.put(path, b"x", PNG)
    assert not list((tmp_path / "outside").iterdir()) and (tmp_path / "bucket" / "file").is_symlink()
    assert not store.delete(path)


SCRIPT_START = """
import resource, sys
from pathlib import Path
from lookalike.adapters.directory_store import DirectoryStore
from lookalike.domain.errors import Conflict, Unavailable
store = DirectoryStore(Path(sys.argv[1]), "", b"k")
"""


def start_processes(folder: Path, script: str, count: int) -> list[subprocess.Popen[str]]:
    """Run the script in several processes, with the bucket as `store` and the process number as `sys.argv[2]`."""
    command = [sys.executable, "-c", SCRIPT_START + script, str(folder / "bucket")]
    return [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(count)]


def read_output(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for the processes to end, and return all words they printed."""
    return [word for process in processes for word in process.communicate()[0].split()]


def test_one_of_many_processes_creates_an_object(tmp_path: Path) -> None:
    script = """
for number in range(40):
    try: store.put(f"claims/{number}", sys.argv[2].encode(), "text/plain")
    except Conflict: continue
    print(number)
"""
    created = read_output(start_processes(tmp_path, script, 4))
    assert sorted(created, key=int) == [str(number) for number in range(40)]


def test_no_overwrite_of_concurrent_processes_is_lost(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    store.put("count", b"0", "text/plain")
    script = """
added = 0
while added < 25:
    current = store.stat("count")
    try: store.put("count", b"%d" % (int(store.get("count")) + 1), "text/plain", current.generation)
    except Conflict: continue
    added += 1
print("done")
"""
    assert read_output(start_processes(tmp_path, script, 4)) == ["done"] * 4
    assert store.get("count") == b"100"


def test_killed_writer_leaves_complete_objects_and_no_lock(tmp_path: Path) -> None:
    script = """
for number in range(10**6):
    store.put(f"{sys.argv[2]}/{number}", b"%d" % number * 200_000, "text/plain")
    print(number, flush=True)
"""
    store = directory_store(tmp_path)
    for delay in range(4):
        for process in (running := start_processes(tmp_path, script, 3)):
            assert process.stdout and process.stdout.readline()
            time.sleep(delay * 0.003)
            process.kill()
        read_output(running)
        for path in list_paths(store):
            number = path.split("/")[1].encode()
            assert store.get(path) == number * 200_000
            assert store.delete(path)


def test_full_disk_is_unavailable_and_leaves_no_file(tmp_path: Path) -> None:
    script = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try: store.put("a", bytes(10**6), "text/plain")
except Unavailable: print("unavailable")
"""
    assert read_output(start_processes(tmp_path, script, 1)) == ["unavailable"]
    assert list_paths(directory_store(tmp_path)) == []
    assert {file.name for file in (tmp_path / "bucket" / ".tmp").iterdir()} <= {"lock", "last"}


def test_file_copied_into_the_bucket_is_an_object(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    (tmp_path / "bucket" / "incoming").mkdir(parents=True)
    (tmp_path / "bucket" / "incoming" / "dress.jpg").write_bytes(b"photo")
    (found,) = store.list("incoming/")
    assert found.generation > 0 and store.get(found.path) == b"photo"


def test_file_with_time_zero_is_an_object_and_not_overwritten(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "old.jpg").write_bytes(b"photo")
    os.utime(tmp_path / "bucket" / "old.jpg", (0, 0))
    with pytest.raises(Conflict):
        store.put("old.jpg", b"other", PNG)
    (found,) = store.list()
    assert found.generation > 0 and store.put("old.jpg", b"other", PNG, found.generation)


def test_object_and_folder_of_the_same_name_conflict(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    store.put("a/b", b"x", PNG)
    for path in ("a", "a/b/c"):
        with pytest.raises(Conflict):
            store.put(path, b"x", PNG)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir(mode=0o500)
    with pytest.raises(Unavailable):
        directory_store(tmp_path).put("a", b"x", PNG)


@pytest.mark.parametrize("folder", [".", "bucket"])
def test_bucket_at_or_below_a_file_is_unavailable(tmp_path: Path, folder: str) -> None:
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(Unavailable):
        directory_store(tmp_path / folder).put("a", b"x", PNG)


@pytest.mark.parametrize("path", [" a.png", "q a.png", "1 a.png"])
def test_signature_separates_path_and_expiry(tmp_path: Path, path: str) -> None:
    store = directory_store(tmp_path)
    store.put("a.png", b"secret", PNG)
    query = parse_qs(urlsplit(store.url(path)).query)
    for separator in ("", " ", "\n"):
        with pytest.raises(Forbidden):
            expires = query["expires"][0] + separator + path.removesuffix("a.png").strip()
            store.open_url("a.png", expires, query["signature"][0])


@pytest.mark.parametrize("arguments", [("\ud800", "1", "a"), ("a", "\ud800", "a"), ("a", "1", "\ud800"), ("a", "", "")])
def test_open_url_rejects_invalid_text(tmp_path: Path, arguments: tuple[str, str, str]) -> None:
    with pytest.raises(Forbidden):
        directory_store(tmp_path).open_url(*arguments)


def test_signed_url_opens_only_its_object(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    store.put("look/ä b.png", b"pixels", PNG)
    url = urlsplit(store.url("look/ä b.png"))
    query = parse_qs(url.query)
    path, expires, signature = unquote(url.path[len("/bucket/") :]), query["expires"][0], query["signature"][0]
    assert store.open_url(path, expires, signature) == b"pixels"
    store.put("other.png", b"secret", PNG)
    for wrong in (["other.png", expires, signature], [path, expires + "0", signature], [path, expires, "ä"]):
        with pytest.raises(Forbidden):
            store.open_url(*wrong)
    expired = parse_qs(urlsplit(store.url(path, expires_in=-5)).query)
    with pytest.raises(Forbidden):
        store.open_url(path, expired["expires"][0], expired["signature"][0])
    store.delete(path)
    with pytest.raises(NotFound):
        store.open_url(path, expires, signature)


def test_stale_files_of_killed_writes_are_deleted(tmp_path: Path) -> None:
    store = directory_store(tmp_path)
    store.put("a", b"a", "image/png")
    old, young = (tmp_path / "bucket" / ".tmp" / name for name in ("tmpold", "tmpyoung"))
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    store.write("b", [b"b"], "image/png")
    assert not old.exists() and young.exists() and store.get("a") == b"a"


def test_waiting_threads_share_a_sync_that_began_after_their_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end, synced = threading.Event(), threading.Event(), []

    def sync_slowly(descriptor: int) -> None:
        synced.append(descriptor)
        began.set()
        assert may_end.wait(10)

    monkeypatch.setattr(os, "fsync", sync_slowly)
    directory_sync = DirectorySync()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(directory_sync.sync, str(tmp_path))
        assert began.wait(10)
        others = [pool.submit(directory_sync.sync, str(tmp_path)) for _ in range(5)]
        while directory_sync._directories[str(tmp_path)].users < 6:
            time.sleep(0.001)
        # all wait for the lock now, or are a few instructions before it
        time.sleep(0.1)
        assert not any(other.done() for other in others)
        may_end.set()
        for future in (first, *others):
            future.result(10)
    # the first may have begun before the others' entries existed, so it does not count for them
    assert len(synced) == 2


def test_failed_sync_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    directory_sync = DirectorySync()
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            directory_sync.sync(str(tmp_path))


def test_only_durable_objects_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", sync)
    store = directory_store(tmp_path)
    claim = store.put_temporary("look/claim", b"one", "text/plain")
    assert synced == [] and store.get("look/claim") == b"one"
    store.put_temporary("look/claim", b"two", "text/plain", claim.generation)
    with pytest.raises(Conflict):
        store.put_temporary("look/claim", b"three", "text/plain")
    assert synced == [] and store.get("look/claim") == b"two"
    store.put("look/a.png", b"a", "image/png")
    content, *folders = synced
    # the entry of the folder as well, which `put_temporary` has created
    assert content.startswith("tmp") and folders == ["look", "bucket"]
