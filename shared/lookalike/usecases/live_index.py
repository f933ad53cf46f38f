"""What searches see: the published index version, and on top of it every row written or deleted since."""

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
Among = NDArray[np.int64] | None
MAX_LOAD_ATTEMPTS = 3
SPARE_HITS = 10
"""Dead rows among the nearest that are expected; where there are more, it is searched again."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What a search saw: the version, none where there is none, and how many living rows, in the tail and in all."""

    version: str | None
    built_at: str | None
    rows: int
    tail_rows: int


@dataclass(frozen=True, slots=True, eq=False)
class IndexLayer(Generic[Index]):
    """Rows that are searched together. Those in `dead` were deleted or rewritten since."""

    index: Index
    tombstones: frozenset[int] = frozenset()

    @property
    def row_count(self) -> int:
        return self.index.row_count - len(self.tombstones)

    def exclude(self, gone: NDArray[np.int64]) -> "IndexLayer[Index]":
        found = self.index.contained_ids(gone)
        return replace(self, tombstones=self.tombstones.union(found.tolist())) if found.size else self

    def search(self, vectors: Vectors, k: int, allowed_ids: Among = None) -> list[list[SearchHit]]:
        count = k + min(len(self.tombstones), k + SPARE_HITS)
        while True:
            found = self.index.search(vectors, count, allowed_ids)
            living = [[hit for hit in hits if hit.row_id not in self.tombstones] for hits in found]
            if not any(len(left) < k and len(hits) == count for left, hits in zip(living, found, strict=True)):
                return [left[:k] for left in living]
            count *= 2


Tail = tuple[IndexLayer[ExactIndex], ...]


@dataclass(frozen=True, slots=True, eq=False)
class IndexState:
    """The index as of commit `upto`. Immutable: a search sees one, whole."""

    last_commit: int = 0
    pointer: PointerState | None = None
    """Where the base was found."""
    manifest: Manifest | None = None
    base: tuple[IndexLayer[VectorIndex], ...] = ()
    """One layer, or none without a version."""
    tail: Tail = ()

    def apply(self, changes: Changes) -> "IndexState":
        """With what was written and deleted since. A row that was written again is the new one alone."""
        gone = np.concatenate([changes.deleted, changes.row_ids])
        if not gone.size:
            return replace(self, last_commit=changes.last_commit)
        base = tuple(layer.exclude(gone) for layer in self.base)
        tail = tuple(layer for old in self.tail if (layer := old.exclude(gone)).row_count)
        if len(changes.row_ids):
            tail = append_layer(tail, IndexLayer(ExactIndex(changes.row_ids, changes.vectors)))
        return replace(self, last_commit=changes.last_commit, base=base, tail=tail)

    def search(self, vectors: Vectors, k: int, allowed_ids: Among = None) -> list[list[SearchHit]]:
        layers: tuple[IndexLayer[VectorIndex] | IndexLayer[ExactIndex], ...] = self.base + self.tail
        found = [layer.search(vectors, k, allowed_ids) for layer in layers]
        return [_best([hits[query] for hits in found], k) for query in range(len(vectors))]

    @property
    def info(self) -> IndexInfo:
        tail = sum(layer.row_count for layer in self.tail)
        rows = tail + sum(layer.row_count for layer in self.base)
        if self.manifest is None:
            return IndexInfo(None, None, rows, tail)
        return IndexInfo(self.manifest.version, self.manifest.built_at, rows, tail)


class LiveIndex:
    """Searches exactly the rows that live when a search begins. Safe to use from several threads.

    Looks at most every `look_every` seconds whether a newer version counts. A bad one is logged once, and what was
    there goes on, or at the start the newest good one; without any, all rows are in the tail, which is correct but takes
    memory and time.
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
        self._look_every, self._clock, self._next_look = poll_interval, clock, clock()
        self._loading, self._lock = threading.Lock(), threading.Lock()
        self._state: IndexState | None = None
        self._refreshes = 0
        self._refused: PointerState | None = None
        self._complaint = ""

    def search(
        self, vectors: Vectors, k: int, cancel: CancelToken, allowed_ids: Among = None
    ) -> tuple[list[list[SearchHit]], IndexInfo]:
        """For each of the (q, dim) unit rows its k nearest living rows by cosine, equally near ones by row id.

        With `among` (n,), of the rows of these numbers alone. Raises `Unavailable`, `Cancelled`, `DeadlineExceeded`.
        """
        cancel.check()
        state = self._fresh()
        cancel.check()
        return state.search(vectors, k, allowed_ids), state.info

    def warm(self) -> IndexInfo:
        """Load the current version, if that has not happened yet. Raises `Unavailable`."""
        return self._fresh().info

    def _fresh(self) -> IndexState:
        """A state with every commit that was visible when this was called."""
        arrived = self._refreshes
        self._follow_in_turn()
        with self._lock:
            # a refresh that was under way when we arrived may have missed our commits, but the next began after it
            if self._state is not None and self._refreshes >= arrived + 2:
                return self._state
            return self._refresh(self._state or IndexState())

    def _refresh(self, state: IndexState) -> IndexState:
        """Needs the lock."""
        refreshed = state.apply(self._changes(state.last_commit))
        self._state = refreshed
        self._refreshes += 1
        return refreshed

    def _changes(self, since: int) -> Changes:
        changes = self._catalog.changes(self._embedder, since)
        if len(changes.row_ids) and changes.vectors.shape[1] != self._dim:
            raise LookalikeError(f"The catalog's vectors have length {changes.vectors.shape[1]}, not {self._dim}")
        return changes

    def _follow_in_turn(self) -> None:
        """Follow the pointer if it is time. While one thread loads, the others search what is there."""
        if not self._is_due() or not self._loading.acquire(blocking=self._state is None):
            return
        try:
            if self._is_due():
                self._follow()
        finally:
            self._loading.release()

    def _is_due(self) -> bool:
        return self._state is None or self._clock() >= self._next_look

    def _follow(self) -> None:
        self._next_look = self._clock() + self._look_every
        newer = self._good()
        if newer is None and self._state is not None:
            return
        with self._lock:
            self._refresh(newer or IndexState())
        if newer is not None and newer.pointer:
            self._refused = None

    def _good(self) -> IndexState | None:
        """What the pointer newly names, unless it is bad, or away while there is something else to search."""
        try:
            newer = self._newer()
        except Untrusted as error:
            if error.message != self._complaint:
                log.error("The index version stays as it is. %s", error)
            self._complaint = error.message
            return self._older() if self._state is None else None
        except LookalikeError:
            if self._state is None:
                raise
            log.warning("The index version stays as it is: a newer one cannot be loaded", exc_info=True)
        else:
            self._complaint = ""
            return newer
        return None

    def _older(self) -> IndexState | None:
        """The newest version that is whole, where the one that counts is not, or nobody can say which that is."""
        for manifest in reversed(self._versions.list_manifests()):
            with suppress(Untrusted, NotFound):
                return self._load(manifest.version, None)
        return None

    def _newer(self) -> IndexState | None:
        known = self._refused or (self._state.pointer if self._state else None)
        for _ in range(MAX_LOAD_ATTEMPTS):
            pointer = self._versions.current(known)
            if pointer is None or pointer == known:
                return None
            try:
                return self._load(pointer.version, pointer)
            except NotFound:
                # deleted because the pointer moved on: read it again
                missing = pointer
            except Untrusted:
                self._refused = pointer
                raise
        self._refused = missing
        raise Untrusted(f"Index version {missing.version} is not whole")

    def _load(self, version: str, pointer: PointerState | None) -> IndexState:
        manifest, index = self._versions.load(version)
        changes = self._changes(manifest.commit)
        if changes.last_commit < manifest.commit:
            raise Untrusted(f"Index version {version} is ahead of the catalog: is it another's?")
        return IndexState(manifest.commit, pointer, manifest, (IndexLayer(self._compared(index)),)).apply(changes)

    def _compared(self, index: VectorIndex) -> VectorIndex:
        return index if index.is_exact else RerankedIndex(index, partial(self._catalog.vectors, self._embedder))


def append_layer(tail: Tail, new: IndexLayer[ExactIndex]) -> Tail:
    """Merged as a binary counter carries: a row is copied once for each doubling, and there are few layers to search."""
    while tail and tail[-1].row_count <= new.row_count:
        tail, new = tail[:-1], _merged(tail[-1], new)
    return (*tail, new)


def _merged(one: IndexLayer[ExactIndex], other: IndexLayer[ExactIndex]) -> IndexLayer[ExactIndex]:
    (ids, vectors), (more_ids, more_vectors) = _living(one), _living(other)
    return IndexLayer(ExactIndex(np.concatenate([ids, more_ids]), np.concatenate([vectors, more_vectors])))


def _living(layer: IndexLayer[ExactIndex]) -> tuple[NDArray[np.int64], Vectors]:
    index = layer.index
    if not layer.tombstones:
        return index.row_ids, index.vectors
    alive = ~np.isin(index.row_ids, np.fromiter(layer.tombstones, np.int64))
    return index.row_ids[alive], index.vectors[alive]


def _best(hits: list[list[SearchHit]], k: int) -> list[SearchHit]:
    """Each row once: an index that is written to while we search may have got a row of the tail by now."""
    each = {hit.row_id: hit for hit in itertools.chain(*hits)}
    return sorted(each.values(), key=lambda hit: (-hit.similarity, hit.row_id))[:k]
