"""The rows of the catalog become an index version."""

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
"""Bytes of vectors up to which a version is read to see whether it is still whole, though none is due."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reindex:
    """`due_after`: written and deleted rows that searches join with the index before scheduled builds make another."""

    catalog: Catalog
    versions: IndexVersions
    min_changes: int = 1
    clock: Clock = _now

    def build(self) -> Manifest:
        """Publish a version of all living rows, whatever counts now. Raises `Conflict` if another is published meanwhile."""
        return self._built(None)

    def build_if_due(self) -> Manifest | None:
        """What `build` does, of the version before and the new rows where nothing was deleted; none where none is due.

        Due it is where there is no version that is whole, or enough happened since, and not while one is pinned. Whoever
        has another version count while this builds, or goes back to one, wins.
        """
        seen = self.versions.pointer_generation()
        try:
            return self._built_if_due(seen)
        except Conflict:
            if self.versions.pointer_generation() == seen:
                raise
            log.info("Another index version counts by now: this build gives up")
            return None

    def _built_if_due(self, seen: int) -> Manifest | None:
        try:
            pointer = self.versions.current()
            if pointer is None:
                return self._built(seen)
            if pointer.pinned:
                log.warning("Index version %s is pinned: `lookalike index build` publishes another", pointer.version)
                return None
            return self._extended(pointer, seen)
        except (Untrusted, NotFound) as error:
            log.error("The current index version is built anew. %s", error)
            return self._built(seen)

    def _built(self, seen: int | None) -> Manifest:
        started = self.clock()
        with self._changes(0) as rows:
            return self._publish(
                VectorSource(rows.row_ids, self.versions.dim, rows.pages), rows.last_commit, started, None, seen
            )

    def _extended(self, pointer: PointerState, seen: int) -> Manifest | None:
        started = self.clock()
        with self._changes(pointer.commit) as news:
            manifest, old = self.versions.vector_source(pointer.version)
            if len(news.row_ids) + len(news.deleted) < self.min_changes:
                if 4 * manifest.rows * manifest.dimension < MAX_VERIFIED_BYTES:
                    self.versions.verify_parts(manifest)
                return None
            new = VectorSource(news.row_ids, self.versions.dim, news.pages)
            if not len(news.deleted) and not np.isin(new.row_ids, old.row_ids).any():
                return self._publish(concatenate_sources(old, new), news.last_commit, started, manifest, seen)
        return self._built(seen)

    def _changes(self, since: int) -> AbstractContextManager[Snapshot]:
        return self.catalog.snapshot(self.versions.embedder, since)

    def _publish(
        self, rows: VectorSource, commit: int, started: datetime, extends: Manifest | None, seen: int | None
    ) -> Manifest:
        manifest = self.versions.publish(rows, commit, started, extends, seen)
        log.info("Index version %s holds %d rows", manifest.version, manifest.rows)
        return manifest
