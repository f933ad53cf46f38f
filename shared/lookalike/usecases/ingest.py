"""Ingestion of objects from a folder or bucket: each object results in one photo, that of its newest version."""

import hashlib
import logging
import re
import time
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
from lookalike.usecases.upload import ClaimTimeout, Upload, sha256_hex

log = logging.getLogger("lookalike.ingest")
TRANSIENT_ERRORS = (Unavailable, Busy, DeadlineExceeded, Cancelled)
"""Errors that do not depend on the photo. They are raised and not recorded, so that the object is delivered again."""
SUPERSEDED_REASON = "A newer version of the object was written"
"""Reason in the ledger for a version that was overwritten before it was ingested."""
DELETED_REASON = "The object was deleted before it was ingested"


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

    def ingest(
        self,
        source: Source,
        data: bytes,
        is_current: Callable[[], bool] = lambda: True,
        deadline: float | None = None,
    ) -> LedgerEntry:
        """Store the photo of an object, delete those of its other versions, and record and return the outcome.

        `is_current` returns whether the object still has this version. `deadline` is a value of `time.monotonic()` at
        which the work stops. Without one, the work waits for claims of uploads that may have been killed.

        Raises only `TRANSIENT_ERRORS`. Every other `LookalikeError` is recorded as a failure.
        """
        recorded = self._entries_with_photo(source)
        try:
            photo = self._store(source, data, recorded, deadline)
        except TRANSIENT_ERRORS:
            raise
        except LookalikeError as error:
            return self.record_failure(source, error.message)
        own = LedgerEntry(source.bucket, source.name, source.generation, LedgerStatus.DONE, photo)
        # Checked after storing: events of two versions can be processed at the same time and in any order. If a newer
        # version exists, its photo is or will be stored, and this one must be deleted.
        if not is_current():
            self._delete_unrecorded_photo(source, photo)
            return self.record_superseded(source)
        # Before recording: after a crash in between, the object is ingested again. After recording: of two versions that
        # are ingested at the same time, at least one sees the other's entry.
        if self._delete_older_photos(own, recorded):
            self.catalog.record_ledger_entry(own)
            if self._delete_older_photos(own, self._entries_with_photo(source)):
                return own
        return self._record(source, LedgerStatus.DONE, SUPERSEDED_REASON)

    # Another process can store the photo of the same version meanwhile: events are repeated, and tasks come twice. Its
    # entry must not lose the photo, or the ingestion of the next version could not find and delete it.

    def record_failure(self, source: Source, reason: str) -> LedgerEntry:
        """Record that an object version cannot be ingested, unless its photo is stored. Returns the entry."""
        return self._stored_entry(source) or self._record(source, LedgerStatus.FAILED, reason)

    def record_superseded(self, source: Source) -> LedgerEntry:
        """Record that an object version was overwritten, unless its photo is stored. Returns the entry."""
        return self._stored_entry(source) or self._record(source, LedgerStatus.DONE, SUPERSEDED_REASON)

    def record_deleted(self, source: Source) -> LedgerEntry:
        """Record that an object was deleted, unless its photo is stored. Returns the entry."""
        return self._stored_entry(source) or self._record(source, LedgerStatus.DONE, DELETED_REASON)

    def _stored_entry(self, source: Source) -> LedgerEntry | None:
        """Return the entry of an object version that a photo was stored from."""
        entries = self._entries_with_photo(source)
        return next((entry for entry in entries if entry.generation == source.generation), None)

    def _entries_with_photo(self, source: Source) -> list[LedgerEntry]:
        """Return the entries of all versions of an object that a photo was stored from."""
        return [entry for entry in self.catalog.ledger_entries(source.bucket, [source.name]) if entry.photo]

    def _store(self, source: Source, data: bytes, recorded: list[LedgerEntry], deadline: float | None) -> str:
        """Store the photo and return its name. An overwritten object whose bytes are the same keeps its photo."""
        name, sha256 = photo_name_from_path(source.name), sha256_hex(data)
        other_name = f"{name}-{sha256[:8]}"
        newest_first = dict.fromkeys(str(entry.photo) for entry in reversed(recorded))
        stored = next((photo for one in newest_first if (photo := self.catalog.photo(one))), None)
        if stored and stored.sha256 == sha256:
            return stored.name
        # An attempt that was interrupted after deleting the older photo has made its name free.
        is_retry = bool(recorded) and self.catalog.photo(other_name) is not None
        if stored is None and not is_retry:
            # Another object with a similar path can have the name.
            with suppress(Conflict):
                return self.store_photo(name, data, deadline)
        return self.store_photo(other_name, data, deadline)

    def store_photo(self, name: str, data: bytes, deadline: float | None = None) -> str:
        """Store a photo under a name and return the name. Raises the same as `Upload.upload_photo`.

        Without a deadline, waits for the claims of uploads that may have been killed.
        """
        # Twice the age at which a claim counts as abandoned: after a kill, another process can take it over first.
        last_start = time.monotonic() + 2 * self.upload.claim_timeout.total_seconds()
        while True:
            try:
                with self.jobs.run_job("ingest", Caller(), validate_or_create_job_id(None), deadline) as job:
                    return self.upload.upload_photo(data, name, None, self.force, job).photo
            except ClaimTimeout:
                if deadline is not None or time.monotonic() > last_start:
                    raise

    def _delete_older_photos(self, own: LedgerEntry, recorded: list[LedgerEntry]) -> bool:
        """Delete the photos of all versions of an object but the newest. Returns whether that is the photo of `own`."""
        # Generations of a bucket increase. Those of a folder contain the file's time, which an older copy can set back.
        newest = max([own, *recorded], key=_version) if own.generation.isdecimal() else own
        for photo in {str(entry.photo) for entry in [own, *recorded]} - {newest.photo}:
            # Since a merge of duplicates, a photo can be that of several objects.
            if not self._is_of_other_object(photo, own):
                self._delete_photo(photo)
        return newest.photo == own.photo

    def _is_of_other_object(self, photo: str, own: LedgerEntry) -> bool:
        # Entries of a photo have names in the escaped form.
        own_key = _escaped(own.bucket), _escaped(own.name)
        return any((entry.bucket, entry.name) != own_key for entry in self.catalog.ledger_entries_of_photo(photo))

    def _delete_unrecorded_photo(self, source: Source, photo: str) -> None:
        """Delete the photo, unless another version with the same bytes has it."""
        if photo not in {entry.photo for entry in self._entries_with_photo(source)}:
            self._delete_photo(photo)

    def _delete_photo(self, photo: str) -> None:
        segments = self.catalog.segments_of_photo(photo)
        for segment in segments:
            with suppress(NotFound):
                self.segments.delete_segment(segment.name)
        if segments:
            log.info("A photo was replaced by a newer version", extra={"photo": photo})

    def _record(self, source: Source, status: LedgerStatus, reason: str) -> LedgerEntry:
        """Record an outcome without a photo."""
        entry = LedgerEntry(source.bucket, source.name, source.generation, status, reason=reason)
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


def _version(entry: LedgerEntry) -> int:
    return int(entry.generation) if entry.generation.isdecimal() else 0


def _escaped(name: str) -> str:
    """Return a name as `Catalog.ledger_entries_of_photo` does."""
    return name.encode("utf-8", "backslashreplace").decode()
