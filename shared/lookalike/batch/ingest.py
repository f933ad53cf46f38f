"""Ingest a folder or a bucket: store every photo that has no entry in the ledger."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lookalike.batch.photo_sources import PhotoFile
from lookalike.bootstrap import Services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import LookalikeError, NotFound
from lookalike.domain.model import LedgerEntry, LedgerStatus
from lookalike.usecases.ingest import TRANSIENT_ERRORS
from lookalike.usecases.thread_pool import map_unordered

ProgressBar = Callable[[int, str], Any]
"""Makes a context manager whose `update(steps, text)` advances the bar."""
LEDGER_BATCH = 500
"""Names looked up in the ledger with one query."""
MAX_THREADS = 16
"""Maximum number of photos processed at a time. The models may accept or admit fewer."""


@dataclass
class IngestSummary:
    """Counts of one run. `failed` maps names to reasons, failures of earlier runs included."""

    due: int = 0
    """Photos that this run had to store, or would have to in a dry run."""
    stored: int = 0
    garments: int = 0
    known: int = 0
    """Photos that were stored before."""
    superseded: int = 0
    """Photos that were overwritten or deleted after they were listed."""
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    photos_per_second: float = 0.0


@dataclass
class IngestPlan:
    """The photos that a run has to process, and the number of the others."""

    due: list[PhotoFile] = field(default_factory=list)
    """Photos that were not stored before."""
    replaced: list[PhotoFile] = field(default_factory=list)
    """Photos that were stored before and have older versions. Their photos are left if a process was killed."""
    summary: IngestSummary = field(default_factory=IngestSummary)
    """Counts the photos that are not due."""


def plan_ingest(services: Services, photos: Sequence[PhotoFile], retry_failed: bool) -> IngestPlan:
    """Compare photos with the ledger."""
    plan = IngestPlan()
    for start in range(0, len(photos), LEDGER_BATCH):
        batch = photos[start : start + LEDGER_BATCH]
        entries = services.ingest.recorded_outcomes(batch[0].source.bucket, [photo.source.name for photo in batch])
        versions = Counter(name for (name, _), entry in entries.items() if entry.photo)
        for photo in batch:
            if _is_due(photo, entries.get((photo.source.name, photo.source.generation)), retry_failed, plan.summary):
                plan.due.append(photo)
            elif versions[photo.source.name] > 1:
                plan.replaced.append(photo)
    plan.summary.due = len(plan.due)
    return plan


def ingest_all(
    services: Services, photos: Sequence[PhotoFile], retry_failed: bool, progress_bar: ProgressBar
) -> IngestSummary:
    """Store every photo that was not stored before.

    A photo that cannot be read is recorded as failed and skipped. Raises on temporary errors (`Unavailable`, …), after
    which the same call resumes.
    """
    plan = plan_ingest(services, photos, retry_failed)
    due, summary = plan.due, plan.summary
    for photo in plan.replaced:
        services.ingest.recorded_outcome(photo.source)
    started = time.monotonic()
    models = services.models
    # While the models are busy with other photos, one more photo is read, encoded or stored. More threads than calls
    # that may wait would be rejected as busy.
    threads = min(models.max_concurrency + 1, models.max_waiting, MAX_THREADS)
    with progress_bar(len(due), "Ingesting") as progress:
        results = map_unordered(lambda photo: _ingest(services, photo), due, threads)
        for number, (photo, entry) in enumerate(results, 1):
            _count(services, photo, entry, summary)
            rate = number / (time.monotonic() - started)
            summary.photos_per_second = round(rate, 2)
            progress.update(1, f"{rate:.1f} photos/s")
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


def notify_done(services: Services, source: str, summary: IngestSummary) -> None:
    """Tell the webhook that a run is done. Each task of a job tells its own share."""
    settings = services.settings
    counts = {key: value for key, value in asdict(summary).items() if key != "failed"}
    counts["task"] = {"index": settings.cloud_run_task_index, "count": settings.cloud_run_task_count}
    services.notify.bulk_ingest_done(source, counts, summary.failed, CancelToken())


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
    except NotFound:
        return services.ingest.record_deleted(photo.source)
    except LookalikeError as error:
        return services.ingest.record_failure(photo.source, error.message)
    return services.ingest.ingest(photo.source, data)


def _count(services: Services, photo: PhotoFile, entry: LedgerEntry, summary: IngestSummary) -> None:
    if entry.status is LedgerStatus.FAILED:
        summary.failed[photo.source.name] = entry.reason or ""
    elif entry.photo:
        summary.stored += 1
        summary.garments += len(services.catalog.segments_of_photo(entry.photo))
    else:
        summary.superseded += 1
