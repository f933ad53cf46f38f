"""Ingestion of objects from a folder or bucket: each object results in one photo, that of its newest version."""

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
"""Errors that do not depend on the photo. They are raised and not recorded, so that the object is delivered again."""
SUPERSEDED_REASON = "A newer version of the object was written"
"""Reason in the ledger for a version that was overwritten before it was ingested."""


@dataclass(frozen=True, slots=True)
class Source:
    """One version of one object. `bucket` is a bucket or a folder of the file system."""

    bucket: str
    name: str
    generation: str


@dataclass(frozen=True, slots=True)
class Ingest:
    """Stores photos from objects and records the outcome in the ledger."""

    upload: Upload
    segments: Segments
    catalog: Catalog
    jobs: Jobs
    force: bool = True
    """Whether to store the whole photo if no garment is found."""

    def recorded_outcomes(self, bucket: str, names: list[str]) -> dict[tuple[str, str], LedgerEntry]:
        """Return the recorded outcomes of these objects by (name, generation)."""
        return {(entry.name, entry.generation): entry for entry in self.catalog.ledger_entries(bucket, names)}

    def ingest(self, source: Source, data: bytes, is_current: Callable[[], bool] = lambda: True) -> LedgerEntry:
        """Store the photo of an object, delete those of its older versions, and record and return the outcome.

        `is_current` returns whether the object still has this version. Raises only `TRANSIENT_ERRORS`. Every other
        `LookalikeError` is recorded as a failure.
        """
        try:
            photo = self._store(source, data)
        except TRANSIENT_ERRORS:
            raise
        except LookalikeError as error:
            return self.record_failure(source, error.message)
        entries = self.catalog.ledger_entries(source.bucket, [source.name])
        older_photos = {entry.photo for entry in entries} - {None, photo}
        # Checked after storing: events of two versions can be processed at the same time and in any order. If a newer
        # version exists, its photo is or will be stored, and this one must be deleted.
        if not is_current():
            self._delete_photo(source, photo)
            return self.record_superseded(source)
        entry = self._record(source, LedgerStatus.DONE, photo=photo)
        for older in older_photos:
            self._delete_photo(source, str(older))
        return entry

    def record_failure(self, source: Source, reason: str) -> LedgerEntry:
        """Record that an object version cannot be ingested."""
        return self._record(source, LedgerStatus.FAILED, reason=reason)

    def record_superseded(self, source: Source) -> LedgerEntry:
        """Record that an object version was overwritten before it was ingested."""
        return self._record(source, LedgerStatus.DONE, reason=SUPERSEDED_REASON)

    def _store(self, source: Source, data: bytes) -> str:
        """Store the photo and return its name."""
        name = photo_name_from_path(source.name)
        try:
            return self._store_as(name, data)
        except Conflict:
            # Another object with a similar path, or an older version of this one, has the name.
            return self._store_as(f"{name}-{hashlib.sha256(data).hexdigest()[:8]}", data)

    def _store_as(self, name: str, data: bytes) -> str:
        with self.jobs.run_job("ingest", Caller(), validate_or_create_job_id(None)) as job:
            return self.upload.upload_photo(data, name, None, self.force, job).photo

    def _delete_photo(self, source: Source, photo: str) -> None:
        """Delete a photo, unless it is that of the newest recorded version."""
        # Both versions may have the same bytes, and then the same photo.
        if any(entry.photo == photo for entry in self.catalog.ledger_entries(source.bucket, [source.name])[-1:]):
            return
        for segment in self.catalog.segments_of_photo(photo):
            with suppress(NotFound):
                self.segments.delete_segment(segment.name)
        log.info("A photo was replaced by a newer version", extra={"photo": photo})

    def _record(
        self, source: Source, status: LedgerStatus, photo: str | None = None, reason: str | None = None
    ) -> LedgerEntry:
        entry = LedgerEntry(source.bucket, source.name, source.generation, status, photo, reason)
        self.catalog.record_ledger_entry(entry)
        return entry


def photo_name_from_path(path: str) -> str:
    """Return a valid photo name for an object path: `Summer 24/robe d'été.jpg` becomes `Summer_24-robe_d_ete`.

    Paths without any usable character get a name from their hash.
    """
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", path)
    plain = unicodedata.normalize("NFKD", stem.replace("/", "-")).encode("ascii", "ignore").decode()
    # 180 leaves room for a hash suffix within the 200 characters of a photo name
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip(".")[:180]
    if f"{name}/" in (INDEX_PREFIX, INCOMING_PREFIX):
        return f"{name}-photo"
    return name or hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
