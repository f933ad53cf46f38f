"""Loading of index versions, with every byte verified before it is used."""

from collections import deque
from dataclasses import dataclass
from functools import partial

from lookalike.domain.errors import Misconfigured, Untrusted
from lookalike.domain.model import Manifest
from lookalike.domain.ports import ApproximateFormat, IndexFormat, VectorIndex
from lookalike.domain.vector_source import VectorSource
from lookalike.usecases.index_versions.storage import VersionStorage


@dataclass(frozen=True, slots=True)
class VersionReader:
    """Reads versions of one embedder whose vectors have `dim` dimensions."""

    storage: VersionStorage
    index_format: IndexFormat
    approximate: ApproximateFormat | None
    dim: int

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        """Return a version's manifest and its index in memory.

        Raises `Untrusted` if a signature, checksum or row count is wrong, and `NotFound` if the version was deleted.
        Raises `Misconfigured` if it needs faiss and faiss is not installed.
        """
        manifest = self._compatible_manifest(version)
        index = self._load_index(manifest)
        if index.row_count != manifest.rows:
            raise Untrusted(f"Index version {version} has {index.row_count} rows, not {manifest.rows}")
        return manifest, index

    def vector_source(self, version: str) -> tuple[Manifest, VectorSource]:
        """Return a version's manifest and its vectors as a stream.

        Raises as `load` does. A wrong checksum of the vectors is raised at the end of the stream.
        """
        manifest = self._compatible_manifest(version)
        read_part = partial(self.storage.stream_part, manifest)
        return manifest, self.index_format.read_vectors(manifest.rows, self.dim, read_part)

    def verify_parts(self, manifest: Manifest) -> None:
        """Read every part and compare its checksum. Raises `Untrusted`, `NotFound`."""
        for name in manifest.parts:
            # A deque of length 0 consumes the stream without keeping anything.
            deque(self.storage.stream_part(manifest, name), maxlen=0)

    def read_approximate_part(self, manifest: Manifest) -> memoryview:
        """Return the bytes of the version's approximate index. Raises as `load` does."""
        return self.storage.read_large_part(manifest, self._approximate_format(manifest).part_name)

    def _compatible_manifest(self, version: str) -> Manifest:
        """Raises `Untrusted` if the manifest is of another format, embedder or dimension."""
        manifest = self.storage.read_manifest(version)
        expected = {"format": self.index_format.name, "embedder": self.storage.embedder, "dimension": self.dim}
        for name, value in expected.items():
            if getattr(manifest, name) != value:
                raise Untrusted(f"Index version {version} has the {name} {getattr(manifest, name)!r}, not {value!r}")
        return manifest

    def _load_index(self, manifest: Manifest) -> VectorIndex:
        if manifest.approximate is None:
            parts = {name: self.storage.read_part(manifest, name) for name in manifest.parts}
            return self.index_format.load(parts)
        return self._approximate_format(manifest).load(self.read_approximate_part(manifest))

    def _approximate_format(self, manifest: Manifest) -> ApproximateFormat:
        if self.approximate is None:
            raise Misconfigured(f"Index version {manifest.version} needs faiss: install lookalike[scale]")
        settings = manifest.approximate or {}
        if settings.get("format") != self.approximate.name or self.approximate.part_name not in manifest.parts:
            raise Untrusted(
                f"Index version {manifest.version} has the unknown approximate format {settings.get('format')!r}"
            )
        return self.approximate
