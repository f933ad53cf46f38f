"""Synchronization of an external index (Milvus) with the catalog.

Uploads and deletions are written to it immediately; a scheduled build reconciles the rest. It may be incomplete: a signed
watermark in the bucket records up to which commit this collection has all rows. Searches combine it with
later rows, as they do with an index version. Its hits are candidates that are reranked by the catalog's vectors.
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
BATCH_SIZE = 500
"""Lost rows whose vectors are read from the catalog and written again at a time."""
MAX_SYNCED_CHANGES = 1000
"""Most changes that an upload or deletion writes by itself. More are left to the next scheduled build."""
WATERMARK_FIELDS = {"kind", "embedder", "collection", "commit", "at"}
WATERMARK_DESCRIPTION = "The watermark of the external index"


@dataclass(frozen=True, slots=True)
class CountedIndex:
    """Index with a cached row count, because counting takes a request each time.

    Rows deleted since are still counted until the pointer is polled again, about a second later.
    """

    index: VectorIndex
    row_count: int
    is_exact: bool = False

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the given row ids that are in the index."""
        return self.index.contained_ids(row_ids)

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """Return the k nearest rows of each (q, dim) query."""
        return self.index.search(vectors, k, allowed_ids)


@dataclass(frozen=True, slots=True)
class ExternalIndex:
    """Replaces `IndexVersions` and `Reindex` for an external index. `key` signs the watermark."""

    index: MutableIndex
    catalog: Catalog
    store: ObjectStore
    key: bytes
    embedder: str
    dim: int
    clock: Clock

    @property
    def watermark_path(self) -> str:
        """Path of the watermark object."""
        return f"{INDEX_PREFIX}{self.embedder}/milvus.json"

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """Return the watermark as a pointer, `known` if it has not changed, or `None` if there is none.

        Raises `Untrusted` for an invalid watermark.
        """
        stored = self.store.stat(self.watermark_path)
        if stored is None:
            return None
        identity = self.index.identity()
        # The version ends in the identity: a recreated collection invalidates `known` even if the watermark is the same.
        if known and known.generation == stored.generation and known.version.endswith(identity):
            return known
        watermark = self._read_watermark(identity)
        return PointerState(_version(watermark), _commit(watermark), stored.generation)

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        """Return a manifest made from the watermark, and the index. Ignores `version`: there is only one."""
        watermark, rows = self._read_watermark(self.index.identity()), self.index.row_count
        return self._manifest(watermark, rows), CountedIndex(self.index, rows)

    def list_manifests(self) -> Sequence[Manifest]:
        """Return an empty list: there are no older versions."""
        return []

    def sync_recent_changes(self) -> None:
        """Write the changes since the watermark after an upload or deletion. Never raises.

        Skips more than `MAX_SYNCED_CHANGES`. Searches find changes that were not written from the catalog.
        """
        try:
            identity = self.index.identity()
            generation, since = self._watermark_position(identity)
            with self.catalog.snapshot(self.embedder, since) as changes:
                if len(changes.row_ids) + len(changes.deleted) <= MAX_SYNCED_CHANGES:
                    self._write_changes(changes, identity, generation)
        except Exception:
            # The upload or deletion is already committed, so no error here may turn it into a failure.
            log.warning("Recent changes were not written to the external index", exc_info=True)

    def catch_up(self) -> Manifest:
        """Write all changes since the watermark and advance it. Several processes may run it at once.

        Raises `LookalikeError` for invalid vectors, `Unavailable`.
        """
        identity = self.index.identity()
        generation, since = self._watermark_position(identity)
        with self.catalog.snapshot(self.embedder, since) as changes:
            is_unchanged = generation and changes.last_commit == since
            watermark = self._write_changes(changes, identity, None if is_unchanged else generation)
        return self._manifest(watermark, self.index.row_count)

    def build(self) -> Manifest:
        """Write every row again, and delete rows that the catalog does not have."""
        with self.catalog.snapshot(self.embedder, 0) as rows:
            self._upsert(rows)
        return self.build_if_due()

    def build_if_due(self) -> Manifest:
        """Catch up, then reconcile: write missing rows again and delete rows that the catalog does not have."""
        self.catch_up()
        # The index is read before the catalog. A row uploaded in between then counts as missing and is written twice,
        # which is harmless; in the other order it would count as surplus and be deleted.
        indexed = np.concatenate([np.empty(0, np.int64), *self.index.row_ids()])
        with self.catalog.snapshot(self.embedder, 0) as rows:
            expected = rows.row_ids
        missing, surplus = np.setdiff1d(expected, indexed), np.setdiff1d(indexed, expected)
        if len(missing) or len(surplus):
            log.warning("The external index had %d missing rows and %d surplus rows", len(missing), len(surplus))
        self._restore(missing)
        self.index.delete(surplus)
        return self._manifest(self._read_watermark(self.index.identity()), self.index.row_count)

    def _write_changes(self, changes: Snapshot, identity: str, generation: int | None) -> Mapping[str, object]:
        """Write the changes and return the new watermark. It is stored unless `generation` is `None`."""
        self._upsert(changes)
        self.index.delete(changes.deleted)
        watermark = self._new_watermark(identity, changes.last_commit)
        if generation is not None:
            try:
                data = sign_json(watermark, self.key)
                self.store.put(self.watermark_path, data, "application/json", generation)
            except Conflict:
                log.info("Another process wrote the same changes to the external index")
        return watermark

    def _upsert(self, rows: Snapshot) -> None:
        written = 0
        for page in rows.pages():
            self.index.upsert(rows.row_ids[written : written + len(page)], page)
            written += len(page)

    def _restore(self, missing: NDArray[np.int64]) -> None:
        for start in range(0, len(missing), BATCH_SIZE):
            vectors = self.catalog.vectors(self.embedder, missing[start : start + BATCH_SIZE].tolist())
            if vectors:
                self.index.upsert(np.array(list(vectors), np.int64), np.stack(list(vectors.values())))

    def _watermark_position(self, identity: str) -> tuple[int, int]:
        """Return the watermark's generation and commit.

        The generation is 0 if there is no watermark. The commit is 0 if the watermark is missing, invalid or of another
        collection.
        """
        stored = self.store.stat(self.watermark_path)
        if stored is None:
            return 0, 0
        try:
            return stored.generation, _commit(self._read_watermark(identity))
        except Untrusted as error:
            log.error("Writing all rows to the external index again: %s", error)
            return stored.generation, 0

    def _read_watermark(self, identity: str) -> Mapping[str, object]:
        """Return the watermark, or one of commit 0 if it is of another collection. Raises `Untrusted`."""
        watermark = verify_json(self.store.get(self.watermark_path), self.key, WATERMARK_DESCRIPTION)
        expected = ("milvus", self.embedder)
        if watermark.keys() != WATERMARK_FIELDS or (watermark["kind"], watermark["embedder"]) != expected:
            raise Untrusted(f"{WATERMARK_DESCRIPTION} has other fields or is of another embedder")
        if watermark["collection"] == identity:
            return watermark
        log.warning("The watermark is of another collection; `lookalike index build` fills the current one")
        return self._new_watermark(identity, 0)

    def _new_watermark(self, identity: str, commit: int) -> Mapping[str, object]:
        return {
            "kind": "milvus",
            "embedder": self.embedder,
            "collection": identity,
            "commit": commit,
            "at": self.clock().astimezone(UTC).isoformat(timespec="seconds"),
        }

    def _manifest(self, watermark: Mapping[str, object], rows: int) -> Manifest:
        return Manifest(
            version=_version(watermark),
            format="milvus",
            embedder=self.embedder,
            metric="cosine",
            rows=rows,
            dimension=self.dim,
            highest_row_id=0,
            commit=_commit(watermark),
            built_at=str(watermark["at"]),
            build_seconds=0.0,
            libraries={},
            parts={},
        )


def _commit(watermark: Mapping[str, object]) -> int:
    return int(str(watermark["commit"]))


def _version(watermark: Mapping[str, object]) -> str:
    return f"commit-{watermark['commit']}-{watermark['collection']}"
