"""Ingestion of objects from a folder or bucket: each object results in one photo, that of its newest version."""

import hashlib
import logging
import re
import time
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

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
from lookalike.usecases.name_claims import ClaimTimeout
from lookalike.usecases.segments import Segments
from lookalike.usecases.upload import Upload, sha256_hex

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

    def recorded_outcome(self, source: Source) -> LedgerEntry | None:
        """Return the recorded outcome of an object version, or `None`.

        If a process was killed after recording it, deletes the photos of older versions that are left.
        """
        entries = self._entries_of_object(source)
        own = next((entry for entry in entries if entry.generation == source.generation), None)
        if own and own.photo:
            self._delete_older_photos(own, entries)
        return own

    def ingest(self, source: Source, data: bytes, deadline: float | None = None) -> LedgerEntry:
        """Store the photo of an object, delete those of its other versions, and record and return the outcome.

        `deadline` is a value of `time.monotonic()` at which the work stops. Without one, the work waits for claims of
        uploads that may have been killed.

        Raises only `TRANSIENT_ERRORS`. Every other `LookalikeError` is recorded as a failure.
        """
        try:
            photo = self._store(source, data, deadline)
        except TRANSIENT_ERRORS:
            raise
        except LookalikeError as error:
            return self.record_failure(source, error.message)
        own = LedgerEntry(source.bucket, source.name, source.generation, LedgerStatus.DONE, photo)
        # Read after recording: of two versions that are ingested at the same time, at least one sees the other's entry.
        # After a crash before the deletion, `recorded_outcome` repeats it.
        entries = self._entries_of_object(source)
        if not any((entry.generation, entry.photo) == (own.generation, photo) for entry in entries):
            self.catalog.record_ledger_entry(own)
            entries = self._entries_of_object(source)
        if self._delete_older_photos(own, entries):
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
        entries = self._entries_of_object(source)
        return next((entry for entry in entries if entry.generation == source.generation and entry.photo), None)

    def _entries_of_object(self, source: Source) -> list[LedgerEntry]:
        """Return the entries of all versions of an object."""
        return self.catalog.ledger_entries(source.bucket, [source.name])

    def _store(self, source: Source, data: bytes, deadline: float | None) -> str:
        """Store the photo and return its name. An overwritten object whose bytes are the same keeps its photo."""
        name, sha256 = photo_name_from_path(source.name), sha256_hex(data)
        recorded = [entry for entry in self._entries_of_object(source) if entry.photo]
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
                return self.store_photo(name, data, deadline, source)
        return self.store_photo(other_name, data, deadline, source)

    def store_photo(self, name: str, data: bytes, deadline: float | None = None, source: Source | None = None) -> str:
        """Store a photo under a name and return the name. Raises the same as `Upload.upload_photo`.

        With a source, its ledger entry is recorded in the same transaction, so that no crash can leave a photo that
        the ingestion of the next version does not find.

        Without a deadline, waits for the claims of uploads that may have been killed.
        """
        entry = LedgerEntry(source.bucket, source.name, source.generation, LedgerStatus.DONE, name) if source else None
        # Twice the age at which a claim counts as abandoned: after a kill, another process can take it over first.
        last_start = time.monotonic() + 2 * self.upload.claim_timeout.total_seconds()
        while True:
            try:
                with self.jobs.run_job("ingest", Caller(), validate_or_create_job_id(None), deadline) as job:
                    return self.upload.upload_photo(data, name, None, self.force, job, entry).photo
            except ClaimTimeout:
                if deadline is not None or time.monotonic() > last_start:
                    raise

    def _delete_older_photos(self, own: LedgerEntry, recorded: list[LedgerEntry]) -> bool:
        """Delete the photos of all versions of an object but the newest. Returns whether that is the photo of `own`."""
        # Generations of a bucket increase. Those of a folder contain the file's time, which an older copy can set back.
        with_photo = [own, *(entry for entry in recorded if entry.photo)]
        newest = max(with_photo, key=_version) if own.generation.isdecimal() else own
        for photo in {str(entry.photo) for entry in with_photo} - {newest.photo}:
            if not self._is_of_other_object(photo, own):
                self._delete_photo(photo)
        return newest.photo == own.photo

    def _is_of_other_object(self, photo: str, own: LedgerEntry) -> bool:
        """Return whether the newest version of another object has the photo.

        That is so after a merge of duplicates, or if another object got the name of a photo that was replaced.
        """
        # Entries of a photo have names in the escaped form.
        own_key = _escaped(own.bucket), _escaped(own.name)
        others = {(entry.bucket, entry.name) for entry in self.catalog.ledger_entries_of_photo(photo)} - {own_key}
        return any(self._newest_photo(*other) in (photo, None) for other in others)

    def _newest_photo(self, bucket: str, name: str) -> str | None:
        """Return the photo of an object's newest version, or `None` if nothing is recorded of such a name."""
        entries = [entry for entry in self.catalog.ledger_entries(bucket, [name]) if entry.photo]
        return max(entries, key=_version).photo if entries else None

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


def _version(entry: LedgerEntry) -> tuple[int, datetime]:
    """Return a key that orders the versions of an object. The generations of a folder's files have no order."""
    return int(entry.generation) if entry.generation.isdecimal() else 0, entry.recorded or datetime.max.replace(
        tzinfo=UTC
    )


def _escaped(name: str) -> str:
    """Return a name as `Catalog.ledger_entries_of_photo` does."""
    return name.encode("utf-8", "backslashreplace").decode()
