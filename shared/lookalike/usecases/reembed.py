"""Change of embedder: gives stored garments vectors of another embedder while searches keep using the old ones."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Conflict, LookalikeError, NotFound
from lookalike.domain.ledger import REEMBED_PREFIX
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
"""Segments read, embedded and stored in one transaction."""
DROP_BATCH_SIZE = 100
"""Segments whose old vectors are dropped in one transaction."""
SELF_CHECK_ROWS = 100
"""Stored vectors that are searched for in the new index after the build."""
SIMILARITY_TOLERANCE = 1e-4
"""A stored vector must find a row of similarity 1 within this tolerance. Float32 rounding is far smaller."""


@dataclass
class ReembedSummary:
    """Result of a run."""

    embedded: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Reasons by name of the segments that could not be embedded, those of earlier runs included."""
    version: str = ""
    """The index version that was built; empty if this was one of several tasks."""


@dataclass(frozen=True, slots=True)
class Reembed:
    """Embeds stored segments with a new embedder. Can be interrupted and run again, also during uploads.

    `models`, `reindex` and `index` are those of the new embedder.
    """

    catalog: Catalog
    secondary_vectors: SecondaryVectors
    store: ObjectStore
    models: Models
    reindex: Reindex | ExternalIndex
    index: LiveIndex

    def run(
        self,
        retry_failed: bool = False,
        progress: Callable[[int], object] = lambda count: None,
        share: tuple[int, int] = (0, 1),
    ) -> ReembedSummary:
        """Embed all segments that lack a vector, build the new embedder's index and check it.

        `progress` is called with the number of segments processed since the last call. Raises temporary errors.
        Segments with broken images are recorded in the ledger and skipped, also by later runs unless `retry_failed`.

        `share`: index and number of the tasks that share the segments. One of several only embeds its share, and a later
        run without the others builds the index.
        """
        summary = ReembedSummary()
        for batch in self._batches(*share):
            self._embed_batch(self._without_failed(batch, retry_failed, summary), summary)
            progress(len(batch))
        if share[1] > 1:
            return summary
        summary.version = self.reindex.build().version
        self._check_index()
        return summary

    def drop_old_vectors(self, allowed_missing: int = 0) -> int:
        """Delete all other embedders' vectors and index versions; return the number of segments changed.

        Up to `allowed_missing` segments may lack a vector of the new embedder; they keep their old ones. Searches with
        another embedder find nothing afterwards. Raises `Conflict` if more segments lack a vector.
        """
        missing = self.secondary_vectors.count_missing_vectors(self.models.embedder)
        if missing > allowed_missing:
            raise Conflict(
                f"{missing - allowed_missing} garments have no vector of {self.models.embedder} yet: "
                "run `lookalike reembed` again"
            )
        changed = 0
        while count := self.secondary_vectors.drop_other_vectors(self.models.embedder, DROP_BATCH_SIZE):
            changed += count
        kept_prefix = f"{INDEX_PREFIX}{self.models.embedder}/"
        for path in [stored.path for stored in self.store.list(INDEX_PREFIX)]:
            if not path.startswith(kept_prefix):
                self.store.delete(path)
        return changed

    @property
    def _ledger_source(self) -> str:
        return f"{REEMBED_PREFIX}{self.models.embedder}"

    def _batches(self, index: int, count: int) -> Iterator[list[Segment]]:
        # By row id, so that it does not change which segments belong to this task when others embed theirs.
        after = 0
        while page := self.secondary_vectors.segments_missing_vectors(self.models.embedder, after, BATCH_SIZE * count):
            after = page[-1].row_id
            own = [segment for segment in page if segment.row_id % count == index]
            yield from (own[start : start + BATCH_SIZE] for start in range(0, len(own), BATCH_SIZE))

    def _without_failed(self, batch: Sequence[Segment], retry_failed: bool, summary: ReembedSummary) -> list[Segment]:
        """Return the segments that did not fail in an earlier run; add the others to the summary."""
        if retry_failed:
            return list(batch)
        entries = self.catalog.ledger_entries(self._ledger_source, [segment.name for segment in batch])
        # The key includes the row id, because a new segment may have the name of a deleted one.
        reasons = {(entry.name, entry.generation): entry.reason or "" for entry in entries}
        failed = {
            segment.name: reasons[key] for segment in batch if (key := (segment.name, str(segment.row_id))) in reasons
        }
        summary.failed |= failed
        return [segment for segment in batch if segment.name not in failed]

    def _embed_batch(self, batch: Sequence[Segment], summary: ReembedSummary) -> None:
        images_or_none = map_concurrently(lambda segment: self._read_image(segment, summary), batch)
        readable = [(segment, image) for segment, image in zip(batch, images_or_none, strict=True) if image is not None]
        if not readable:
            return
        vectors = self.models.embed([image for _, image in readable], CancelToken())
        rows: dict[int, NDArray[np.float32]] = {
            segment.row_id: vector for (segment, _), vector in zip(readable, vectors, strict=True)
        }
        summary.embedded += self.secondary_vectors.add_vectors(self.models.embedder, rows)

    def _read_image(self, segment: Segment, summary: ReembedSummary) -> Image.Image | None:
        """Return the cut-out, or `None` if it is broken (recorded as failed) or its segment was deleted meanwhile."""
        try:
            return images.read_cut_out(segment_images.load_image(self.store, self.catalog, segment))
        except LookalikeError as error:
            if error.retry_after is not None:
                raise
            if isinstance(error, NotFound) and self.catalog.segment(segment.row_id) is None:
                return None
            self._record_failure(segment, error.message)
            summary.failed[segment.name] = error.message
            return None

    def _record_failure(self, segment: Segment, reason: str) -> None:
        log.error("Could not embed %s: %s", segment.name, reason)
        self.catalog.record_ledger_entry(
            LedgerEntry(self._ledger_source, segment.name, str(segment.row_id), LedgerStatus.FAILED, None, reason)
        )

    def _check_index(self) -> None:
        """Raise `LookalikeError` unless a sample of stored vectors is found in the index with similarity 1."""
        with self.catalog.snapshot(self.models.embedder, 0) as rows:
            # Seeded, so that a failed check can be repeated with the same sample.
            sample = np.random.default_rng(len(rows.row_ids)).permutation(rows.row_ids)[:SELF_CHECK_ROWS]
        vectors = self.catalog.vectors(self.models.embedder, sample.tolist())
        if not vectors:
            return
        results, _ = self.index.search(np.stack(list(vectors.values())), 1, CancelToken())
        # Another garment with an identical vector may come first, so similarities are compared and not row ids.
        not_found = sum(not hits or hits[0].similarity < 1 - SIMILARITY_TOLERANCE for hits in results)
        if not_found:
            raise LookalikeError(
                f"{not_found} of {len(vectors)} garments do not find themselves in the new index: "
                "run `lookalike index build`"
            )
