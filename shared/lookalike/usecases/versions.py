"""Index versions in the object store: immutable and signed, with one pointer object that says which one counts."""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Conflict, LookalikeError, Misconfigured, NotFound, Untrusted
from lookalike.domain.model import Manifest, Vectors
from lookalike.domain.paths import INDEX
from lookalike.domain.ports import Clock, IndexFormat, ObjectStore, VectorIndex

log = logging.getLogger("lookalike.index")
POINTER = f"{INDEX}current.json"
MANIFEST = "manifest.json"
KEPT = 3
"""Versions that stay: the current one, and those that readers may still be loading."""
JSON, BINARY = "application/json", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class PointerState:
    """Which version counts; `generation` is the pointer object's."""

    version: str
    embedder: str
    commit: int
    generation: int


class IndexVersions:
    """Reads and publishes versions. `key` signs manifests and pointer, so that only we can have written them."""

    def __init__(self, store: ObjectStore, index_format: IndexFormat, key: bytes, clock: Clock) -> None:
        if not key:
            raise Misconfigured("The key that signs index versions is empty")
        self._store, self._format, self._key, self._clock = store, index_format, key, clock

    def publish(
        self,
        embedder: str,
        dim: int,
        row_ids: NDArray[np.int64],
        vectors: Vectors,
        commit: int,
        started: datetime,
    ) -> Manifest:
        """Build, write and switch to a version of these (n,) rows and (n, dim) vectors, all rows up to that commit.

        Raises `Conflict` if another was published since this began, or if the current one is newer.
        """
        generation = self._generation(embedder, commit)
        parts = self._format.build(row_ids, _shaped(vectors, dim))
        manifest = self._manifest(embedder, dim, row_ids, commit, started, parts)
        self._write(manifest, parts)
        self._switch(manifest, generation)
        self._prune(manifest.version)
        return manifest

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """What the pointer says, none before the first version. Cheap where that is what is `known`.

        Raises `Untrusted` for a pointer that we did not write.
        """
        there = self._store.stat(POINTER)
        if there is None:
            return None
        if known and known.generation == there.generation:
            return known
        return self._opened(there.generation)

    def read(self, version: str, embedder: str, dim: int) -> tuple[Manifest, VectorIndex]:
        """A whole version, verified. Raises `Untrusted` if anything does not fit, `NotFound` if it is not there (any more)."""
        manifest = self.manifest(version)
        wanted = {"format": self._format.name, "embedder": embedder, "dimension": dim}
        for name, value in wanted.items():
            if getattr(manifest, name) != value:
                raise Untrusted(f"Index version {version} has the {name} {getattr(manifest, name)!r}, not {value!r}")
        index = self._format.load({name: self._part(manifest, name) for name in manifest.parts})
        if len(index.row_ids) != manifest.rows:
            raise Untrusted(f"Index version {version} has {len(index.row_ids)} rows, not {manifest.rows}")
        return manifest, index

    def manifest(self, version: str) -> Manifest:
        """Raises `Untrusted`, `NotFound`."""
        what = f"The manifest of index version {version}"
        content = unseal(self._store.get(_path(version, MANIFEST)), self._key, what)
        try:
            manifest = Manifest(**content)
        except TypeError as error:
            raise Untrusted(f"{what} has other fields") from error
        if manifest.version != version:
            raise Untrusted(f"{what} is that of {manifest.version}")
        return manifest

    def list(self) -> Sequence[Manifest]:
        """Of the versions that can be trusted, oldest first."""
        found = (self._trusted(version) for version in self._names())
        return [manifest for manifest in found if manifest]

    def roll_back(self, version: str | None = None) -> Manifest:
        """Have an older version count again: the one named, or else the last one before the current one of its embedder.

        Rows written since are found all the same. Raises `NotFound`, `Untrusted` if it is not whole, and `Conflict`
        if another was published in the meantime.
        """
        current = self.current()
        if current is None:
            raise NotFound("There is no index version to go back from")
        manifest = self.manifest(version) if version else self._before(current)
        # whole and loadable, before anybody is sent there
        self.read(manifest.version, manifest.embedder, manifest.dimension)
        self._point(manifest, current.generation)
        return manifest

    def _before(self, current: PointerState) -> Manifest:
        older = [one for one in self.list() if one.version < current.version and one.embedder == current.embedder]
        if not older:
            raise NotFound(f"There is no index version of {current.embedder} before {current.version}")
        return older[-1]

    def prune(self, keep: int) -> Sequence[str]:
        """Delete all but the newest `keep` versions and the current one; those deleted. Half-written ones count, too."""
        current = self.current()
        old = self._names()[: -keep or None]
        gone = [version for version in old if current is None or version != current.version]
        for version in gone:
            self._remove(version)
        return gone

    def _trusted(self, version: str) -> Manifest | None:
        try:
            return self.manifest(version)
        except NotFound:
            # being written, or just deleted
            return None
        except Untrusted as error:
            log.error("%s", error)
            return None

    def _part(self, manifest: Manifest, name: str) -> bytes:
        path = _path(manifest.version, name)
        data = self._store.get(path)
        if not hmac.compare_digest(_sha256(data), manifest.parts[name]):
            raise Untrusted(f"{path} fails its checksum")
        return data

    def _opened(self, generation: int) -> PointerState:
        content = unseal(self._store.get(POINTER), self._key, "The pointer to the index version")
        try:
            return PointerState(**content, generation=generation)
        except TypeError as error:
            raise Untrusted("The pointer to the index version has other fields") from error

    def _generation(self, embedder: str, commit: int) -> int:
        """That of the pointer that may be replaced, 0 where there is none. Raises `Conflict`."""
        there = self._store.stat(POINTER)
        if there is None:
            return 0
        try:
            current = self._opened(there.generation)
        except Untrusted as error:
            log.warning("%s; it is replaced", error)
            return there.generation
        if current.embedder == embedder and current.commit > commit:
            text = f"Index version {current.version} is newer than the catalogue: commit {current.commit}, not {commit}"
            raise Conflict(f"{text}. If the catalogue was restored from a backup, delete {POINTER}")
        return there.generation

    def _manifest(
        self,
        embedder: str,
        dim: int,
        row_ids: NDArray[np.int64],
        commit: int,
        started: datetime,
        parts: Mapping[str, bytes],
    ) -> Manifest:
        moment = self._clock().astimezone(UTC)
        return Manifest(
            # in the order in which they were built
            version=f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03}Z-{secrets.token_hex(3)}",
            format=self._format.name,
            embedder=embedder,
            metric="cosine",
            rows=len(row_ids),
            dimension=dim,
            highest_row_id=int(row_ids.max(initial=0)),
            commit=commit,
            built_at=moment.isoformat(timespec="seconds"),
            build_seconds=round((moment - started).total_seconds(), 3),
            libraries=dict(self._format.libraries),
            parts={name: _sha256(data) for name, data in parts.items()},
        )

    def _write(self, manifest: Manifest, parts: Mapping[str, bytes]) -> None:
        for name, data in parts.items():
            self._store.put(_path(manifest.version, name), data, JSON if name.endswith(".json") else BINARY)
        self._store.put(_path(manifest.version, MANIFEST), seal(asdict(manifest), self._key), JSON)

    def _switch(self, manifest: Manifest, generation: int) -> None:
        try:
            self._point(manifest, generation)
        except Conflict:
            self._remove(manifest.version)
            raise

    def _point(self, manifest: Manifest, generation: int) -> None:
        """Have the pointer of that generation name this version. Raises `Conflict`."""
        pointer = {"version": manifest.version, "embedder": manifest.embedder, "commit": manifest.commit}
        data = seal(pointer, self._key)
        try:
            self._store.put(POINTER, data, JSON, generation)
        except Conflict:
            # a write that was repeated because its answer was lost conflicts with itself
            if self._store.get(POINTER) != data:
                raise Conflict("Another index version was published in the meantime") from None

    def _prune(self, ours: str) -> None:
        try:
            pointer = self.current()
            used = {ours, pointer.version if pointer else ours}
            for version in [name for name in self._names() if name not in used][: len(used) - KEPT]:
                self._remove(version)
        except LookalikeError:
            # the new version is in use; the next one's publisher tries again
            log.warning("Old index versions could not be deleted", exc_info=True)

    def _remove(self, version: str) -> None:
        for one in [*self._store.list(_path(version, ""))]:
            self._store.delete(one.path)

    def _names(self) -> Sequence[str]:
        """Oldest first."""
        paths = (one.path.removeprefix(INDEX).split("/") for one in self._store.list(INDEX))
        return sorted({parts[0] for parts in paths if len(parts) == 2})


def seal(content: Mapping[str, object], key: bytes) -> bytes:
    """Canonical JSON of the content with its `signature`: HMAC-SHA256, in hex, over the canonical JSON of the rest."""
    signature = hmac.new(key, _canonical(content), hashlib.sha256).hexdigest()
    return _canonical({**content, "signature": signature})


def unseal(data: bytes, key: bytes, what: str) -> dict[str, Any]:
    """The content that was sealed. Raises `Untrusted` if a single byte is not as `seal` writes it."""
    try:
        content = json.loads(data)
        content.pop("signature")
        sealed = seal(content, key)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Untrusted(f"{what} cannot be read") from error
    if not hmac.compare_digest(sealed, data):
        raise Untrusted(f"{what} fails its signature")
    return dict(content)


def _canonical(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _path(version: str, name: str) -> str:
    return f"{INDEX}{version}/{name}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _shaped(vectors: Vectors, dim: int) -> Vectors:
    if len(vectors) == 0:
        return np.empty((0, dim), np.float32)
    if vectors.shape[1] != dim:
        raise LookalikeError(f"The catalogue's vectors have length {vectors.shape[1]}, not {dim}")
    return vectors
