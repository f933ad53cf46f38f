"""Building of index versions: parts first, manifest last."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import Manifest
from lookalike.domain.ports import ApproximateFormat, Clock, IndexFormat
from lookalike.domain.vector_source import VectorSource
from lookalike.usecases.index_versions.reader import VersionReader
from lookalike.usecases.index_versions.storage import VersionStorage

log = logging.getLogger("lookalike.index")
MIN_RECALL = 0.99
"""Smallest share of the ten nearest neighbors that an approximate index must find to be published."""
CHUNK_SIZE = 16 << 20
"""Bytes per chunk when an approximate index is written."""


@dataclass(frozen=True, slots=True)
class ApproximatePart:
    """A stored approximate index: manifest settings, its SHA-256 and the format that built it."""

    built_with: ApproximateFormat
    settings: Mapping[str, object]
    digest: str


@dataclass(frozen=True, slots=True)
class VersionBuilder:
    """Writes versions of one embedder. Versions with more than `approximate_above` rows get an approximate index."""

    storage: VersionStorage
    reader: VersionReader
    index_format: IndexFormat
    approximate: ApproximateFormat | None
    approximate_above: int
    clock: Clock

    def build(self, source: VectorSource, commit: int, started: datetime, previous: Manifest | None) -> Manifest:
        """Write a new version of these rows and return its manifest. Deletes everything written if a step fails.

        `previous` is the version that the first rows come from, if any; its approximate index may be extended. Raises
        what `VectorSource.pages` raises, and `LookalikeError` if the recall is below `MIN_RECALL`.
        """
        version = self._new_version_name()
        try:
            # The approximate index first: it is the part whose quality may be insufficient.
            approximate = self._build_approximate(version, source, previous)
            parts = {
                name: self.storage.write_part(version, name, chunks) for name, chunks in self.index_format.build(source)
            }
            manifest = self._manifest(version, source, commit, started, parts, approximate)
            self.storage.write_manifest(manifest)
        except Exception:
            self.storage.discard_unpublished(version)
            raise
        return manifest

    def _new_version_name(self) -> str:
        # Sorts by build time. The random suffix keeps concurrent builds apart.
        moment = self.clock().astimezone(UTC)
        return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03}Z-{secrets.token_hex(3)}"

    def _build_approximate(
        self, version: str, source: VectorSource, previous: Manifest | None
    ) -> ApproximatePart | None:
        if len(source) <= self.approximate_above:
            return None
        if self.approximate is None:
            log.warning("No approximate index for %d rows: install lookalike[scale]", len(source))
            return None
        extensible = self.reader.read_approximate_part(previous) if previous and previous.approximate else None
        built = self.approximate.build(source, extensible)
        if built.recall < MIN_RECALL:
            raise LookalikeError(
                f"The approximate index finds {built.recall} of the nearest neighbors; the minimum is {MIN_RECALL}: "
                "raise APPROXIMATE_ABOVE to search without it"
            )
        # Sliced from the buffer chunk by chunk, so that the index is not copied as a whole.
        chunks = (bytes(built.data[start : start + CHUNK_SIZE]) for start in range(0, len(built.data), CHUNK_SIZE))
        digest = self.storage.write_part(version, self.approximate.part_name, chunks)
        settings = {
            "format": self.approximate.name,
            "recall": built.recall,
            "queries": built.queries,
            **built.settings,
        }
        return ApproximatePart(self.approximate, settings, digest)

    def _manifest(
        self,
        version: str,
        source: VectorSource,
        commit: int,
        started: datetime,
        parts: Mapping[str, str],
        approximate: ApproximatePart | None,
    ) -> Manifest:
        moment, libraries = self.clock().astimezone(UTC), self.index_format.libraries
        if approximate:
            libraries = {**libraries, **approximate.built_with.libraries}
            parts = {**parts, approximate.built_with.part_name: approximate.digest}
        return Manifest(
            version=version,
            format=self.index_format.name,
            embedder=self.storage.embedder,
            metric="cosine",
            rows=len(source),
            dimension=source.dim,
            highest_row_id=int(source.row_ids.max(initial=0)),
            commit=commit,
            built_at=moment.isoformat(timespec="seconds"),
            build_seconds=round((moment - started).total_seconds(), 3),
            libraries=dict(libraries),
            parts=parts,
            approximate=approximate.settings if approximate else None,
        )
