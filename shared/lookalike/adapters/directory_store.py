"""A directory as bucket: whole files only, one winner among processes, a generation for every write."""

import fcntl
import hashlib
import hmac
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import quote

from lookalike.domain.errors import Conflict, Forbidden, NotFound, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import check_path, check_prefix, is_path

PRIVATE = ".tmp"
"""Where files are written before they are moved to their place; no object's name starts with it."""
STALE = 86_400
"""Seconds after which what stands there is of a write that was killed."""
PIECE = 16 << 20
"""Bytes of a large file that are read at a time."""


class DirectoryStore:
    """The port `ObjectStore`. A generation is the file's time in nanoseconds, made greater with each write under a lock.

    The time needs no second file that could disagree, moves with the content in one rename, and, unlike an inode's number,
    is never used again.
    """

    def __init__(self, root: Path, url_base: str, signing_key: bytes) -> None:
        self._root, self._url_base, self._key = root.absolute(), url_base, signing_key

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        place = self._place(path)
        with _disk(), self._written([data]) as new:
            with self._locked():
                there = self._stat(path, place)
                if there and if_generation == 0 and place.read_bytes() == data:
                    generation = there.generation
                elif (there.generation if there else 0) != if_generation:
                    raise Conflict(f"{path} was written by another")
                else:
                    generation = self._move(new, place)
            self._settle(place.parent)
        return StoredObject(path, len(data), generation, hashlib.sha256(data).hexdigest(), _moment(generation))

    def get(self, path: str) -> bytes:
        place = self._place(path)
        with _translated(path):
            if self._stat(path, place) is None:
                raise NotFound(f"No object {path}")
            return place.read_bytes()

    def read(self, path: str) -> Iterator[bytes]:
        place = self._place(path)
        with _translated(path):
            if self._stat(path, place) is None:
                raise NotFound(f"No object {path}")
            with place.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece

    def write(self, path: str, pieces: Iterable[bytes], content_type: str) -> StoredObject:
        place = self._place(path)
        self._forget_killed()
        with _disk(), self._written(pieces) as new:
            size = new.stat().st_size
            with self._locked():
                if self._stat(path, place):
                    raise Conflict(f"{path} was written by another")
                generation = self._move(new, place)
            self._settle(place.parent)
        return StoredObject(path, size, generation, None, _moment(generation))

    def stat(self, path: str) -> StoredObject | None:
        place = self._place(path)
        with _translated(path):
            return self._stat(path, place)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        folder = prefix.rpartition("/")[0]
        start = self._place(folder) if folder else self._root
        for path in self._walk(start, folder):
            if path.startswith(prefix) and is_path(path) and (found := self.stat(path)):
                yield found

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        place = self._place(path)
        with _translated(path), self._locked():
            there = self._stat(path, place)
            if there is None:
                return False
            if if_generation not in (None, there.generation):
                raise Conflict(f"{path} was written by another")
            place.unlink()
            self._remove_empty(place.parent)
        return True

    def url(self, path: str, seconds: int = 3600) -> str:
        self._place(path)
        expires = int(time.time()) + seconds
        return f"{self._url_base}/{quote(path)}?expires={expires}&signature={self._signature(path, str(expires))}"

    def open_url(self, path: str, expires: str, signature: str) -> bytes:
        """What a signed address names. Raises `Forbidden` if it is not ours or too old, `NotFound`."""
        if not hmac.compare_digest(self._signature(path, expires).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden("The address is not signed by this server")
        if int(expires) < time.time():
            raise Forbidden("The address has expired")
        return self.get(path)

    def _signature(self, path: str, expires: str) -> str:
        # no path has a line break, so that nothing can be shifted from one to the other
        return hmac.new(self._key, f"{expires}\n{path}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _place(self, path: str) -> Path:
        """Raises `InvalidField` for what could lead elsewhere."""
        check_path(path)
        return self._root.joinpath(*path.split("/"))

    def _is_linked(self, place: Path) -> bool:
        """Whether a link stands in the way, which could lead anywhere."""
        below = takewhile(lambda one: one != self._root, (place, *place.parents))
        return any(one.is_symlink() for one in below)

    def _stat(self, path: str, place: Path) -> StoredObject | None:
        if self._is_linked(place):
            return None
        try:
            found = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        # archives unpack to files of 1970, and 0 would mean that there is none
        generation = max(found.st_mtime_ns, 1)
        return StoredObject(path, found.st_size, generation, None, _moment(generation))

    @contextmanager
    def _written(self, pieces: Iterable[bytes]) -> Iterator[Path]:
        """A file with that content, safely on the disk, where nobody looks for objects."""
        (self._root / PRIVATE).mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._root / PRIVATE, delete=False) as file:
            try:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
                yield Path(file.name)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _forget_killed(self) -> None:
        """Large ones fill a disk."""
        for file in (self._root / PRIVATE).glob("tmp*"):
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - STALE:
                    file.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes that use this directory."""
        (self._root / PRIVATE).mkdir(parents=True, exist_ok=True)
        with (self._root / PRIVATE / "lock").open("a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _move(self, new: Path, place: Path) -> int:
        """Its generation. Needs the lock, under which they only grow."""
        if self._is_linked(place):
            raise Conflict("A link stands where the object belongs")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            generation = self._next_generation()
            os.utime(new, ns=(generation, generation))
            new.replace(place)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise Conflict("A directory cannot hold an object and others below its name") from error
        return generation

    def _next_generation(self) -> int:
        last = self._root / PRIVATE / "last"
        before = last.stat().st_mtime_ns if last.exists() else 0
        last.touch()
        # some disks keep whole microseconds, or two seconds: what counts is what can be read back
        for step in (1, 10**3, 10**6, 2 * 10**9):
            moment = max(time.time_ns(), before + step)
            os.utime(last, ns=(moment, moment))
            if (kept := last.stat().st_mtime_ns) > before:
                return kept
        raise Unavailable("The bucket's disk cannot tell writes apart")

    def _walk(self, folder: Path, path: str) -> Iterator[str]:
        entries: list[os.DirEntry[str]] = []
        with _translated(path), suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
            entries = [entry for entry in found if path or entry.name != PRIVATE]
        # a folder sorts as its objects do: with the slash
        for entry in sorted(entries, key=lambda one: one.name + "/" * one.is_dir(follow_symlinks=False)):
            inside = f"{path}/{entry.name}" if path else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), inside)
            else:
                yield inside

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent

    def _settle(self, folder: Path) -> None:
        """Bring the entries of the folder, and its own, to the disk."""
        while folder != self._root.parent:
            _settle(folder)
            folder = folder.parent


def _settle(folder: Path) -> None:
    """It may have been deleted with its last object since."""
    with suppress(FileNotFoundError, NotADirectoryError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _moment(generation: int) -> datetime:
    return datetime.fromtimestamp(generation / 1e9, UTC)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    with _disk():
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(f"No object {path}") from error


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The bucket cannot be used: {error.strerror}") from error
