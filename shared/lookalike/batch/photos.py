"""What the command line does with photographs in files."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.bootstrap import Services
from lookalike.batch.photo_sources import PhotoFile, read_file
from lookalike.batch.result_image import Match, GarmentRow, draw_result_image
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import Caller, Detection, LedgerEntry, LedgerStatus, Segment
from lookalike.usecases import segment_images
from lookalike.usecases.ingest import PASSING, Source
from lookalike.usecases.jobs import job_id
from lookalike.usecases.models import whole_photo
from lookalike.usecases.search import Include, MatchGroup, SearchRequest, SearchResult

Bar = Callable[[Sequence[Any], str], Any]
AT_ONCE = 500
"""Names asked of the ledger at once."""
MOST = 16
"""Photos that are worked on at a time where the models take several."""


@dataclass
class IngestSummary:
    """What became of a folder or bucket. `failed`: names and reasons, those of earlier runs included."""

    stored: int = 0
    garments: int = 0
    known: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def ingest_all(services: Services, items: Sequence[PhotoFile], retry_failed: bool, bar: Bar) -> IngestSummary:
    """Store every photo not stored before. A broken one is noted and passed over; what may pass is raised."""
    began, summary = time.monotonic(), IngestSummary()
    new = _new(services, items, retry_failed, summary)
    with ThreadPoolExecutor(min(services.models.at_once, MOST)) as pool:
        running = [pool.submit(_ingest, services, item) for item in new]
        try:
            with bar(list(zip(new, running, strict=True)), "Ingesting") as some:
                for item, entry in some:
                    _add(services, item, entry.result(), summary)
        finally:
            pool.shutdown(cancel_futures=True)
    summary.seconds = round(time.monotonic() - began, 2)
    return summary


def _new(services: Services, items: Sequence[PhotoFile], retry_failed: bool, summary: IngestSummary) -> list[PhotoFile]:
    known: dict[tuple[str, str], LedgerEntry] = {}
    for start in range(0, len(items), AT_ONCE):
        some = items[start : start + AT_ONCE]
        known |= services.ingest.known(some[0].source.bucket, [item.source.name for item in some])
    return [item for item in items if not _is_known(known, item.source, retry_failed, summary)]


def _is_known(known: dict[tuple[str, str], LedgerEntry], source: Source, retry_failed: bool, summary: IngestSummary) -> bool:
    entry = known.get((source.name, source.generation))
    if entry is None:
        return False
    if entry.status is LedgerStatus.FAILED:
        if not retry_failed:
            summary.failed[source.name] = entry.reason or ""
        return not retry_failed
    summary.known += 1
    return True


def _ingest(services: Services, item: PhotoFile) -> LedgerEntry:
    try:
        data = item.read()
    except PASSING:
        raise
    except LookalikeError as error:
        return services.ingest.refuse(item.source, error.message)
    return services.ingest.take(item.source, data)


def _add(services: Services, item: PhotoFile, entry: LedgerEntry, summary: IngestSummary) -> None:
    if entry.status is LedgerStatus.FAILED:
        summary.failed[item.source.name] = entry.reason or ""
        return
    summary.stored += 1
    summary.garments += len(services.catalog.segments_of_photo(entry.photo or ""))


def search_file(services: Services, path: Path, num: int, segment: bool) -> SearchResult:
    question = SearchRequest(num, segment, Include.NONE)
    with services.jobs.running("search", Caller(), job_id(None)) as work:
        return services.search.photo(read_file(path), question, work)


def write_result_image(services: Services, path: Path, found: SearchResult, out: Path) -> None:
    query = images.read_image(read_file(path))
    rows = [_row(services, group) for group in found.groups]
    draw_result_image(query, rows).save(out, quality=90)


def _row(services: Services, group: MatchGroup) -> GarmentRow:
    garment = group.garment
    box = garment.box if garment.label else None
    matches = [Match(_thumbnail(services, one.segment), one.segment.name, one.similarity) for one in group.matches]
    return GarmentRow(box, garment.label or "whole photo", garment.score, matches)


def _thumbnail(services: Services, segment: Segment) -> Image.Image:
    return images.read_image(segment_images.thumbnail(services.store, services.catalog, segment))


def detect_file(services: Services, path: Path) -> dict[str, Any]:
    photo = images.read_image(read_file(path))
    found = services.models.detect(photo, CancelToken())
    detections = [{"box": one.box.as_list(), "label": one.label, "score": round(one.score or 0, 4)} for one in found]
    return {"path": str(path), "width": photo.width, "height": photo.height, "detections": detections}


def embed_file(services: Services, path: Path, garment: bool) -> NDArray[np.float32]:
    """Shape (dim,), length 1."""
    photo = images.read_image(read_file(path))
    found: list[Detection] = services.models.detect(photo, CancelToken()) if garment else []
    one = max(found, key=lambda detection: detection.box.area, default=whole_photo(photo))
    row: NDArray[np.float32] = services.models.embed([one.cut_out(photo)], CancelToken())[0]
    return row
