"""Import of an index file of the original system, verified against the catalog and published as a signed version."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Untrusted
from lookalike.domain.model import Vectors
from lookalike.domain.ports import Catalog, SecondaryVectors
from lookalike.usecases.reindex import Reindex

BATCH_ROWS = 500
MIN_SAME_VECTOR_SIMILARITY = 0.999
"""Cosine from which a vector of the index and one of the catalog are the same. Other machines round differently."""


@dataclass
class ImportSummary:
    """Number of rows that had a vector, that got one, and that the catalog does not contain; and the new version."""

    known: int = 0
    added: int = 0
    unknown_rows: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class ImportIndex:
    """Copies vectors that the catalog lacks from an index, and builds a signed version from the catalog."""

    catalog: Catalog
    secondary_vectors: SecondaryVectors
    reindex: Reindex

    def run(self, row_ids: NDArray[np.int64], vectors: Vectors, unchecked: bool = False) -> ImportSummary:
        """Import row ids (n,) with their unit vectors (n, dim). Can be interrupted and repeated.

        Raises `Untrusted`, without any change, if
        - the vectors have another length than those of the embedder,
        - a vector differs from that of the same row in the catalog,
        - the catalog contains none of the rows, or
        - the catalog has no vector to compare with, unless `unchecked` is set.
        """
        dim = self.reindex.versions.dim
        if vectors.shape[1] != dim:
            raise Untrusted(f"The index has vectors of length {vectors.shape[1]}, not {dim}: choose its embedder")
        starts = range(0, len(row_ids), BATCH_ROWS)
        batches = [
            (row_ids[start : start + BATCH_ROWS].tolist(), vectors[start : start + BATCH_ROWS]) for start in starts
        ]
        # All checks come before the first change.
        summary = ImportSummary(known=sum(self._compare(*batch) for batch in batches))
        existing = sum(len(self.catalog.segments(batch_ids)) for batch_ids, _ in batches)
        if not existing:
            raise Untrusted("The catalog contains none of the index's rows: does the index belong to another database?")
        # Row ids alone prove nothing, because every database counts from 1.
        if not (summary.known or unchecked):
            raise Untrusted("No garment has a vector to compare the index with: it may belong to another database")
        summary.unknown_rows = len(row_ids) - existing
        summary.added = sum(
            self.secondary_vectors.add_vectors(self._embedder, dict(zip(*batch, strict=True))) for batch in batches
        )
        summary.version = self.reindex.build().version
        return summary

    @property
    def _embedder(self) -> str:
        return self.reindex.versions.embedder

    def _compare(self, row_ids: Sequence[int], vectors: Vectors) -> int:
        """Return how many of the rows have a vector in the catalog. Raises `Untrusted` if one differs."""
        known = self.catalog.vectors(self._embedder, row_ids)
        for row_id, vector in zip(row_ids, vectors, strict=True):
            expected = known.get(row_id, vector)
            if expected.shape != vector.shape or float(expected @ vector) < MIN_SAME_VECTOR_SIMILARITY:
                raise Untrusted(
                    f"Row {row_id} has a different vector in the catalog: "
                    "the index is outdated or belongs to another database"
                )
        return len(known)
