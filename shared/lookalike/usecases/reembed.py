"""The stored garments get vectors of another embedder, beside the ones that searches go on to use meanwhile."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict, LookalikeError, NotFound
from lookalike.domain.model import LedgerEntry, LedgerStatus, Segment
from lookalike.domain.paths import INDEX_PREFIX
from lookalike.domain.ports import Catalog, ObjectStore, SecondaryVectors
from lookalike.usecases import segment_images
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.thread_pool import map_concurrently

log = logging.getLogger("lookalike.reembed")
BATCH_SIZE = 32
"""Garments that are read and embedded at a time, and stored in one transaction."""
SELF_CHECK_ROWS = 100
"""Garments that must find themselves in the new index."""
SIMILARITY_TOLERANCE = 1e-4


@dataclass
class ReembedSummary:
    """`failed`: garments that have no such vector, and why; those of earlier runs included."""

    embedded: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Reembed:
    """Everything but `catalog` and `store` is the new embedder's. May be interrupted and run again, beside uploads."""

    catalog: Catalog
    secondary_vectors: SecondaryVectors
    store: ObjectStore
    models: Models
    reindex: Reindex | ExternalIndex
    index: LiveIndex

    def run(self, retry_failed: bool = False, progress: Callable[[int], object] = lambda count: None) -> ReembedSummary:
        """Embed, build the new embedder's index and check it. `progress` hears of how many more garments were looked at.

        What may pass is raised, what is broken is noted in the ledger and passed over.
        """
        summary = ReembedSummary()
        for batch in self._batches():
            self._embed(self._worth_trying(batch, retry_failed, summary), summary)
            progress(len(batch))
        summary.version = self.reindex.build().version
        self._check()
        return summary

    def drop_old_vectors(self, passed_over: int = 0) -> int:
        """Give up the vectors that garments had before, and their index. `passed_over` cannot get others: they keep theirs.

        Whoever still searches with another embedder finds nothing any more. Raises `Conflict` while more than those have none.
        """
        if (left := self.secondary_vectors.count_missing_vectors(self.models.embedder)) > passed_over:
            raise Conflict(f"{left - passed_over} garments have no vector of {self.models.embedder} yet: run it again")
        settled = 0
        while count := self.secondary_vectors.drop_other_vectors(self.models.embedder, 100):
            settled += count
        ours = f"{INDEX_PREFIX}{self.models.embedder}/"
        for path in [one.path for one in self.store.list(INDEX_PREFIX) if not one.path.startswith(ours)]:
            self.store.delete(path)
        return settled

    @property
    def _source(self) -> str:
        """What the ledger calls us."""
        return f"reembed:{self.models.embedder}"

    def _batches(self) -> Iterator[list[Segment]]:
        after = 0
        while batch := self.secondary_vectors.segments_missing_vectors(self.models.embedder, after, BATCH_SIZE):
            after = batch[-1].row_id
            yield batch

    def _worth_trying(self, batch: Sequence[Segment], retry_failed: bool, summary: ReembedSummary) -> list[Segment]:
        if retry_failed:
            return list(batch)
        known = self.catalog.ledger_entries(self._source, [one.name for one in batch])
        # a garment of that name may be another one by now
        reasons = {(entry.name, entry.generation): entry.reason or "" for entry in known}
        failed = {one.name: reasons[key] for one in batch if (key := (one.name, str(one.row_id))) in reasons}
        summary.failed |= failed
        return [one for one in batch if one.name not in failed]

    def _embed(self, batch: Sequence[Segment], summary: ReembedSummary) -> None:
        read = zip(batch, map_concurrently(lambda one: self._picture(one, summary), batch), strict=True)
        there = [(one, picture) for one, picture in read if picture is not None]
        if not there:
            return
        vectors = self.models.embed([picture for _, picture in there], CancelToken())
        rows: dict[int, NDArray[np.float32]] = {
            one.row_id: vector for (one, _), vector in zip(there, vectors, strict=True)
        }
        summary.embedded += self.secondary_vectors.add_vectors(self.models.embedder, rows)

    def _picture(self, segment: Segment, summary: ReembedSummary) -> Image.Image | None:
        """As it was cut out. None where it is broken, which is noted, or was deleted meanwhile."""
        try:
            return images.read_cut_out(segment_images.load_image(self.store, self.catalog, segment))
        except LookalikeError as error:
            if error.retry_after is not None:
                raise
            if isinstance(error, NotFound) and self.catalog.segment(segment.row_id) is None:
                return None
            self._note(segment, error.message)
            summary.failed[segment.name] = error.message
            return None

    def _note(self, segment: Segment, reason: str) -> None:
        log.error("%s cannot be embedded: %s", segment.name, reason)
        failed = LedgerStatus.FAILED
        self.catalog.record_ledger_entry(
            LedgerEntry(self._source, segment.name, str(segment.row_id), failed, None, reason)
        )

    def _check(self) -> None:
        """Raises `LookalikeError` unless garments find themselves, or one that looks the very same, first."""
        with self.catalog.snapshot(self.models.embedder, 0) as rows:
            asked = np.random.default_rng(len(rows.row_ids)).permutation(rows.row_ids)[:SELF_CHECK_ROWS]
        vectors = self.catalog.vectors(self.models.embedder, asked.tolist())
        if not vectors:
            return
        found, _ = self.index.search(np.stack(list(vectors.values())), 1, CancelToken())
        lost = [
            row_id
            for row_id, hits in zip(vectors, found, strict=True)
            if not hits or hits[0].similarity < 1 - SIMILARITY_TOLERANCE
        ]
        if lost:
            raise LookalikeError(f"{len(lost)} of {len(vectors)} garments do not find themselves in the new index")
