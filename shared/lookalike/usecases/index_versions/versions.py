"""Publishing, reading, rolling back and pruning of index versions."""

import logging
from collections.abc import Sequence
from datetime import datetime

from lookalike.domain.errors import Conflict, LookalikeError, Misconfigured, NotFound
from lookalike.domain.model import Manifest
from lookalike.domain.ports import ApproximateFormat, Clock, IndexFormat, ObjectStore, VectorIndex
from lookalike.domain.vector_source import VectorSource
from lookalike.usecases.index_versions.builder import VersionBuilder
from lookalike.usecases.index_versions.pointer import Pointer, PointerState
from lookalike.usecases.index_versions.reader import VersionReader
from lookalike.usecases.index_versions.storage import VersionStorage

log = logging.getLogger("lookalike.index")
KEPT_VERSIONS = 3
"""Versions kept after publishing: the current one, and older ones that readers may still be loading."""


class IndexVersions:
    """Index versions of one embedder, whose vectors have `dim` dimensions.

    `key` signs manifests and the pointer. Versions of more than `approximate_above` rows are searched by an
    approximate index. Raises `Misconfigured` if the key is empty.
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
        approximate_above: int = 50_000,
    ) -> None:
        if not key:
            raise Misconfigured("The key that signs index versions is empty: set INDEX_SIGNING_KEY")
        self.embedder, self.dim = embedder, dim
        self._storage = VersionStorage(store, embedder, key)
        self._pointer = Pointer(self._storage)
        self._reader = VersionReader(self._storage, index_format, approximate, dim)
        self._builder = VersionBuilder(self._storage, self._reader, index_format, approximate, approximate_above, clock)

    @property
    def pointer_path(self) -> str:
        """Path of the pointer object."""
        return self._pointer.path

    def pointer_generation(self) -> int:
        """Return the generation of the pointer object without checking its content; 0 if there is none."""
        return self._pointer.generation()

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """Return the pointer to the current version, or `None` before the first version.

        Returns `known` after one metadata request if the pointer has not changed. Raises `Untrusted` for an invalid
        signature.
        """
        return self._pointer.current(known)

    def publish(
        self,
        source: VectorSource,
        commit: int,
        started: datetime,
        previous: Manifest | None = None,
        expected_generation: int | None = None,
    ) -> Manifest:
        """Build a version of these rows, make it current, and delete outdated versions.

        `source` has all rows up to `commit`. If it begins with the rows of `previous`, that version's approximate
        index may be extended. Raises `Conflict` if the pointer changed since the call began, is not of
        `expected_generation`, or names a version with later commits; what `VectorSource.pages` raises;
        `LookalikeError` for another dimension or a low recall.
        """
        if source.dim != self.dim:
            raise LookalikeError(f"Vectors have {source.dim} dimensions; expected {self.dim}")
        generation = self._pointer.replaceable_generation(commit, expected_generation)
        manifest = self._builder.build(source, commit, started, previous)
        try:
            self._pointer.replace(manifest, generation)
        except Conflict:
            self._storage.discard_unpublished(manifest.version)
            raise
        self._prune_after_publishing(manifest.version)
        return manifest

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        """Return a version's manifest and its index in memory.

        Raises `Untrusted` if a signature, checksum or row count is wrong, and `NotFound` if the version was deleted.
        Raises `Misconfigured` if it needs faiss and faiss is not installed.
        """
        return self._reader.load(version)

    def vector_source(self, version: str) -> tuple[Manifest, VectorSource]:
        """Return a version's manifest and its vectors as a stream.

        Raises as `load` does. A wrong checksum of the vectors is raised at the end of the stream.
        """
        return self._reader.vector_source(version)

    def verify_parts(self, manifest: Manifest) -> None:
        """Read every part and compare its checksum. Raises `Untrusted`, `NotFound`."""
        self._reader.verify_parts(manifest)

    def read_manifest(self, version: str) -> Manifest:
        """Return a version's manifest after checking its signature. Raises `Untrusted`, `NotFound`."""
        return self._storage.read_manifest(version)

    def list_manifests(self) -> Sequence[Manifest]:
        """Return the manifests with a valid signature, oldest first. Logs the invalid ones."""
        return self._storage.list_manifests()

    def roll_back(self, version: str | None = None) -> Manifest:
        """Make an older version current and pin it. The default is the last version before the current one.

        Scheduled builds do not replace a pinned version. Searches still find rows written after it. Raises
        `NotFound`, `Untrusted` if the version is damaged, `Conflict` if another one was published in the meantime.
        """
        current = self.current()
        if current is None:
            raise NotFound("There is no index version to roll back from: run `lookalike index build` first")
        # Load it completely before any reader is directed to it.
        manifest, _ = self.load(version or self._version_before(current.version))
        self._pointer.replace(manifest, current.generation, pinned=True)
        return manifest

    def _version_before(self, version: str) -> str:
        older = [manifest.version for manifest in self.list_manifests() if manifest.version < version]
        if not older:
            raise NotFound(f"There is no index version of {self.embedder} before {version}")
        return older[-1]

    def discard_pointer(self) -> None:
        """Delete the pointer, so that no version is current. Searches read all rows until the next build."""
        self._storage.store.delete(self._pointer.path)

    def prune(self, keep: int) -> Sequence[str]:
        """Delete all versions but the newest `keep` and the current one; return the deleted names.

        Incomplete versions count, too: one that is being written is among the newest.
        """
        current = self.current()
        outdated = self._storage.version_names()[: -keep or None]
        deleted = [version for version in outdated if current is None or version != current.version]
        for version in deleted:
            self._storage.remove(version)
        return deleted

    def _prune_after_publishing(self, published: str) -> None:
        try:
            for version in self._outdated_versions(published):
                self._storage.remove(version)
        except LookalikeError:
            # The new version is already in use. The next publish deletes the rest.
            log.warning("Could not delete old index versions", exc_info=True)

    def _outdated_versions(self, published: str) -> Sequence[str]:
        """Return the versions older than the `KEPT_VERSIONS` newest complete ones, the current one included.

        Newer incomplete versions are kept: another process may be writing them.
        """
        pointer = self.current()
        in_use = {published, pointer.version if pointer else published}
        others = [name for name in self._storage.version_names() if name not in in_use]
        complete = [name for name in others if self._storage.has_manifest(name)]
        # The versions in use count towards `KEPT_VERSIONS`.
        kept = complete[len(in_use) - KEPT_VERSIONS :]
        return [name for name in others if kept and name < kept[0]]
