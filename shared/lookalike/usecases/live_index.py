"""Live index: the published snapshot merged with rows added or deleted since."""

import itertools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import LookalikeError, NotFound, Untrusted
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Changes, Manifest, SearchHit, Vectors
from lookalike.domain.ports import Catalog, VectorIndex
from lookalike.domain.reranked_index import RerankedIndex
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.index_versions import IndexVersions, PointerState

log = logging.getLogger("lookalike.index")
Index = TypeVar("Index", bound=VectorIndex)
AllowedIds = NDArray[np.int64] | None
MAX_LOAD_ATTEMPTS = 3
"""Attempts to load the current version while others publish new ones and delete it."""
SPARE_HITS = 10
"""Extra hits requested to make up for tombstones. If they do not suffice, the search is repeated with more."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """Description of the searched index. `version` and `built_at` are `None` if no index version was used."""

    version: str | None
    built_at: str | None
    rows: int
    """Rows that are not deleted, those of the tail included."""
    tail_rows: int
    """Rows written since the version was built."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexLayer(Generic[Index]):
    """A searchable segment of the live index. `tombstones` has the ids deleted or replaced after it was built."""

    index: Index
    tombstones: frozenset[int] = frozenset()

    @property
    def row_count(self) -> int:
        """Number of rows without a tombstone."""
        return self.index.row_count - len(self.tombstones)

    def exclude(self, row_ids: NDArray[np.int64]) -> "IndexLayer[Index]":
        """Return the layer with tombstones for these rows (n,), as far as it contains them."""
        contained = self.index.contained_ids(row_ids)
        return replace(self, tombstones=self.tombstones.union(contained.tolist())) if contained.size else self

    def search(self, vectors: Vectors, k: int, allowed_ids: AllowedIds = None) -> list[list[SearchHit]]:
        """Return the k nearest rows without a tombstone for each (q, dim) query."""
        count = k + min(len(self.tombstones), k + SPARE_HITS)
        while True:
            results = self.index.search(vectors, count, allowed_ids)
            remaining = [[hit for hit in hits if hit.row_id not in self.tombstones] for hits in results]
            # A full result with fewer than k remaining hits: the tombstones displaced other rows.
            is_short = any(len(kept) < k and len(hits) == count for kept, hits in zip(remaining, results, strict=True))
            if not is_short:
                return [kept[:k] for kept in remaining]
            count *= 2


Tail = tuple[IndexLayer[ExactIndex], ...]
"""Layers of the rows written since the version was built, from many rows to few."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexState:
    """Immutable content of the live index as of commit `last_commit`. A search uses exactly one state."""

    last_commit: int = 0
    pointer: PointerState | None = None
    """Pointer that named the version of `base`."""
    manifest: Manifest | None = None
    base: tuple[IndexLayer[VectorIndex], ...] = ()
    """The layer of the index version; empty without a version."""
    tail: Tail = ()

    def apply(self, changes: Changes) -> "IndexState":
        """Return the state after these changes. A row that was written again replaces its earlier vector."""
        outdated = np.concatenate([changes.deleted, changes.row_ids])
        if not outdated.size:
            return replace(self, last_commit=changes.last_commit)
        base = tuple(layer.exclude(outdated) for layer in self.base)
        tail = tuple(layer for old in self.tail if (layer := old.exclude(outdated)).row_count)
        if len(changes.row_ids):
            tail = append_layer(tail, IndexLayer(ExactIndex(changes.row_ids, changes.vectors)))
        return replace(self, last_commit=changes.last_commit, base=base, tail=tail)

    def search(self, vectors: Vectors, k: int, allowed_ids: AllowedIds = None) -> list[list[SearchHit]]:
        """Return the k nearest rows of all layers for each (q, dim) query."""
        layers: tuple[IndexLayer[VectorIndex] | IndexLayer[ExactIndex], ...] = self.base + self.tail
        results = [layer.search(vectors, k, allowed_ids) for layer in layers]
        return [_merge_hits([hits[query] for hits in results], k) for query in range(len(vectors))]

    @property
    def info(self) -> IndexInfo:
        """Version and row counts."""
        tail_rows = sum(layer.row_count for layer in self.tail)
        rows = tail_rows + sum(layer.row_count for layer in self.base)
        if self.manifest is None:
            return IndexInfo(None, None, rows, tail_rows)
        return IndexInfo(self.manifest.version, self.manifest.built_at, rows, tail_rows)


class LiveIndex:
    """Searches exactly the rows that exist when a search begins. Thread-safe.

    Reads the pointer at most every `poll_interval` seconds. If the new version is invalid, the error is logged once
    and the loaded version stays in use. At the start the newest valid version is used instead; if there is none, all
    rows are in the tail, which is correct but slower and needs memory for all vectors.
    """

    def __init__(
        self,
        versions: IndexVersions | ExternalIndex,
        catalog: Catalog,
        embedder_name: str,
        dim: int,
        poll_interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._versions, self._catalog = versions, catalog
        self._embedder, self._dim = embedder_name, dim
        self._poll_interval, self._clock, self._next_poll = poll_interval, clock, clock()
        self._load_lock, self._refresh_lock = threading.Lock(), threading.Lock()
        self._state: IndexState | None = None
        self._refresh_count = 0
        self._rejected_pointer: PointerState | None = None
        self._last_logged_error = ""

    def search(
        self, vectors: Vectors, k: int, cancel: CancelToken, allowed_ids: AllowedIds = None
    ) -> tuple[list[list[SearchHit]], IndexInfo]:
        """Return the k nearest rows by cosine of each query, equally similar ones by row id, and the index info.

        `vectors` is (q, dim), unit rows. `allowed_ids` (n,) restricts the search to these rows. Raises `Unavailable`,
        `Cancelled`, `DeadlineExceeded`.
        """
        cancel.check()
        state = self._fresh_state()
        cancel.check()
        return state.search(vectors, k, allowed_ids), state.info

    def warm_up(self) -> IndexInfo:
        """Load the current version unless that has already happened. Raises `Unavailable`."""
        return self._fresh_state().info

    @property
    def row_count(self) -> int | None:
        """Number of rows as of the last search, or `None` before the index is loaded. Reads nothing."""
        state = self._state
        return state.info.rows if state else None

    def _fresh_state(self) -> IndexState:
        """Return a state with every commit that was visible when this method was called."""
        refreshes_at_call = self._refresh_count
        self._follow_pointer_if_due()
        with self._refresh_lock:
            # A refresh that was running at the time of the call may have missed commits. The one after it began
            # later than the call, so after two refreshes the state of another thread can be shared.
            if self._state is not None and self._refresh_count >= refreshes_at_call + 2:
                return self._state
            return self._refresh(self._state or IndexState())

    def _refresh(self, state: IndexState) -> IndexState:
        """Apply all changes since the state and store the result. The caller holds `_refresh_lock`."""
        refreshed = state.apply(self._read_changes(state.last_commit))
        self._state = refreshed
        self._refresh_count += 1
        return refreshed

    def _read_changes(self, since: int) -> Changes:
        changes = self._catalog.changes(self._embedder, since)
        if len(changes.row_ids) and changes.vectors.shape[1] != self._dim:
            raise LookalikeError(
                f"The catalog's vectors of {self._embedder} have {changes.vectors.shape[1]} dimensions; "
                f"expected {self._dim}"
            )
        return changes

    def _follow_pointer_if_due(self) -> None:
        # While one thread loads a version, the others search the old one. They wait only if there is none yet.
        if not self._is_poll_due() or not self._load_lock.acquire(blocking=self._state is None):
            return
        try:
            # Checked again: another thread may have loaded the version while this one waited for the lock.
            if self._is_poll_due():
                self._follow_pointer()
        finally:
            self._load_lock.release()

    def _is_poll_due(self) -> bool:
        return self._state is None or self._clock() >= self._next_poll

    def _follow_pointer(self) -> None:
        self._next_poll = self._clock() + self._poll_interval
        newer = self._load_newer_or_fallback()
        if newer is None and self._state is not None:
            return
        with self._refresh_lock:
            self._refresh(newer or IndexState())
        if newer is not None and newer.pointer:
            self._rejected_pointer = None

    def _load_newer_or_fallback(self) -> IndexState | None:
        """Return a newer version, or `None` to keep the current state.

        Falls back to the newest valid version if the current one is invalid and none is loaded. Raises store errors
        only if no version is loaded.
        """
        try:
            newer = self._load_newer()
        except Untrusted as error:
            if error.message != self._last_logged_error:
                log.error("The current index version is invalid and not loaded: %s", error)
            self._last_logged_error = error.message
            return self._load_newest_valid() if self._state is None else None
        except LookalikeError:
            if self._state is None:
                raise
            log.warning("A newer index version could not be loaded; searches use the old one", exc_info=True)
            return None
        self._last_logged_error = ""
        return newer

    def _load_newest_valid(self) -> IndexState | None:
        for manifest in reversed(self._versions.list_manifests()):
            with suppress(Untrusted, NotFound):
                return self._load(manifest.version, None)
        return None

    def _load_newer(self) -> IndexState | None:
        """Load the version that the pointer names; `None` if it is already loaded or known to be invalid."""
        known = self._rejected_pointer or (self._state.pointer if self._state else None)
        for _ in range(MAX_LOAD_ATTEMPTS):
            pointer = self._versions.current(known)
            if pointer is None or pointer == known:
                return None
            try:
                return self._load(pointer.version, pointer)
            except NotFound:
                # The version was pruned because the pointer moved on. Read the pointer again.
                missing = pointer
            except Untrusted:
                self._rejected_pointer = pointer
                raise
        self._rejected_pointer = missing
        raise Untrusted(f"Index version {missing.version} is incomplete")

    def _load(self, version: str, pointer: PointerState | None) -> IndexState:
        manifest, index = self._versions.load(version)
        changes = self._read_changes(manifest.commit)
        if changes.last_commit < manifest.commit:
            raise Untrusted(
                f"Index version {version} is ahead of the catalog: commit {manifest.commit}, not {changes.last_commit}. "
                "Check that DATABASE_URL and STORE_URL belong together"
            )
        if not index.is_exact:
            index = RerankedIndex(index, partial(self._catalog.vectors, self._embedder))
        return IndexState(manifest.commit, pointer, manifest, (IndexLayer(index),)).apply(changes)


def append_layer(tail: Tail, new: IndexLayer[ExactIndex]) -> Tail:
    """Append a layer and merge layers of similar size, like an LSM tree.

    Each row is copied O(log n) times, and there are O(log n) layers to search.
    """
    while tail and tail[-1].row_count <= new.row_count:
        tail, new = tail[:-1], _merge_layers(tail[-1], new)
    return (*tail, new)


def _merge_layers(first: IndexLayer[ExactIndex], second: IndexLayer[ExactIndex]) -> IndexLayer[ExactIndex]:
    (ids, vectors), (more_ids, more_vectors) = _remaining_rows(first), _remaining_rows(second)
    return IndexLayer(ExactIndex(np.concatenate([ids, more_ids]), np.concatenate([vectors, more_vectors])))


def _remaining_rows(layer: IndexLayer[ExactIndex]) -> tuple[NDArray[np.int64], Vectors]:
    """Return ids (n,) and vectors (n, dim) of the rows without a tombstone."""
    index = layer.index
    if not layer.tombstones:
        return index.row_ids, index.vectors
    is_kept = ~np.isin(index.row_ids, np.fromiter(layer.tombstones, np.int64))
    return index.row_ids[is_kept], index.vectors[is_kept]


def _merge_hits(hits: list[list[SearchHit]], k: int) -> list[SearchHit]:
    # By row id: an external index that is written to during the search may already contain a row of the tail.
    hits_by_id = {hit.row_id: hit for hit in itertools.chain(*hits)}
    return sorted(hits_by_id.values(), key=lambda hit: (-hit.similarity, hit.row_id))[:k]
