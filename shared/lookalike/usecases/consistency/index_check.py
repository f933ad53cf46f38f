"""Compares the current index version with the catalog, and replaces a version that does not fit."""

import logging
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import NotFound, Untrusted
from lookalike.domain.ports import Catalog
from lookalike.domain.vector_source import VectorSource
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.reindex import Reindex

log = logging.getLogger("lookalike.consistency")
MAX_ATTEMPTS = 3
"""Comparisons while other processes write."""

SAMPLE_SIZE = 200
"""Rows whose vectors are compared: so many of the newest, and so many of all."""


class IndexCheck(Protocol):
    """How an index is compared and rebuilt."""

    def problem(self) -> str:
        """Return how the index does not fit the catalog, or an empty string."""
        ...

    def rebuild(self) -> None:
        """Build the index from the catalog alone."""
        ...


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """Check of index versions in the bucket."""

    catalog: Catalog
    versions: IndexVersions

    def problem(self) -> str:
        """Return how the current version does not fit the catalog, or an empty string.

        A version can have later commits than a restored catalog. Once the catalog has as many commits again, only the
        rows tell: the version has other ones than the catalog had when it was built.
        """
        try:
            pointer = self.versions.current()
            return self._compare(pointer.version) if pointer else ""
        except (Untrusted, NotFound) as error:
            return error.message

    def _compare(self, version: str) -> str:
        manifest, source = self.versions.vector_source(version)
        for _ in range(MAX_ATTEMPTS):
            with self.catalog.snapshot(self.versions.embedder, manifest.commit) as changes:
                last, written, deleted = changes.last_commit, changes.row_ids, changes.deleted
            if last < manifest.commit:
                return f"index version {version} has commit {manifest.commit}, the catalog only {last}"
            with self.catalog.snapshot(self.versions.embedder, 0) as rows:
                expected, now = rows.row_ids, rows.last_commit
            if now == last:
                break
        else:
            # busy: the two cannot be compared at the same commit
            return ""
        unchanged = np.setdiff1d(np.setdiff1d(source.row_ids, deleted), written)
        differing = len(np.setxor1d(np.union1d(unchanged, written), expected))
        differing += self._count_other_vectors(source, np.intersect1d(unchanged, expected))
        return f"index version {version} differs from the catalog in {differing} garments" if differing else ""

    def _count_other_vectors(self, source: VectorSource, row_ids: NDArray[np.int64]) -> int:
        """Return how many rows of a sample have another vector in the version than in the catalog.

        The sample has the newest rows, which a restored catalog would lack, and others spread over all.
        """
        sample = np.unique(np.concatenate([row_ids[-SAMPLE_SIZE:], row_ids[:: len(row_ids) // SAMPLE_SIZE + 1]]))
        stored = self.catalog.vectors(self.versions.embedder, [int(row_id) for row_id in sample])
        count, first = 0, 0
        for page in source.pages():
            ids = source.row_ids[first : first + len(page)]
            first += len(page)
            for place in np.flatnonzero(np.isin(ids, sample)):
                vector = stored.get(int(ids[place]))
                count += vector is not None and not np.allclose(vector, page[place], atol=1e-5)
        return count

    def rebuild(self) -> None:
        """Build a version from the catalog, also if the current one has later commits."""
        self.versions.discard_pointer()
        manifest = Reindex(self.catalog, self.versions).build()
        log.info("Replaced the index version", extra={"index_version": manifest.version})


@dataclass(frozen=True, slots=True)
class ExternalCheck:
    """Check of an external index."""

    index: ExternalIndex

    def problem(self) -> str:
        """Return how the watermark does not fit the catalog, or an empty string. Scheduled builds reconcile the rows."""
        pointer = self.index.current()
        if pointer is None:
            return ""
        with self.index.catalog.snapshot(self.index.embedder, pointer.commit) as changes:
            last = changes.last_commit
        return (
            f"the external index has commit {pointer.commit}, the catalog only {last}" if last < pointer.commit else ""
        )

    def rebuild(self) -> None:
        """Write all rows again, and delete rows that the catalog does not have."""
        self.index.build()
