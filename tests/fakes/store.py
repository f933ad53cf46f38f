"""Object store in memory. It passes the contract tests of the real ones."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lookalike.domain.errors import Conflict, NotFound, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import check_path, check_prefix

CHUNK_SIZE = 1000
"""Bytes. Small, so that tests read most objects in several chunks."""


@dataclass(frozen=True)
class StoredData:
    """Content and metadata of an object."""

    data: bytes
    content_type: str
    metadata: StoredObject


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FakeStore:
    """Contains its `objects` by path. Set `is_unavailable` to make every method raise `Unavailable`."""

    is_remote = False

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self.is_unavailable = False
        self.objects: dict[str, StoredData] = {}
        self._clock = clock
        self._generations = itertools.count(1)
        self._lock = threading.Lock()

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        with self._lock:
            existing = self._find(path)
            if existing and if_generation == 0 and existing.data == data:
                return existing.metadata
            if if_generation != (existing.metadata.generation if existing else 0):
                raise Conflict(f"{path} has a different generation")
            digest = hashlib.sha256(data).hexdigest()
            metadata = StoredObject(path, len(data), next(self._generations), digest, self._clock())
            self.objects[path] = StoredData(bytes(data), content_type, metadata)
            return metadata

    def put_temporary(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        return self.put(path, data, content_type, if_generation)

    def get(self, path: str) -> bytes:
        with self._lock:
            existing = self._find(path)
            if existing is None:
                raise NotFound(f"There is no object {path}")
            return existing.data

    def read(self, path: str) -> Iterator[bytes]:
        data = self.get(path)
        return (data[start : start + CHUNK_SIZE] for start in range(0, len(data), CHUNK_SIZE))

    def write(self, path: str, chunks: Iterable[bytes], content_type: str) -> StoredObject:
        data = b"".join(chunks)
        if self.stat(path):
            raise Conflict(f"{path} exists already")
        return self.put(path, data, content_type)

    def stat(self, path: str) -> StoredObject | None:
        with self._lock:
            existing = self._find(path)
            return existing.metadata if existing else None

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        check_prefix(prefix)
        with self._lock:
            self._check_available()
            return [self.objects[path].metadata for path in sorted(self.objects) if path.startswith(prefix)]

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        with self._lock:
            existing = self._find(path)
            if existing and if_generation not in (None, existing.metadata.generation):
                raise Conflict(f"{path} has a different generation")
            return self.objects.pop(path, None) is not None

    def url(self, path: str, expires_in: int = 3600) -> str:
        check_path(path)
        self._check_available()
        return f"https://store.test/{path}?seconds={expires_in}"

    def _find(self, path: str) -> StoredData | None:
        check_path(path)
        self._check_available()
        return self.objects.get(path)

    def _check_available(self) -> None:
        if self.is_unavailable:
            raise Unavailable("The store cannot be reached")
