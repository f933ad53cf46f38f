"""Builds and publishes index versions of the catalog's rows."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from lookalike.domain.errors import Conflict, NotFound, Untrusted
from lookalike.domain.model import Manifest
from lookalike.domain.ports import Catalog, Clock, Snapshot
from lookalike.domain.vector_source import VectorSource, concatenate_sources
from lookalike.usecases.index_versions import IndexVersions, PointerState

log = logging.getLogger("lookalike.index")
MAX_VERIFIED_BYTES = 100_000_000
"""Scheduled builds that are not due verify the current version's checksums if its vectors have at most this size."""


NEWER_MESSAGE = (
    "Index version {} is newer than the catalog: commit {}, not {}. If the catalog was restored from a backup, run "
    "`lookalike doctor --repair`"
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reindex:
    """Builds index versions. Scheduled builds are due after `min_changes` written and deleted rows."""

    catalog: Catalog
    versions: IndexVersions
    min_changes: int = 1
    clock: Clock = _now

    def build(self) -> Manifest:
        """Publish a version of all rows, even if the current one is pinned or up to date.

        Raises `Conflict` if another version is published meanwhile.
        """
        return self._build_from_catalog(expected_generation=None)

    def build_if_due(self) -> Manifest | None:
        """Publish a version if one is due, else return `None`.

        A build is due if there is no valid version or enough rows changed, unless the current version is pinned. If no
        row was deleted or rewritten, it extends the current version. If another version becomes current meanwhile, that
        one stays and `None` is returned.
        """
        # Read first, so that any change of the pointer from here on makes publishing a conflict.
        generation = self.versions.pointer_generation()
        try:
            return self._build_if_due(generation)
        except Conflict:
            if self.versions.pointer_generation() == generation:
                raise
            log.info("Another index version became current during the build: this build is discarded")
            return None

    def _build_if_due(self, generation: int) -> Manifest | None:
        try:
            pointer = self.versions.current()
            if pointer is None:
                return self._build_from_catalog(generation)
            if pointer.pinned:
                log.warning("Index version %s is pinned: run `lookalike index build` to end it", pointer.version)
                with self._changes_since(pointer.commit) as changes:
                    self._log_state(pointer.version, _count(changes))
                return None
            return self._extend_if_due(pointer, generation)
        except (Untrusted, NotFound) as error:
            log.error("The current index version is invalid and is rebuilt: %s", error)
            return self._build_from_catalog(generation)

    def _build_from_catalog(self, expected_generation: int | None) -> Manifest:
        started = self.clock()
        with self._changes_since(0) as rows:
            source = VectorSource(rows.row_ids, self.versions.dim, rows.pages)
            return self._publish(source, rows.last_commit, started, None, expected_generation)

    def _extend_if_due(self, pointer: PointerState, generation: int) -> Manifest | None:
        started = self.clock()
        with self._changes_since(pointer.commit) as changes:
            if changes.last_commit < pointer.commit:
                raise Conflict(NEWER_MESSAGE.format(pointer.version, pointer.commit, changes.last_commit))
            manifest, old = self.versions.vector_source(pointer.version)
            if _count(changes) < self.min_changes:
                # Four bytes per float32. Larger versions are verified only when they are extended.
                if 4 * manifest.rows * manifest.dimension < MAX_VERIFIED_BYTES:
                    self.versions.verify_parts(manifest)
                self._log_state(manifest.version, _count(changes), manifest)
                return None
            new = VectorSource(changes.row_ids, self.versions.dim, changes.pages)
            # A version can only be extended if none of its rows was deleted or rewritten.
            if not len(changes.deleted) and not np.isin(new.row_ids, old.row_ids).any():
                source = concatenate_sources(old, new)
                return self._publish(source, changes.last_commit, started, manifest, generation)
        return self._build_from_catalog(generation)

    def _changes_since(self, commit: int) -> AbstractContextManager[Snapshot]:
        return self.catalog.snapshot(self.versions.embedder, commit)

    def _publish(
        self,
        source: VectorSource,
        commit: int,
        started: datetime,
        previous: Manifest | None,
        expected_generation: int | None,
    ) -> Manifest:
        manifest = self.versions.publish(source, commit, started, previous, expected_generation)
        log.info("Published index version %s with %d rows", manifest.version, manifest.rows)
        self._log_state(manifest.version, 0, manifest)
        return manifest

    def _log_state(self, version: str, pending: int, manifest: Manifest | None = None) -> None:
        """Log the state of the current version, from which infra/terraform makes metrics. `pending`: changes since."""
        fields: dict[str, object] = {"index_version": version, "pending": pending}
        # 2 means that two scheduled builds should have published the changes already
        fields["builds_behind"] = round(pending / self.min_changes, 3)
        if manifest:
            age = self.clock() - datetime.fromisoformat(manifest.built_at)
            fields |= {"rows": manifest.rows, "age_seconds": round(age.total_seconds())}
            # an exact index finds everything
            fields["recall"] = manifest.approximate["recall"] if manifest.approximate else 1.0
        log.info("Index state", extra=fields)


def _count(changes: Snapshot) -> int:
    return len(changes.row_ids) + len(changes.deleted)
