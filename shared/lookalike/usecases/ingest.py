"""Many photos come in, from a folder or as events: each object's version once, broken ones noted and passed over."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from lookalike.domain.errors import Busy, Cancelled, Conflict, DeadlineExceeded, LookalikeError, Unavailable
from lookalike.domain.model import Caller, LedgerEntry, LedgerStatus
from lookalike.domain.ports import Catalogue
from lookalike.usecases.jobs import Jobs, job_id
from lookalike.usecases.upload import Upload

PASSING = (Unavailable, Busy, DeadlineExceeded, Cancelled)
"""Errors that say nothing of the photo: it is to come again."""


@dataclass(frozen=True, slots=True)
class Source:
    """One version of one object: `bucket` is a bucket or a folder."""

    bucket: str
    name: str
    generation: str


@dataclass(frozen=True, slots=True)
class Ingest:
    upload: Upload
    catalogue: Catalogue
    jobs: Jobs
    force: bool = True

    def known(self, bucket: str, names: list[str]) -> dict[tuple[str, str], LedgerEntry]:
        """What became of those objects before, by name and generation."""
        return {(one.name, one.generation): one for one in self.catalogue.ledger(bucket, names)}

    def take(self, source: Source, data: bytes) -> LedgerEntry:
        """Store a photo and note what became of it. Raises what may pass, so that it comes again."""
        try:
            entry = self._entry(source, LedgerStatus.DONE, photo=self._store(source, data))
        except PASSING:
            raise
        except LookalikeError as error:
            entry = self._entry(source, LedgerStatus.FAILED, reason=error.message)
        self.catalogue.record(entry)
        return entry

    def refuse(self, source: Source, reason: str) -> LedgerEntry:
        """Note that an object is not taken, and why."""
        entry = self._entry(source, LedgerStatus.FAILED, reason=reason)
        self.catalogue.record(entry)
        return entry

    def _store(self, source: Source, data: bytes) -> str:
        name = photo_name(source.name)
        try:
            return self._store_as(name, data)
        except Conflict:
            # two files of one name in different folders, or a new version of one
            return self._store_as(f"{name}-{hashlib.sha256(data).hexdigest()[:8]}", data)

    def _store_as(self, name: str, data: bytes) -> str:
        with self.jobs.running("ingest", Caller(), job_id(None)) as work:
            return self.upload.photo(data, name, None, self.force, work).photo

    def _entry(
        self, source: Source, status: LedgerStatus, photo: str | None = None, reason: str | None = None
    ) -> LedgerEntry:
        return LedgerEntry(source.bucket, source.name, source.generation, status, photo, reason)


def photo_name(path: str) -> str:
    """A legal `image_name` from an object's path without its ending: `Summer 24/robe d'été.jpg` -> `Summer_24-robe_d_ete`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", path)
    plain = unicodedata.normalize("NFKD", stem.replace("/", "-")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip(".")[:180]
    return name or hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
