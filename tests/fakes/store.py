"""The object store in memory. It passes the contract of the real ones."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lookalike.domain.errors import Conflict, NotFound, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import check_path, check_prefix

PIECE = 1000


@dataclass(frozen=True)
class Held:
    data: bytes
    content_type: str
    about: StoredObject


def _now() -> datetime:
    return datetime.now(UTC)


class FakeStore:
    """Set `away` to make every method raise `Unavailable`; `objects` is what it holds."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self.is_unavailable = False
        self.objects: dict[str, Held] = {}
        self._clock = clock
        self._generations = itertools.count(1)
        self._lock = threading.Lock()

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        with self._lock:
            there = self._find(path)
            if there and if_generation == 0 and there.data == data:
                return there.about
            if if_generation != (there.about.generation if there else 0):
                raise Conflict(f"{path} is of another generation")
            digest = hashlib.sha256(data).hexdigest()
            about = StoredObject(path, len(data), next(self._generations), digest, self._clock())
            self.objects[path] = Held(bytes(data), content_type, about)
            return about

    def get(self, path: str) -> bytes:
        with self._lock:
            there = self._find(path)
            if there is None:
                raise NotFound(f"No object {path}")
            return there.data

    def read(self, path: str) -> Iterator[bytes]:
        data = self.get(path)
        return (data[start : start + PIECE] for start in range(0, len(data), PIECE))

    def write(self, path: str, pieces: Iterable[bytes], content_type: str) -> StoredObject:
        data = b"".join(pieces)
        if self.stat(path):
            raise Conflict(f"{path} is there")
        return self.put(path, data, content_type)

    def stat(self, path: str) -> StoredObject | None:
        with self._lock:
            there = self._find(path)
            return there.about if there else None

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        check_prefix(prefix)
        with self._lock:
            self._reach()
            return [self.objects[path].about for path in sorted(self.objects) if path.startswith(prefix)]

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        with self._lock:
            there = self._find(path)
            if there and if_generation not in (None, there.about.generation):
                raise Conflict(f"{path} is of another generation")
            return self.objects.pop(path, None) is not None

    def url(self, path: str, expires_in: int = 3600) -> str:
        check_path(path)
        self._reach()
        return f"https://store.test/{path}?seconds={expires_in}"

    def _find(self, path: str) -> Held | None:
        check_path(path)
        self._reach()
        return self.objects.get(path)

    def _reach(self) -> None:
        if self.is_unavailable:
            raise Unavailable("The store cannot be reached")
