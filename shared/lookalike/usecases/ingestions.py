"""Ingestions: shows the ledger of ingested objects, and retries failed ones."""

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta

from lookalike.domain.errors import DeadlineExceeded
from lookalike.domain.ledger import LedgerPage, LedgerSelection
from lookalike.domain.model import LedgerEntry, LedgerStatus
from lookalike.domain.paths import INCOMING_PREFIX
from lookalike.domain.ports import Catalog, Clock
from lookalike.usecases.bucket_ingest import BucketIngest
from lookalike.usecases.ingest import TRANSIENT_ERRORS, Source

log = logging.getLogger("lookalike.ingestions")
RATE_MINUTES = (1, 10, 60)
"""Lengths of the periods over which the rate is measured, up to now."""


@dataclass(frozen=True, slots=True)
class IngestionReport:
    """A page of the ledger with figures about all entries of the selection, whatever their status."""

    page: LedgerPage
    counts: dict[LedgerStatus, int]
    photos_per_minute: dict[int, float]
    """Stored photos by the length of the period in minutes."""


@dataclass
class RetryResult:
    """Outcome of a retry. Each failed entry is counted once: as stored, failed, superseded or deleted."""

    retried: int = 0
    stored: int = 0
    superseded: int = 0
    """Entries of versions that were overwritten. The newer version has an outcome of its own."""
    deleted: int = 0
    """Entries of objects that no longer exist. They are not failures any more."""
    failed: list[LedgerEntry] = field(default_factory=list)
    """Entries that failed again."""
    remaining: int = 0
    """Selected entries after the cursor, which were not retried."""
    cursor: str | None = None
    """Where the next retry continues. `None` if nothing remains."""
    elsewhere: dict[str, int] = field(default_factory=dict)
    """Selected failures by bucket, where the objects are not in our store and cannot be retried here."""


@dataclass(frozen=True, slots=True)
class Ingestions:
    """Shows and retries ingestions. `bucket` is the name of our own bucket in the ledger."""

    objects: BucketIngest
    catalog: Catalog
    bucket: str
    clock: Clock

    def report(self, selection: LedgerSelection, limit: int, cursor: str | None) -> IngestionReport:
        """Return a page of the selected entries with counts and rates. Raises `InvalidField` for an unknown cursor."""
        page = self.catalog.ledger_page(selection, limit, cursor)
        everything, now = replace(selection, status=None), self.clock()
        counts = dict.fromkeys(LedgerStatus, 0)
        for (_, status), count in self.catalog.count_ledger_entries(everything).items():
            counts[status] += count
        rates = {
            minutes: self.catalog.count_ingested_photos(everything, now - timedelta(minutes=minutes)) / minutes
            for minutes in RATE_MINUTES
        }
        return IngestionReport(page, counts, rates)

    def retry(self, selection: LedgerSelection, limit: int, cursor: str | None = None) -> RetryResult:
        """Ingest the current versions of up to `limit` objects that failed, newest failures first.

        Stops at the time limit. Raises one of `TRANSIENT_ERRORS` if it occurs before anything was retried.
        """
        deadline = time.monotonic() + self.objects.time_limit
        result = RetryResult(cursor=cursor, elsewhere=self._count_elsewhere(selection))
        own = replace(selection, status=LedgerStatus.FAILED, bucket=self.bucket)
        if selection.bucket in (None, self.bucket):
            try:
                self._retry_entries(own, limit, deadline, result)
            except TRANSIENT_ERRORS:
                if not result.retried:
                    raise
                log.warning("A retry of ingestions ended early", exc_info=True, extra={"remaining": result.remaining})
        if not result.remaining:
            # `cursor` is still the one of the request if another request has retried the rest
            result.cursor = None
        return result

    def _retry_entries(self, own: LedgerSelection, limit: int, deadline: float, result: RetryResult) -> None:
        result.remaining = sum(self.catalog.count_ledger_entries(own, result.cursor).values())
        while result.remaining and result.retried < limit:
            # An entry that fails again moves to the front, and so is not on the next page.
            page = self.catalog.ledger_page(own, 1, result.cursor)
            for entry in page.entries:
                self._retry_entry(entry, deadline, result)
            result.cursor = page.cursor
            result.remaining = result.remaining - 1 if page.cursor else 0

    def _retry_entry(self, entry: LedgerEntry, deadline: float, result: RetryResult) -> None:
        if time.monotonic() > deadline:
            raise DeadlineExceeded("The time limit of the retry is reached")
        if self._is_outside_store(entry.name):
            result.elsewhere[entry.bucket] = result.elsewhere.get(entry.bucket, 0) + 1
            return
        source = Source(entry.bucket, entry.name, entry.generation)
        stored = self.objects.find(entry.name)
        if stored is None:
            self.objects.ingest.record_deleted(source)
            result.deleted += 1
        elif str(stored.generation) == entry.generation:
            _count(self.objects.ingest_version(source, deadline), result)
        else:
            self._ingest_newer_version(replace(source, generation=str(stored.generation)), deadline, result)
            self.objects.ingest.record_superseded(source)
        result.retried += 1

    def _ingest_newer_version(self, newer: Source, deadline: float, result: RetryResult) -> None:
        if self.objects.ingest.recorded_outcome(newer):
            result.superseded += 1
        else:
            _count(self.objects.ingest_version(newer, deadline), result)

    def _count_elsewhere(self, selection: LedgerSelection) -> dict[str, int]:
        counts = self.catalog.count_ledger_entries(replace(selection, status=LedgerStatus.FAILED))
        return {bucket: count for (bucket, _), count in counts.items() if bucket != self.bucket}

    def _is_outside_store(self, name: str) -> bool:
        """Return whether an object of our bucket has not the prefix of the store. The command line can ingest those."""
        prefix = self.objects.prefix
        return bool(prefix) and not name.startswith((prefix, INCOMING_PREFIX))


def _count(entry: LedgerEntry, result: RetryResult) -> None:
    if entry.status is LedgerStatus.FAILED:
        result.failed.append(entry)
    elif entry.photo:
        result.stored += 1
    else:
        result.superseded += 1
