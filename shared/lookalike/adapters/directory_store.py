"""Object store in a local directory, with atomic writes, generations and locking between processes."""

import fcntl
import hashlib
import hmac
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote
from uuid import uuid4

from lookalike.domain.errors import Conflict, Forbidden, NotFound, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import check_path, check_prefix, is_valid_path

PRIVATE_DIRECTORY = ".tmp"
"""Holds unfinished files, the lock and the last generation. Object paths cannot start with it."""
STALE_SECONDS = 86_400
"""Age after which an unfinished file is taken for the rest of a killed write and deleted."""
CHUNK_SIZE = 16 << 20
"""Bytes per chunk when an object is read."""


class DirectoryStore:
    """Directory implementation of the port `ObjectStore`.

    The generation of an object is the modification time of its file in nanoseconds, increased with every write under a
    lock. It needs no second file that could disagree, is set by the same rename as the content and, unlike an inode
    number, is never reused.
    """

    is_remote = False

    def __init__(self, root: Path, url_base: str, signing_key: bytes) -> None:
        self._root, self._url_base, self._key = root.absolute(), url_base, signing_key
        self._private = self._root / PRIVATE_DIRECTORY
        self._sync = DirectorySync()

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write an object if its current generation is `if_generation`; 0 means that it must not exist.

        Raises `Conflict` otherwise. Creating an object that exists with the same bytes succeeds.
        """
        return self._put(path, data, if_generation, is_durable=True)

    def put_temporary(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write an object like `put`, without waiting for the disk: a power failure can lose or truncate it."""
        return self._put(path, data, if_generation, is_durable=False)

    def _put(self, path: str, data: bytes, if_generation: int, is_durable: bool) -> StoredObject:
        file = self._file(path)
        with _translate_disk_errors(), self._temporary_file([data], is_durable) as temporary:
            with self._lock():
                existing = self._stat(path, file)
                if existing and if_generation == 0 and file.read_bytes() == data:
                    generation = existing.generation
                elif (existing.generation if existing else 0) != if_generation:
                    raise Conflict(f"{path} was changed by another writer")
                else:
                    generation = self._move(temporary, path, file)
            if is_durable:
                self._sync_directories(path)
        return StoredObject(path, len(data), generation, hashlib.sha256(data).hexdigest(), _to_datetime(generation))

    def get(self, path: str) -> bytes:
        """Return the bytes of an object. Raises `NotFound`."""
        file = self._file(path)
        with _translate_errors(path):
            if self._stat(path, file) is None:
                raise NotFound(f"The object {path} does not exist")
            return file.read_bytes()

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of an object in chunks of `CHUNK_SIZE`. Raises `NotFound`."""
        file = self._file(path)
        with _translate_errors(path):
            if self._stat(path, file) is None:
                raise NotFound(f"The object {path} does not exist")
            with file.open("rb") as content:
                while chunk := content.read(CHUNK_SIZE):
                    yield chunk

    def write(self, path: str, chunks: Iterable[bytes], content_type: str) -> StoredObject:
        """Create an object from chunks. It appears when it is complete. Raises `Conflict` if it exists."""
        file = self._file(path)
        self._delete_stale_files()
        with _translate_disk_errors(), self._temporary_file(chunks) as temporary:
            size = temporary.stat().st_size
            with self._lock():
                if self._stat(path, file):
                    raise Conflict(f"{path} was changed by another writer")
                generation = self._move(temporary, path, file)
            self._sync_directories(path)
        return StoredObject(path, size, generation, None, _to_datetime(generation))

    def stat(self, path: str) -> StoredObject | None:
        """Return the metadata of an object, or `None` if it does not exist."""
        file = self._file(path)
        with _translate_errors(path):
            return self._stat(path, file)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose paths start with `prefix`, sorted by path."""
        check_prefix(prefix)
        folder = prefix.rpartition("/")[0]
        start = self._file(folder) if folder else self._root
        for path in self._walk(start, folder):
            if path.startswith(prefix) and is_valid_path(path) and (stored := self.stat(path)):
                yield stored

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        """Delete an object. Returns whether it existed. Raises `Conflict` if it has another generation."""
        file = self._file(path)
        with _translate_errors(path), self._lock():
            existing = self._stat(path, file)
            if existing is None:
                return False
            if if_generation not in (None, existing.generation):
                raise Conflict(f"{path} was changed by another writer")
            file.unlink()
            self._remove_empty_directories(file.parent)
        return True

    def url(self, path: str, expires_in: int = 3600) -> str:
        """Return a signed URL of the object, valid for `expires_in` seconds."""
        check_path(path)
        expires = int(time.time()) + expires_in
        return f"{self._url_base}/{quote(path)}?expires={expires}&signature={self._signature(path, str(expires))}"

    def open_url(self, path: str, expires: str, signature: str) -> bytes:
        """Return the object of a signed URL. Raises `Forbidden` for a wrong signature or an expired URL, `NotFound`."""
        # Compared in constant time: the duration of a comparison must not reveal the signature.
        if not hmac.compare_digest(self._signature(path, expires).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden("The signature of the URL is not valid")
        if int(expires) < time.time():
            raise Forbidden("The URL has expired: request a new one")
        return self.get(path)

    def _signature(self, path: str, expires: str) -> str:
        # Paths cannot contain a line break, so no characters can be moved between the two parts.
        return hmac.new(self._key, f"{expires}\n{path}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _file(self, path: str) -> Path:
        """Return the file of an object. Raises `InvalidField` for a path that could leave the directory."""
        check_path(path)
        return self._root / path

    def _has_symlink(self, path: str) -> bool:
        """Return whether the file or a directory above it is a symbolic link, which could leave the directory."""
        parts = path.split("/")
        return any(self._root.joinpath(*parts[:end]).is_symlink() for end in range(1, len(parts) + 1))

    def _stat(self, path: str, file: Path) -> StoredObject | None:
        if self._has_symlink(path):
            return None
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        # At least 1: archives can unpack files with the time 0, but generation 0 means that there is no object.
        generation = max(status.st_mtime_ns, 1)
        return StoredObject(path, status.st_size, generation, None, _to_datetime(generation))

    @contextmanager
    def _temporary_file(self, chunks: Iterable[bytes], is_durable: bool = True) -> Iterator[Path]:
        """Write a file with this content in the private directory. Deleted unless it is moved.

        With `is_durable`, the content is on disk when the context begins.
        """
        file = self._private / f"tmp{uuid4().hex}"
        try:
            with self._open_private(file.name, "xb") as content:
                content.writelines(chunks)
                content.flush()
                if is_durable:
                    # Before the rename: after a power failure the name must not point to missing content.
                    os.fsync(content.fileno())
            yield file
        finally:
            file.unlink(missing_ok=True)

    def _open_private(self, name: str, mode: str) -> BinaryIO:
        """Open a file in the private directory, which is created if it is missing."""
        try:
            return cast(BinaryIO, (self._private / name).open(mode))
        except FileNotFoundError:
            self._private.mkdir(parents=True, exist_ok=True)
            return cast(BinaryIO, (self._private / name).open(mode))

    def _delete_stale_files(self) -> None:
        """Delete what killed writes have left. Called by `write` only, whose large files could fill the disk."""
        for file in self._private.glob("tmp*"):
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - STALE_SECONDS:
                    file.unlink()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the exclusive lock of the directory, between threads and processes. A killed process releases it."""
        with self._open_private("lock", "a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _move(self, temporary: Path, path: str, file: Path) -> int:
        """Move a finished file to its path and return its generation. Requires the lock. Raises `Conflict`."""
        if self._has_symlink(path):
            raise Conflict("The path contains a symbolic link: delete the link or choose another path")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            generation = self._next_generation()
            os.utime(temporary, ns=(generation, generation))
            temporary.replace(file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise Conflict("An object cannot have the name of a directory, or lie below another object") from error
        return generation

    def _next_generation(self) -> int:
        """Return a generation greater than all before, and store it as the time of the file `last`. Requires the lock."""
        last = self._private / "last"
        try:
            previous = last.stat().st_mtime_ns
        except FileNotFoundError:
            last.touch()
            previous = 0
        # File systems round times: to 1 ns, 1 us, 1 ms or 2 s (FAT). Take the smallest step that can be read back.
        for step in (1, 10**3, 10**6, 2 * 10**9):
            moment = max(time.time_ns(), previous + step)
            os.utime(last, ns=(moment, moment))
            if (stored := last.stat().st_mtime_ns) > previous:
                return stored
        raise Unavailable("The file system of the bucket cannot store increasing modification times")

    def _walk(self, folder: Path, path: str) -> Iterator[str]:
        """Yield the paths of all files below a folder, sorted. Symbolic links are not followed."""
        entries: list[os.DirEntry[str]] = []
        with _translate_errors(path), suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
            entries = [entry for entry in found if path or entry.name != PRIVATE_DIRECTORY]
        # A folder sorts as its name with a slash, in which its objects' paths continue: "a-b" < "a/b" < "ab".
        for entry in sorted(entries, key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False)):
            entry_path = f"{path}/{entry.name}" if path else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), entry_path)
            else:
                yield entry_path

    def _remove_empty_directories(self, folder: Path) -> None:
        # rmdir fails for the first folder that is not empty, which ends the loop.
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent

    def _sync_directories(self, path: str) -> None:
        """Sync the entries of all folders from that of the object up to the root to disk."""
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            self._sync.sync(str(self._root / folder))


class DirectorySync:
    """Makes new entries of directories durable. Thread-safe.

    A sync covers every entry that existed when it began. So of the threads that wait for a running sync of the same
    directory, one syncs again, and the others share its result (group commit).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._directories: dict[str, SharedSync] = {}

    def sync(self, directory: str) -> None:
        """Return once the directory's present entries are on disk. Does nothing if the directory does not exist."""
        with self._lock:
            shared = self._directories.setdefault(directory, SharedSync(directory))
            shared.users += 1
        try:
            shared.sync()
        finally:
            with self._lock:
                shared.users -= 1
                if not shared.users:
                    del self._directories[directory]


class SharedSync:
    """Syncs one directory. Exists while `users` threads wait for it."""

    def __init__(self, directory: str) -> None:
        self.users = 0
        self._directory, self._lock = directory, threading.Lock()
        self._started = self._last_successful = 0

    def sync(self) -> None:
        """Return once a sync that began after this call has succeeded."""
        started_at_call = self._started
        with self._lock:
            if self._last_successful > started_at_call:
                return
            self._started += 1
            self._fsync()
            self._last_successful = self._started

    def _fsync(self) -> None:
        # The directory may be missing: another process can delete an object and its folder at any time.
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _to_datetime(generation: int) -> datetime:
    return datetime.fromtimestamp(generation / 1e9, UTC)


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    with _translate_disk_errors():
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(f"The object {path} does not exist") from error


@contextmanager
def _translate_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The bucket directory cannot be used: {error.strerror}") from error
