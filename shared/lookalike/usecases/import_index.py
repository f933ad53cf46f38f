"""An index of the original system is taken over, because somebody asked for it: nothing unsigned is ever searched."""

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
"""Cosine of a garment's vector in the index and in the catalog, from which they are taken for the same."""


@dataclass
class ImportSummary:
    """Rows whose vectors the catalog knew, rows that got theirs, and rows that the catalog does not know."""

    known: int = 0
    added: int = 0
    unknown_rows: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class ImportIndex:
    """Its vectors go into the catalog, where that has none, and from there into a signed version."""

    catalog: Catalog
    secondary_vectors: SecondaryVectors
    reindex: Reindex

    def run(self, row_ids: NDArray[np.int64], vectors: Vectors, unchecked: bool = False) -> ImportSummary:
        """Of (n,) row numbers and (n, dim) unit vectors. May be interrupted and run again.

        Raises `Untrusted`, having changed nothing, for vectors of another length or others than the catalog has, where none
        of the rows is known, or, unless `unchecked`, where the catalog has no vector of any to compare with.
        """
        dim = self.reindex.versions.dim
        if vectors.shape[1] != dim:
            raise Untrusted(f"The index has vectors of length {vectors.shape[1]}, not {dim}")
        starts = range(0, len(row_ids), BATCH_ROWS)
        batches = [
            (row_ids[start : start + BATCH_ROWS].tolist(), vectors[start : start + BATCH_ROWS]) for start in starts
        ]
        summary = ImportSummary(known=sum(self._compare(*batch) for batch in batches))
        there = sum(len(self.catalog.segments(some)) for some, _ in batches)
        if not there:
            raise Untrusted("The catalog knows none of the index's rows: is it another's?")
        if not (summary.known or unchecked):
            raise Untrusted("No garment has a vector to compare the index with: it may be another database's")
        summary.unknown_rows = len(row_ids) - there
        summary.added = sum(
            self.secondary_vectors.add_vectors(self._embedder, dict(zip(*one, strict=True))) for one in batches
        )
        summary.version = self.reindex.build().version
        return summary

    @property
    def _embedder(self) -> str:
        return self.reindex.versions.embedder

    def _compare(self, row_ids: Sequence[int], vectors: Vectors) -> int:
        """How many the catalog has vectors of."""
        known = self.catalog.vectors(self._embedder, row_ids)
        for row_id, vector in zip(row_ids, vectors, strict=True):
            there = known.get(row_id, vector)
            if there.shape != vector.shape or float(there @ vector) < MIN_SAME_VECTOR_SIMILARITY:
                raise Untrusted(f"Row {row_id} has another vector in the catalog: is the index another's, or older?")
        return len(known)
