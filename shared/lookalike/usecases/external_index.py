"""An index outside (Milvus) that follows the catalog: written at uploads and deletions, reconciled on a schedule.

It is never trusted to be complete: a signed mark in the bucket says up to which commit everything was written to this very one, and
searches join it with what happened since, as they join an index version. Its hits are candidates; the catalog has their vectors.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import Conflict, Untrusted
from lookalike.domain.model import Manifest, SearchHit, Vectors
from lookalike.domain.paths import INDEX_PREFIX
from lookalike.domain.ports import Catalog, Clock, MutableIndex, ObjectStore, Snapshot, VectorIndex
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.usecases.index_versions import PointerState

log = logging.getLogger("lookalike.index")
BATCH = 500
MAX_SYNCED_CHANGES = 1000
"""Changes that an upload or a deletion writes on the way; more are left to the next scheduled build."""
FIELDS = {"kind", "embedder", "collection", "commit", "at"}


@dataclass(frozen=True, slots=True)
class CountedIndex:
    """The index with the number of rows that it had when the mark was read: to ask for it takes a request each time.

    What is deleted from it is counted until the mark is looked at again, a second later.
    """

    index: VectorIndex
    row_count: int
    is_exact: bool = False

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.index.contained_ids(row_ids)

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        return self.index.search(vectors, k, allowed_ids)


@dataclass(frozen=True, slots=True)
class ExternalIndex:
    """Stands where `IndexVersions` and `Reindex` do. `key` signs the mark."""

    index: MutableIndex
    catalog: Catalog
    store: ObjectStore
    key: bytes
    embedder: str
    dim: int
    clock: Clock

    @property
    def watermark_path(self) -> str:
        return f"{INDEX_PREFIX}{self.embedder}/milvus.json"

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """Up to where the index is complete. Raises `Untrusted`."""
        there = self.store.stat(self.watermark_path)
        if there is None:
            return None
        identity = self.index.identity()
        if known and known.generation == there.generation and known.version.endswith(identity):
            return known
        mark = self._mark_of(identity)
        return PointerState(_version(mark), _commit(mark), there.generation)

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        """`version` is not looked at: there is but one."""
        mark, rows = self._mark_of(self.index.identity()), self.index.row_count
        return self._manifest(mark, rows), CountedIndex(self.index, rows)

    def list_manifests(self) -> Sequence[Manifest]:
        """There are no others."""
        return []

    def sync_recent_changes(self) -> None:
        """After an upload or a deletion. What fails, or is too much, is found by searches all the same, and written later."""
        try:
            identity = self.index.identity()
            there, since = self._place(identity)
            with self.catalog.snapshot(self.embedder, since) as news:
                if len(news.row_ids) + len(news.deleted) <= MAX_SYNCED_CHANGES:
                    self._take(news, identity, there)
        except Exception:
            # what was asked for is done and stored: nothing that happens here may turn it into a failure
            log.warning("The index outside does not have the last changes yet", exc_info=True)

    def catch_up(self) -> Manifest:
        """Write what happened since the mark, and move it. May run in several processes at once.

        Raises `LookalikeError` for vectors that cannot be searched, `Unavailable`.
        """
        identity = self.index.identity()
        there, since = self._place(identity)
        with self.catalog.snapshot(self.embedder, since) as news:
            mark = self._take(news, identity, None if there and news.last_commit == since else there)
        return self._manifest(mark, self.index.row_count)

    def build(self) -> Manifest:
        """Write every row anew, and delete what is no row."""
        with self.catalog.snapshot(self.embedder, 0) as rows:
            self._write(rows)
        return self.build_if_due()

    def build_if_due(self) -> Manifest:
        """Catch up, and repair what drifted: rows that the index lost, and rows that the catalog does not have."""
        self.catch_up()
        # first what is there, then what ought to be: what is uploaded in between is missing, and not too much
        there = np.concatenate([np.empty(0, np.int64), *self.index.row_ids()])
        with self.catalog.snapshot(self.embedder, 0) as rows:
            living = rows.row_ids
        lost, strange = np.setdiff1d(living, there), np.setdiff1d(there, living)
        if len(lost) or len(strange):
            log.warning("The index outside lacked %d rows and had %d too many", len(lost), len(strange))
        self._restore(lost)
        self.index.delete(strange)
        return self._manifest(self._mark_of(self.index.identity()), self.index.row_count)

    def _take(self, news: Snapshot, identity: str, generation: int | None) -> Mapping[str, object]:
        """Write them, and say so; a generation of none leaves the mark as it is."""
        self._write(news)
        self.index.delete(news.deleted)
        mark = self._new_mark(identity, news.last_commit)
        if generation is not None:
            self._move(mark, generation)
        return mark

    def _write(self, rows: Snapshot) -> None:
        passed = 0
        for page in rows.pages():
            self.index.upsert(rows.row_ids[passed : passed + len(page)], page)
            passed += len(page)

    def _restore(self, lost: NDArray[np.int64]) -> None:
        for start in range(0, len(lost), BATCH):
            found = self.catalog.vectors(self.embedder, lost[start : start + BATCH].tolist())
            if found:
                self.index.upsert(np.array(list(found), np.int64), np.stack(list(found.values())))

    def _place(self, identity: str) -> tuple[int, int]:
        """The mark's generation, 0 where there is none, and its commit, 0 where it is none of ours or of another collection."""
        there = self.store.stat(self.watermark_path)
        if there is None:
            return 0, 0
        try:
            return there.generation, _commit(self._mark_of(identity))
        except Untrusted as error:
            log.error("%s; everything is written anew", error)
            return there.generation, 0

    def _mark_of(self, identity: str) -> Mapping[str, object]:
        """One that says that nothing was written, where it speaks of another collection. Raises `Untrusted`."""
        what = "The mark of the index outside"
        mark = verify_json(self.store.get(self.watermark_path), self.key, what)
        if mark.keys() != FIELDS or (mark["kind"], mark["embedder"]) != ("milvus", self.embedder):
            raise Untrusted(f"{what} is that of something else")
        if mark["collection"] == identity:
            return mark
        log.warning("%s speaks of another collection: `lookalike index build` fills this one", what)
        return self._new_mark(identity, 0)

    def _new_mark(self, identity: str, commit: int) -> Mapping[str, object]:
        moment = self.clock().astimezone(UTC).isoformat(timespec="seconds")
        own = {"kind": "milvus", "embedder": self.embedder, "collection": identity}
        return {**own, "commit": commit, "at": moment}

    def _move(self, mark: Mapping[str, object], generation: int) -> None:
        try:
            self.store.put(self.watermark_path, sign_json(mark, self.key), "application/json", generation)
        except Conflict:
            log.info("Another wrote the same changes to the index outside")

    def _manifest(self, mark: Mapping[str, object], rows: int) -> Manifest:
        return Manifest(
            version=_version(mark),
            format="milvus",
            embedder=self.embedder,
            metric="cosine",
            rows=rows,
            dimension=self.dim,
            highest_row_id=0,
            commit=_commit(mark),
            built_at=str(mark["at"]),
            build_seconds=0.0,
            libraries={},
            parts={},
        )


def _commit(mark: Mapping[str, object]) -> int:
    return int(str(mark["commit"]))


def _version(mark: Mapping[str, object]) -> str:
    return f"commit-{mark['commit']}-{mark['collection']}"
