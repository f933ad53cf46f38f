"""Mends what an inspection found. Everything is checked again before it is changed, so that it can run in use."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from lookalike import images
from lookalike.domain.errors import Conflict, LookalikeError, NotFound
from lookalike.domain.model import Caller, Photo, Segment, StoredObject
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.ports.originals import Originals
from lookalike.usecases.consistency.findings import Findings
from lookalike.usecases.consistency.index_check import IndexCheck
from lookalike.usecases.consistency.inspect import ORIGINAL_NAME
from lookalike.usecases.ingest import Ingest
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.recut import Recut
from lookalike.usecases.segments import Segments
from lookalike.usecases.sweep import delete_orphan

log = logging.getLogger("lookalike.consistency")
T = TypeVar("T")


@dataclass
class RepairSummary:
    """Counts of mended findings by kind, and the reason of each failure by its name."""

    done: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repair:
    """Mends catalog, bucket and index. `ingest` and `recut` are functions, since they load the models."""

    catalog: Catalog
    originals: Originals
    store: ObjectStore
    segments: Segments
    jobs: Jobs
    index: IndexCheck
    ingest: Callable[[], Ingest]
    recut: Callable[[], Recut]

    def run(self, findings: Findings, stores_photos: bool = False, step: Callable[[], object] = list) -> RepairSummary:
        """Mend the findings and return what was done. Calls `step` after each finding.

        Garments without an image are cut out of their photo again, or deleted if the photo is gone, too. With
        `stores_photos`, photos without a row are stored again, without their owner; otherwise they stay. An index that
        does not fit is rebuilt last. Raises `Unavailable` for the index only; other errors are in the summary.
        """
        summary = RepairSummary()

        def mend(name: str, items: Iterable[T], action: Callable[[T], bool], label: Callable[[T], str]) -> None:
            for item in items:
                try:
                    if action(item):
                        summary.done[name] = summary.done.get(name, 0) + 1
                except LookalikeError as error:
                    summary.failed[label(item)] = error.message
                step()

        mend("garments cut out again", findings.recuttable, self._cut_out, _name)
        mend("thumbnails computed", findings.without_thumbnail, self._compute_thumbnail, _name)
        mend("garments deleted", findings.lost, self._delete_garment, _name)
        mend("originals forgotten", findings.without_original, self._forget_original, lambda photo: photo.name)
        if stores_photos:
            mend("photos stored again", findings.unknown_photos, self._store_photo, str)
        mend("objects deleted", findings.orphans, self._delete_object, lambda stored: stored.path)
        if self.index.problem():
            self.index.rebuild()
            summary.done["indexes rebuilt"] = 1
        log.info("Repaired", extra={"done": summary.done, "failed": len(summary.failed)})
        return summary

    def _current(self, segment: Segment) -> Segment | None:
        """Return the garment if it is still the same."""
        current = self.catalog.segment(segment.row_id)
        return current if current and current.path == segment.path else None

    def _cut_out(self, segment: Segment) -> bool:
        current = self._current(segment)
        if current is None or current.box is None or self.store.stat(segment.path):
            return False
        with self.jobs.run_job("recut", Caller(), validate_or_create_job_id(None)) as job:
            self.recut().recut(current.name, current.box, job, current.label)
        return True

    def _compute_thumbnail(self, segment: Segment) -> bool:
        if self._current(segment) is None or segment.thumbnail is None:
            return False
        data = images.thumbnail(images.read_image(self.store.get(segment.path)))
        try:
            self.store.put(segment.thumbnail, data, "image/jpeg")
        except Conflict:
            # somebody has restored it meanwhile
            return False
        return True

    def _delete_garment(self, segment: Segment) -> bool:
        if self._current(segment) is None or self.store.stat(segment.path):
            return False
        try:
            self.segments.delete_segment(segment.row_id)
        except NotFound:
            return False
        return True

    def _forget_original(self, photo: Photo) -> bool:
        assert photo.path is not None
        return self.store.stat(photo.path) is None and self.originals.forget_original(photo)

    def _store_photo(self, name: str) -> bool:
        """Store a photo again from its original.

        The upload begins with deleting all objects under the photo's name. If it fails, the original is written back.
        """
        path = f"{name}{ORIGINAL_NAME}"
        data = self.store.get(path)
        try:
            self.ingest().store_photo(name, data)
        except BaseException:
            if self.store.stat(path) is None:
                self.store.put(path, data, "image/jpeg")
            raise
        return True

    def _delete_object(self, stored: StoredObject) -> bool:
        if self.catalog.referenced_paths([stored.path]):
            return False
        return delete_orphan(self.store, stored)


def _name(segment: Segment) -> str:
    return segment.name
