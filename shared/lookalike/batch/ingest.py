"""Ingest a folder or a bucket: store every photo that has no entry in the ledger."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lookalike.batch.photo_sources import PhotoFile
from lookalike.bootstrap import Services
from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import LedgerEntry, LedgerStatus
from lookalike.usecases.ingest import TRANSIENT_ERRORS

ProgressBar = Callable[[Sequence[Any], str], Any]
LEDGER_BATCH = 500
"""Names looked up in the ledger with one query."""
MAX_THREADS = 16
"""Maximum number of photos processed at a time. The models may accept fewer."""


@dataclass
class IngestSummary:
    """Counts of one run. `known` photos were stored before; `failed` maps names to reasons, earlier runs included."""

    stored: int = 0
    garments: int = 0
    known: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def ingest_all(
    services: Services, photos: Sequence[PhotoFile], retry_failed: bool, progress_bar: ProgressBar
) -> IngestSummary:
    """Store every photo that was not stored before.

    A photo that cannot be read is recorded as failed and skipped. Raises on temporary errors (`Unavailable`, …), after
    which the same call resumes.
    """
    started, summary = time.monotonic(), IngestSummary()
    new = [
        photo for photo, entry in _with_ledger_entries(services, photos) if _is_due(photo, entry, retry_failed, summary)
    ]
    with ThreadPoolExecutor(min(services.models.max_concurrency, MAX_THREADS)) as pool:
        running = [pool.submit(_ingest, services, photo) for photo in new]
        try:
            with progress_bar(list(zip(new, running, strict=True)), "Ingesting") as results:
                for photo, future in results:
                    _count(services, photo, future.result(), summary)
        finally:
            pool.shutdown(cancel_futures=True)
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


def _with_ledger_entries(services: Services, photos: Sequence[PhotoFile]) -> list[tuple[PhotoFile, LedgerEntry | None]]:
    entries: dict[tuple[str, str], LedgerEntry] = {}
    for start in range(0, len(photos), LEDGER_BATCH):
        batch = photos[start : start + LEDGER_BATCH]
        entries |= services.ingest.recorded_outcomes(batch[0].source.bucket, [photo.source.name for photo in batch])
    return [(photo, entries.get((photo.source.name, photo.source.generation))) for photo in photos]


def _is_due(photo: PhotoFile, entry: LedgerEntry | None, retry_failed: bool, summary: IngestSummary) -> bool:
    """Return whether the photo is to be stored now. Otherwise count it in the summary."""
    if entry is None:
        return True
    if entry.status is LedgerStatus.FAILED:
        if not retry_failed:
            summary.failed[photo.source.name] = entry.reason or ""
        return retry_failed
    summary.known += 1
    return False


def _ingest(services: Services, photo: PhotoFile) -> LedgerEntry:
    try:
        data = photo.read()
    except TRANSIENT_ERRORS:
        raise
    except LookalikeError as error:
        return services.ingest.record_failure(photo.source, error.message)
    return services.ingest.ingest(photo.source, data)


def _count(services: Services, photo: PhotoFile, entry: LedgerEntry, summary: IngestSummary) -> None:
    if entry.status is LedgerStatus.FAILED:
        summary.failed[photo.source.name] = entry.reason or ""
        return
    summary.stored += 1
    summary.garments += len(services.catalog.segments_of_photo(entry.photo or ""))
