"""Imports photos: their images first, then their rows."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Conflict, InvalidField, LookalikeError, NotFound, Unavailable
from lookalike.domain.model import Segment, StoredObject
from lookalike.domain.paths import INCOMING_PREFIX, INDEX_PREFIX, LEASE_PREFIX, is_valid_path
from lookalike.domain.ports import Catalog, ObjectStore, SecondaryVectors
from lookalike.domain.ports.transfer import CatalogTransfer
from lookalike.domain.transfer import ImportedPhoto, TransferGarment, TransferPhoto
from lookalike.usecases.claims import delete_written
from lookalike.usecases.import_catalog.report import ImportReport, Outcome
from lookalike.usecases.name_claims import NameClaims
from lookalike.usecases.thread_pool import map_concurrently

PAGE_SIZE = 32
"""Photos whose rows are stored in one transaction."""
CLAIM_SHARE = 0.8
"""Share of the time after which a claim counts as abandoned in which the images of a page must be written."""


class ImportingCatalog(Catalog, SecondaryVectors, CatalogTransfer, Protocol):
    """The ports of the catalog that the import of photos needs."""


@dataclass
class _Attempt:
    """A photo on its way into the catalog."""

    item: ImportedPhoto
    outcome: Outcome | None = None
    """`None` if its rows have to be stored."""
    reason: str = ""
    written: list[StoredObject] = field(default_factory=list)
    vectors_added: int = 0

    @property
    def photo(self) -> TransferPhoto:
        """The photo."""
        return self.item.photo

    def reset(self) -> "_Attempt":
        """Return this attempt, to be made again."""
        self.outcome, self.reason = None, ""
        self.written.clear()
        return self

    def end(self, outcome: Outcome, reason: str = "") -> None:
        """Record the outcome."""
        self.outcome, self.reason = outcome, reason


@dataclass(frozen=True)
class PhotoImport:
    """Imports photos in pages, whose images are written at the same time."""

    catalog: ImportingCatalog
    store: ObjectStore
    claims: NameClaims
    report: ImportReport
    skipped: set[str]
    """Receives the names of photos that are not imported, and of their garments."""

    def run(self, photos: Iterator[ImportedPhoto], cancel: CancelToken, on_progress: Callable[[], object]) -> None:
        """Import photos. Raises `Unavailable`; the same call then resumes."""
        while page := [_Attempt(item) for _, item in zip(range(PAGE_SIZE), photos, strict=False)]:
            cancel.check()
            self._import_page(page, cancel)
            for attempt in page:
                self._count(attempt)
            on_progress()

    def _import_page(self, page: Sequence[_Attempt], cancel: CancelToken) -> None:
        started, held = time.monotonic(), list[AbstractContextManager[bool]]()
        try:
            map_concurrently(lambda attempt: self._prepare(attempt, held, cancel), page)
            is_in_time = time.monotonic() - started < CLAIM_SHARE * self.claims.claims.timeout.total_seconds()
            if is_in_time:
                self._store_rows([attempt for attempt in page if attempt.outcome is None])
        finally:
            for claim in held:
                claim.__exit__(None, None, None)
        if not is_in_time:
            self._repeat_in_parts(page, cancel)

    def _repeat_in_parts(self, page: Sequence[_Attempt], cancel: CancelToken) -> None:
        """Import a page again that took so long that others may take its claims for abandoned."""
        if len(page) == 1:
            raise Unavailable(f"The images of {page[0].photo.name} could not be written in time: try again later")
        half = len(page) // 2
        for part in (page[:half], page[half:]):
            self._import_page([attempt.reset() for attempt in part], cancel)

    def _prepare(self, attempt: _Attempt, held: list[AbstractContextManager[bool]], cancel: CancelToken) -> None:
        """Claim the name and write the images. The claims are released after the rows of the whole page are stored."""
        try:
            check_photo(attempt.item)
            # Without images of its own, those of the store are needed, which have no row yet.
            claim = self.claims.hold(attempt.photo.name, cancel, deletes_orphans=bool(attempt.item.images))
            is_free = claim.__enter__()
            held.append(claim)
            if is_free:
                self._write_images(attempt)
            else:
                self._compare(attempt)
        except (Unavailable, Cancelled):
            raise
        except Conflict as error:
            attempt.end(Outcome.CONFLICT, error.message)
        except LookalikeError as error:
            attempt.end(Outcome.FAILED, error.message)

    def _write_images(self, attempt: _Attempt) -> None:
        paths, images = attempt.item.paths, attempt.item.images
        if taken := self.catalog.referenced_paths(paths):
            raise Conflict(f"the object {min(taken)} belongs to another photo")
        for path in paths:
            if path in images:
                content_type = "image/png" if path.endswith(".png") else "image/jpeg"
                attempt.written.append(self._put(path, images[path](), content_type))
            elif self.store.stat(path) is None:
                raise NotFound(f"the image {path} is neither in the export nor in the bucket")

    def _put(self, path: str, data: bytes, content_type: str) -> StoredObject:
        try:
            return self.store.put(path, data, content_type)
        except Conflict as error:
            raise Conflict(f"another object {path} is in the bucket") from error

    def _compare(self, attempt: _Attempt) -> None:
        """Compare a photo with the stored one of the same name. Adds vectors that it does not have."""
        photo, stored = attempt.photo, self.catalog.photo(attempt.photo.name)
        segments = {one.name: one for one in self.catalog.segments_of_photo(photo.name)}
        garments = {one.segment.name: one for one in photo.garments}
        if stored != photo.photo or segments.keys() != garments.keys():
            raise Conflict("another photo of this name is stored")
        if different := [name for name, one in garments.items() if _values(one.segment) != _values(segments[name])]:
            raise Conflict(f"the stored garment {different[0]} differs")
        rows = {segments[name].row_id: one for name, one in garments.items()}
        attempt.vectors_added = sum([self._add_vectors(name, rows) for name in _embedders(photo)])
        attempt.end(Outcome.UNCHANGED)

    def _add_vectors(self, embedder: str, rows: dict[int, TransferGarment]) -> int:
        exported = {row_id: one.vectors[embedder] for row_id, one in rows.items() if embedder in one.vectors}
        stored = self.catalog.vectors(embedder, [*exported])
        for row_id, vector in stored.items():
            if not np.array_equal(vector, exported[row_id]):
                raise Conflict(f"the stored garment {rows[row_id].segment.name} has another vector of {embedder}")
        missing = {row_id: vector for row_id, vector in exported.items() if row_id not in stored}
        return self.catalog.add_vectors(embedder, missing) if missing else 0

    def _store_rows(self, attempts: Sequence[_Attempt]) -> None:
        """Store the rows of all photos in one transaction, or one by one if a photo does not fit."""
        if not attempts:
            return
        try:
            self.catalog.import_photos([attempt.photo for attempt in attempts])
        except (Conflict, InvalidField) as error:
            if len(attempts) > 1:
                for attempt in attempts:
                    self._store_rows([attempt])
                return
            is_conflict = isinstance(error, Conflict)
            reason = "a garment of this name belongs to another photo" if is_conflict else error.message
            attempts[0].end(Outcome.CONFLICT if is_conflict else Outcome.FAILED, reason)
            return
        for attempt in attempts:
            attempt.end(Outcome.STORED)

    def _count(self, attempt: _Attempt) -> None:
        photo, outcome = attempt.photo, attempt.outcome or Outcome.FAILED
        self.report.add("photos", photo.name, outcome, attempt.reason)
        self.report.vectors_added += attempt.vectors_added
        if outcome is Outcome.STORED:
            self.report.garments_stored += len(photo.garments)
        elif outcome is not Outcome.UNCHANGED:
            self.skipped.update([photo.name, *(one.segment.name for one in photo.garments)])
            for stored in attempt.written:
                delete_written(self.store, stored)


def check_photo(item: ImportedPhoto) -> None:
    """Raise `InvalidField` if rows of the photo would refer to objects that are no images of a photo."""
    for path in item.paths:
        if not is_valid_path(path) or path.startswith((INDEX_PREFIX, INCOMING_PREFIX, LEASE_PREFIX)):
            raise InvalidField(f"{path[:200]!r} is not the path of an image", field="path")


def _values(segment: Segment) -> Segment:
    """Return a segment without what differs between catalogs."""
    # the time of creation of rows of the original system can be unknown
    return replace(segment, row_id=0, created=datetime.min)


def _embedders(photo: TransferPhoto) -> list[str]:
    return sorted({embedder for one in photo.garments for embedder in one.vectors})
