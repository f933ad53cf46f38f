"""Many photos come in, from a folder or as events: of each object one result, that of its newest version."""

import hashlib
import logging
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lookalike.domain.errors import (
    Busy,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    LookalikeError,
    NotFound,
    Unavailable,
)
from lookalike.domain.model import Caller, LedgerEntry, LedgerStatus
from lookalike.domain.paths import INCOMING_PREFIX, INDEX_PREFIX
from lookalike.domain.ports import Catalog
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.segments import Segments
from lookalike.usecases.upload import Upload

log = logging.getLogger("lookalike.ingest")
TRANSIENT_ERRORS = (Unavailable, Busy, DeadlineExceeded, Cancelled)
"""Errors that say nothing of the photo: it is to come again."""
SUPERSEDED_REASON = "A newer version of the object was written"


@dataclass(frozen=True, slots=True)
class Source:
    """One version of one object: `bucket` is a bucket or a folder."""

    bucket: str
    name: str
    generation: str


@dataclass(frozen=True, slots=True)
class Ingest:
    upload: Upload
    segments: Segments
    catalog: Catalog
    jobs: Jobs
    force: bool = True

    def known_versions(self, bucket: str, names: list[str]) -> dict[tuple[str, str], LedgerEntry]:
        """What became of those objects before, by name and generation."""
        return {(one.name, one.generation): one for one in self.catalog.ledger_entries(bucket, names)}

    def ingest(self, source: Source, data: bytes, is_current: Callable[[], bool] = lambda: True) -> LedgerEntry:
        """Store a photo in place of the object's older versions, and note what became of it.

        `is_current` tells whether the object still is this version. Raises what may pass, so that it comes again.
        """
        try:
            photo = self._store(source, data)
        except TRANSIENT_ERRORS:
            raise
        except LookalikeError as error:
            return self.record_failure(source, error.message)
        before = {entry.photo for entry in self.catalog.ledger_entries(source.bucket, [source.name])} - {None, photo}
        if not is_current():
            # a newer version was stored meanwhile, or will be: ours must not stand beside it
            self._remove(source, photo)
            return self.record_superseded(source)
        entry = self._note(source, LedgerStatus.DONE, photo=photo)
        for old in before:
            self._remove(source, str(old))
        return entry

    def record_failure(self, source: Source, reason: str) -> LedgerEntry:
        """Note that an object is not taken, and why."""
        return self._note(source, LedgerStatus.FAILED, reason=reason)

    def record_superseded(self, source: Source) -> LedgerEntry:
        """Note that an object's version was overwritten before it was taken."""
        return self._note(source, LedgerStatus.DONE, reason=SUPERSEDED_REASON)

    def _store(self, source: Source, data: bytes) -> str:
        name = photo_name_from_path(source.name)
        try:
            return self._store_as(name, data)
        except Conflict:
            # two files of one name in different folders, or a new version of one
            return self._store_as(f"{name}-{hashlib.sha256(data).hexdigest()[:8]}", data)

    def _store_as(self, name: str, data: bytes) -> str:
        with self.jobs.run_job("ingest", Caller(), validate_or_create_job_id(None)) as work:
            return self.upload.upload_photo(data, name, None, self.force, work).photo

    def _remove(self, source: Source, photo: str) -> None:
        """Unless the newest version that was noted is that very photo."""
        if any(entry.photo == photo for entry in self.catalog.ledger_entries(source.bucket, [source.name])[-1:]):
            return
        for segment in self.catalog.segments_of_photo(photo):
            with suppress(NotFound):
                self.segments.delete_segment(segment.name)
        log.info("%s was replaced", photo)

    def _note(
        self, source: Source, status: LedgerStatus, photo: str | None = None, reason: str | None = None
    ) -> LedgerEntry:
        entry = LedgerEntry(source.bucket, source.name, source.generation, status, photo, reason)
        self.catalog.record_ledger_entry(entry)
        return entry


def photo_name_from_path(path: str) -> str:
    """A legal `image_name` from an object's path without its ending: `Summer 24/robe d'été.jpg` -> `Summer_24-robe_d_ete`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", path)
    plain = unicodedata.normalize("NFKD", stem.replace("/", "-")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip(".")[:180]
    if f"{name}/" in (INDEX_PREFIX, INCOMING_PREFIX):
        return f"{name}-photo"
    return name or hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
