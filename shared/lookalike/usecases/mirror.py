"""An index outside (Milvus) that follows the catalogue: written at uploads and deletions, reconciled on a schedule.

It is never trusted to be complete: a signed mark in the bucket says up to which commit everything was written to it, and searches
join it with what happened since, as they join an index version. Its hits are candidates; the catalogue has their vectors.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Conflict, LookalikeError, Untrusted
from lookalike.domain.model import Manifest, SearchHit, Vectors
from lookalike.domain.paths import INDEX
from lookalike.domain.ports import Catalogue, Clock, MutableIndex, ObjectStore, Snapshot, VectorIndex
from lookalike.domain.sealed import seal, unseal
from lookalike.usecases.versions import PointerState

log = logging.getLogger("lookalike.index")
BATCH = 500


@dataclass(frozen=True, slots=True)
class Counted:
    """The index with the number of rows that it had when the mark was read: to ask for it takes a request each time.

    What is deleted from it is counted until the mark is looked at again, a second later.
    """

    index: VectorIndex
    rows: int
    exact: bool = False

    def holding(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.index.holding(row_ids)

    def search(self, vectors: Vectors, k: int, among: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        return self.index.search(vectors, k, among)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Stands where `IndexVersions` and `Reindex` do. `key` signs the mark."""

    index: MutableIndex
    catalogue: Catalogue
    store: ObjectStore
    key: bytes
    embedder: str
    dim: int
    clock: Clock

    @property
    def mark_path(self) -> str:
        return f"{INDEX}{self.embedder}/milvus.json"

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """Up to where the index is complete. Raises `Untrusted`."""
        there = self.store.stat(self.mark_path)
        if there is None or (known and known.generation == there.generation):
            return known if there else None
        mark = self._mark()
        return PointerState(str(mark["version"]), int(str(mark["commit"])), there.generation)

    def read(self, version: str) -> tuple[Manifest, VectorIndex]:
        """`version` is not looked at: there is but one."""
        mark, rows = self._mark(), self.index.rows
        return self._manifest(mark, rows), Counted(self.index, rows)

    def list(self) -> Sequence[Manifest]:
        """There are no others."""
        return []

    def announce(self) -> None:
        """After an upload or a deletion. What fails is found by searches all the same, and written later."""
        try:
            self.catch_up()
        except LookalikeError:
            log.warning("The index outside does not have the last changes yet", exc_info=True)

    def catch_up(self) -> Manifest:
        """Write what happened since the mark, and move it. May run in several processes at once.

        Raises `LookalikeError` for vectors that cannot be searched, `Unavailable`.
        """
        there, since = self._place()
        with self.catalogue.snapshot(self.embedder, since) as news:
            self._write(news)
            self.index.delete(news.deleted)
            mark = {"version": f"commit-{news.upto}", "commit": news.upto, "at": _told(self.clock())}
        if news.upto > since or not there:
            self._move(mark, there)
        return self._manifest(mark, self.index.rows)

    def build(self) -> Manifest:
        """Write every row anew, and delete what is no row."""
        with self.catalogue.snapshot(self.embedder, 0) as rows:
            self._write(rows)
        return self.build_if_due()

    def build_if_due(self) -> Manifest:
        """Catch up, and repair what drifted: rows that the index lost, and rows that the catalogue does not have."""
        self.catch_up()
        # first what is there, then what ought to be: what is uploaded in between is missing, and not too much
        there = np.concatenate([np.empty(0, np.int64), *self.index.row_ids()])
        with self.catalogue.snapshot(self.embedder, 0) as rows:
            living = rows.row_ids
        lost, strange = np.setdiff1d(living, there), np.setdiff1d(there, living)
        if len(lost) or len(strange):
            log.warning("The index outside lacked %d rows and had %d too many", len(lost), len(strange))
        self._restore(lost)
        self.index.delete(strange)
        return self._manifest(self._mark(), self.index.rows)

    def _write(self, rows: Snapshot) -> None:
        passed = 0
        for page in rows.pages():
            self.index.upsert(rows.row_ids[passed : passed + len(page)], page)
            passed += len(page)

    def _restore(self, lost: NDArray[np.int64]) -> None:
        for start in range(0, len(lost), BATCH):
            found = self.catalogue.vectors(self.embedder, lost[start : start + BATCH].tolist())
            if found:
                self.index.upsert(np.array(list(found), np.int64), np.stack(list(found.values())))

    def _place(self) -> tuple[int, int]:
        """The mark's generation, 0 where there is none or none of ours, and its commit."""
        there = self.store.stat(self.mark_path)
        if there is None:
            return 0, 0
        try:
            return there.generation, int(str(self._mark()["commit"]))
        except Untrusted as error:
            log.error("%s; everything is written anew", error)
            return there.generation, 0

    def _mark(self) -> Mapping[str, object]:
        return unseal(self.store.get(self.mark_path), self.key, "The mark of the index outside")

    def _move(self, mark: Mapping[str, object], generation: int) -> None:
        try:
            self.store.put(self.mark_path, seal(mark, self.key), "application/json", generation)
        except Conflict:
            log.info("Another wrote the same changes to the index outside")

    def _manifest(self, mark: Mapping[str, object], rows: int) -> Manifest:
        return Manifest(
            version=str(mark["version"]),
            format="milvus",
            embedder=self.embedder,
            metric="cosine",
            rows=rows,
            dimension=self.dim,
            highest_row_id=0,
            commit=int(str(mark["commit"])),
            built_at=str(mark["at"]),
            build_seconds=0.0,
            libraries={},
            parts={},
        )


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
