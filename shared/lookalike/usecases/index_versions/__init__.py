"""Index versions in the object store: immutable and signed, with one pointer object that says which one counts.

Each embedder has its own, side by side in `index/<embedder>/`.
"""

import hashlib
import hmac
import logging
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np

from lookalike.domain.errors import Conflict, LookalikeError, Misconfigured, NotFound, Untrusted
from lookalike.domain.model import Manifest
from lookalike.domain.paths import INDEX_PREFIX
from lookalike.domain.ports import ApproximateFormat, Approximation, Clock, IndexFormat, ObjectStore, VectorIndex
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.domain.vector_source import VectorSource

log = logging.getLogger("lookalike.index")
POINTER, MANIFEST = "current.json", "manifest.json"
KEPT_VERSIONS = 3
"""Versions that stay: the current one, and those that readers may still be loading."""
MIN_RECALL = 0.99
"""Share of the ten nearest that an approximate index must find; a version that finds fewer is not published."""
OVERTAKEN = "Another index version was published in the meantime"
PIECE = 16 << 20
JSON, BINARY = "application/json", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class PointerState:
    """Which version counts; `generation` is the pointer object's.

    `pinned`: somebody wants this very version, and scheduled builds leave it.
    """

    version: str
    commit: int
    generation: int
    pinned: bool = False


class IndexVersions:
    """Reads and publishes the versions of one embedder, whose vectors have length `dim`.

    `key` signs manifests and pointer, so that only we can have written them. Versions of more than `above` rows have an
    approximate index, too, and are searched in that.
    """

    def __init__(
        self,
        store: ObjectStore,
        index_format: IndexFormat,
        key: bytes,
        embedder: str,
        dim: int,
        clock: Clock,
        approximate: ApproximateFormat | None = None,
        approximate_above: int = 100_000,
    ) -> None:
        if not key:
            raise Misconfigured("The key that signs index versions is empty")
        self._store, self._format, self._key, self._clock = store, index_format, key, clock
        self._approximate, self._above = approximate, approximate_above
        self.embedder, self.dim = embedder, dim
        self._folder = f"{INDEX_PREFIX}{embedder}/"

    @property
    def pointer_path(self) -> str:
        return f"{self._folder}{POINTER}"

    def publish(
        self,
        source: VectorSource,
        commit: int,
        started: datetime,
        previous: Manifest | None = None,
        expected_generation: int | None = None,
    ) -> Manifest:
        """Build, write and switch to a version of these rows, all that were written up to that commit.

        The first of them may be those of the version that it `extends`. Raises `Conflict` if the pointer moved since this
        began, or is of another generation than `instead_of`, or if the current version is newer; what `Rows.pages` raises;
        `LookalikeError` for too low a recall.
        """
        if source.dim != self.dim:
            raise LookalikeError(f"Vectors have length {source.dim}, not {self.dim}")
        generation = self._replaceable(commit, expected_generation)
        manifest = self._write(self._new_name(), source, commit, started, previous)
        self._switch(manifest, generation)
        self._prune(manifest.version)
        return manifest

    def pointer_generation(self) -> int:
        """That of the pointer, whether it can be trusted or not; 0 where there is none."""
        there = self._store.stat(self.pointer_path)
        return there.generation if there else 0

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """What the pointer says, none before the first version. Cheap where that is what is `known`.

        Raises `Untrusted` for a pointer that we did not write.
        """
        there = self._store.stat(self.pointer_path)
        if there is None:
            return None
        if known and known.generation == there.generation:
            return known
        return self._opened(there.generation)

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        """A whole version, verified. Raises `Untrusted` if anything does not fit, `NotFound` if it is not there (any more)."""
        manifest = self._fitting(version)
        index = self._loaded(manifest)
        if index.row_count != manifest.rows:
            raise Untrusted(f"Index version {version} has {index.row_count} rows, not {manifest.rows}")
        return manifest, index

    def vector_source(self, version: str) -> tuple[Manifest, VectorSource]:
        """What a version was built of, streamed from it. Raises as `read` does, some of it only while the rows pass by."""
        manifest = self._fitting(version)
        return manifest, self._format.read_vectors(manifest.rows, self.dim, partial(self._pieces, manifest))

    def verify_parts(self, manifest: Manifest) -> None:
        """Raises `Untrusted` if not every byte is what it was, `NotFound`."""
        for name in manifest.parts:
            deque(self._pieces(manifest, name), maxlen=0)

    def read_manifest(self, version: str) -> Manifest:
        """Raises `Untrusted`, `NotFound`."""
        what = f"The manifest of index version {version}"
        content = verify_json(self._store.get(self._path(version, MANIFEST)), self._key, what)
        try:
            manifest = Manifest(**content)
        except TypeError as error:
            raise Untrusted(f"{what} has other fields") from error
        if manifest.version != version:
            raise Untrusted(f"{what} is that of {manifest.version}")
        return manifest

    def list_manifests(self) -> Sequence[Manifest]:
        """Of the versions that can be trusted, oldest first."""
        found = (self._trusted(version) for version in self._names())
        return [manifest for manifest in found if manifest]

    def roll_back(self, version: str | None = None) -> Manifest:
        """Have an older version count again: the one named, or else the last one before the current one.

        It is pinned: scheduled builds leave it, until somebody publishes another. Rows written since are found all the same.
        Raises `NotFound`, `Untrusted` if it is not whole, and `Conflict` if another was published in the meantime.
        """
        current = self.current()
        if current is None:
            raise NotFound("There is no index version to go back from")
        name = version or self._before(current.version)
        # whole and loadable, before anybody is sent there
        manifest, _ = self.load(name)
        self._point(manifest, current.generation, pinned=True)
        return manifest

    def _before(self, version: str) -> str:
        older = [one.version for one in self.list_manifests() if one.version < version]
        if not older:
            raise NotFound(f"There is no index version of {self.embedder} before {version}")
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
            return self.read_manifest(version)
        except NotFound:
            # being written, or just deleted
            return None
        except Untrusted as error:
            log.warning("Passed over: %s", error)
            return None

    def _fitting(self, version: str) -> Manifest:
        """Its manifest. Raises `Untrusted` if it is of something else than we are for."""
        manifest = self.read_manifest(version)
        wanted = {"format": self._format.name, "embedder": self.embedder, "dimension": self.dim}
        for name, value in wanted.items():
            if getattr(manifest, name) != value:
                raise Untrusted(f"Index version {version} has the {name} {getattr(manifest, name)!r}, not {value!r}")
        return manifest

    def _loaded(self, manifest: Manifest) -> VectorIndex:
        if manifest.approximate is None:
            return self._format.load({name: self._part(manifest, name) for name in manifest.parts})
        return self._approximating(manifest).load(self._large_part(manifest))

    def _approximating(self, manifest: Manifest) -> ApproximateFormat:
        if self._approximate is None:
            raise Misconfigured(f"Index version {manifest.version} is searched with faiss: install lookalike[scale]")
        told = manifest.approximate or {}
        if told.get("format") != self._approximate.name or self._approximate.part_name not in manifest.parts:
            raise Untrusted(f"Index version {manifest.version} has the approximate format {told.get('format')!r}")
        return self._approximate

    def _large_part(self, manifest: Manifest) -> memoryview:
        """That of the approximate index, in memory once, and verified while it arrives."""
        name = self._approximating(manifest).part_name
        there = self._store.stat(self._path(manifest.version, name))
        data, filled = np.empty(there.size if there else 0, np.uint8), 0
        for piece in self._pieces(manifest, name):
            end = filled + len(piece)
            if end > len(data):
                raise Untrusted(f"{name} of index version {manifest.version} grows while it is read")
            data[filled:end] = np.frombuffer(piece, np.uint8)
            filled = end
        return data.data

    def _part(self, manifest: Manifest, name: str) -> bytes:
        path = self._path(manifest.version, name)
        data = self._store.get(path)
        _require(_sha256(data), manifest.parts[name], path)
        return data

    def _pieces(self, manifest: Manifest, name: str) -> Iterator[bytes]:
        """Of a part too large for memory. Raises `Untrusted` behind the last one, if they were not all what they should be."""
        path, digest = self._path(manifest.version, name), hashlib.sha256()
        for piece in self._store.read(path):
            digest.update(piece)
            yield piece
        _require(digest.hexdigest(), manifest.parts[name], path)

    def _opened(self, generation: int) -> PointerState:
        content = verify_json(self._store.get(self.pointer_path), self._key, "The pointer to the index version")
        try:
            return PointerState(**content, generation=generation)
        except TypeError as error:
            raise Untrusted("The pointer to the index version has other fields") from error

    def _replaceable(self, commit: int, seen: int | None) -> int:
        """The generation of the pointer that may be replaced. Raises `Conflict`."""
        generation = self.pointer_generation()
        if seen not in (None, generation):
            raise Conflict(OVERTAKEN)
        try:
            current = self._opened(generation) if generation else None
        except Untrusted as error:
            log.warning("%s; it is replaced", error)
            return generation
        if current and current.commit > commit:
            text = f"Index version {current.version} is newer than the catalog: commit {current.commit}, not {commit}"
            raise Conflict(f"{text}. If the catalog was restored from a backup, delete {self.pointer_path}")
        return generation

    def _new_name(self) -> str:
        """In the order in which they are built."""
        moment = self._clock().astimezone(UTC)
        return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03}Z-{secrets.token_hex(3)}"

    def _write(
        self, version: str, rows: VectorSource, commit: int, started: datetime, extends: Manifest | None
    ) -> Manifest:
        """The parts, and behind them the manifest; nothing, where any of it fails."""
        try:
            # first what may turn out not to be good enough
            found = self._approximated(version, rows, extends)
            parts = {name: self._stream(version, name, pieces) for name, pieces in self._format.build(rows)}
            manifest = self._manifest(version, rows, commit, started, parts)
            if found:
                manifest = self._with(manifest, *found)
            self._store.put(self._path(version, MANIFEST), sign_json(asdict(manifest), self._key), JSON)
        except Exception:
            self._discard(version)
            raise
        return manifest

    def _manifest(
        self, version: str, rows: VectorSource, commit: int, started: datetime, parts: Mapping[str, str]
    ) -> Manifest:
        moment = self._clock().astimezone(UTC)
        return Manifest(
            version=version,
            format=self._format.name,
            embedder=self.embedder,
            metric="cosine",
            rows=len(rows),
            dimension=self.dim,
            highest_row_id=int(rows.row_ids.max(initial=0)),
            commit=commit,
            built_at=moment.isoformat(timespec="seconds"),
            build_seconds=round((moment - started).total_seconds(), 3),
            libraries=dict(self._format.libraries),
            parts=parts,
        )

    def _approximated(
        self, version: str, rows: VectorSource, extends: Manifest | None
    ) -> tuple[ApproximateFormat, Approximation, str] | None:
        """What it is built with, itself and the SHA-256 of its part, where there are so many rows."""
        if len(rows) <= self._above:
            return None
        if self._approximate is None:
            log.warning("%d rows, and no approximate index for them: install lookalike[scale]", len(rows))
            return None
        before = self._large_part(extends) if extends and extends.approximate else None
        built = self._approximate.build(rows, before)
        if built.recall < MIN_RECALL:
            raise LookalikeError(f"The approximate index finds {built.recall} of the nearest, not {MIN_RECALL}")
        pieces = (bytes(built.data[start : start + PIECE]) for start in range(0, len(built.data), PIECE))
        return self._approximate, built, self._stream(version, self._approximate.part_name, pieces)

    @staticmethod
    def _with(manifest: Manifest, used: ApproximateFormat, built: Approximation, digest: str) -> Manifest:
        told = {"format": used.name, "recall": built.recall, "queries": built.queries, **built.settings}
        return replace(
            manifest,
            libraries={**manifest.libraries, **used.libraries},
            parts={**manifest.parts, used.part_name: digest},
            approximate=told,
        )

    def _stream(self, version: str, name: str, pieces: Iterable[bytes]) -> str:
        """Its SHA-256."""
        digest = hashlib.sha256()

        def passing() -> Iterator[bytes]:
            for piece in pieces:
                digest.update(piece)
                yield piece

        self._store.write(self._path(version, name), passing(), JSON if name.endswith(".json") else BINARY)
        return digest.hexdigest()

    def _switch(self, manifest: Manifest, generation: int) -> None:
        try:
            self._point(manifest, generation)
        except Conflict:
            self._discard(manifest.version)
            raise

    def _point(self, manifest: Manifest, generation: int, pinned: bool = False) -> None:
        """Have the pointer of that generation name this version. Raises `Conflict`."""
        data = sign_json({"version": manifest.version, "commit": manifest.commit, "pinned": pinned}, self._key)
        try:
            self._store.put(self.pointer_path, data, JSON, generation)
        except Conflict:
            # a write that was repeated because its answer was lost conflicts with itself
            if self._store.get(self.pointer_path) != data:
                raise Conflict(OVERTAKEN) from None

    def _prune(self, ours: str) -> None:
        try:
            for version in self._outdated(ours):
                self._remove(version)
        except LookalikeError:
            # the new version is in use; the next one's publisher tries again
            log.warning("Old index versions could not be deleted", exc_info=True)

    def _outdated(self, ours: str) -> Sequence[str]:
        """What is older than the versions that stay; not what others are writing now, though it comes to nothing."""
        pointer = self.current()
        used = {ours, pointer.version if pointer else ours}
        others = [name for name in self._names() if name not in used]
        whole = [name for name in others if self._store.stat(self._path(name, MANIFEST))]
        kept = whole[len(used) - KEPT_VERSIONS :]
        return [name for name in others if kept and name < kept[0]]

    def _discard(self, version: str) -> None:
        """Of a version that never counted, as far as the store lets us: `prune` deletes the rest."""
        try:
            self._remove(version)
        except LookalikeError:
            log.warning("Half an index version stays behind: %s", version, exc_info=True)

    def _remove(self, version: str) -> None:
        for one in [*self._store.list(self._path(version, ""))]:
            self._store.delete(one.path)

    def _names(self) -> Sequence[str]:
        """Oldest first."""
        paths = (one.path.removeprefix(self._folder).split("/") for one in self._store.list(self._folder))
        return sorted({parts[0] for parts in paths if len(parts) == 2})

    def _path(self, version: str, name: str) -> str:
        return f"{self._folder}{version}/{name}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _require(found: str, wanted: str, path: str) -> None:
    if not hmac.compare_digest(found, wanted):
        raise Untrusted(f"{path} fails its checksum")
