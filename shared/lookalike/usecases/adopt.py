"""A database of the original system becomes ours: pictures to the store, vectors to the binary column, in batches."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lookalike import images
from lookalike.domain.errors import Conflict, InvalidImage, LookalikeError
from lookalike.domain.model import AdoptedRow, LegacyRow
from lookalike.domain.paths import is_valid_path
from lookalike.domain.ports import LegacyRows, ObjectStore
from lookalike.usecases.ingest import photo_name_from_path

log = logging.getLogger("lookalike.adopt")
BATCH_ROWS, BATCH_BYTES = 100, 32 * 1024 * 1024
"""Rows, and bytes of pictures, that one transaction takes over at most."""


@dataclass
class AdoptSummary:
    """`left`: row numbers that stay as they are, and why."""

    adopted: int = 0
    skipped: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdoptDatabase:
    """Objects first, then their rows. May be killed at any time and run again: what is moved is no longer old."""

    rows: LegacyRows
    store: ObjectStore
    embedder: str

    def run(self, progress: Callable[[int], object] = lambda count: None) -> AdoptSummary:
        """`progress` hears of how many more rows were looked at. Raises `Unavailable`."""
        summary, dims = AdoptSummary(), set[int]()
        for batch in self._batches():
            adopted = [new for old in batch if (new := self._moved(old, summary, dims))]
            if adopted:
                self.rows.adopt(adopted, self.embedder)
            summary.adopted += len(adopted)
            progress(len(batch))
        return summary

    def _batches(self) -> Iterator[list[LegacyRow]]:
        after, batch, size = 0, list[LegacyRow](), 0
        while row_ids := self.rows.legacy_row_ids(after, BATCH_ROWS):
            after = row_ids[-1]
            for old in filter(None, map(self.rows.legacy_row, row_ids)):
                batch.append(old)
                size += len(old.image or b"")
                if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _moved(self, old: LegacyRow, summary: AdoptSummary, dims: set[int]) -> AdoptedRow | None:
        try:
            return self._adopted(old, dims)
        except LookalikeError as error:
            if error.retry_after is not None:
                raise
            summary.skipped[old.row_id] = error.message
            return None

    def _adopted(self, old: LegacyRow, dims: set[int]) -> AdoptedRow:
        if old.vector is not None and dims and len(old.vector) not in dims:
            raise InvalidImage(f"Its vector has {len(old.vector)} numbers, those of others {min(dims)}")
        data = self.store.get(old.path) if old.image is None else old.image
        small = images.thumbnail(images.read_image(data))
        path = old.path if old.image is None else self._put(old, data)
        thumbnail = f"{PurePosixPath(path).with_suffix('')}.thumbnail.jpg"
        self._create(thumbnail, small)
        if old.vector is not None:
            dims.add(len(old.vector))
        return AdoptedRow(old.row_id, path, thumbnail, old.photo, old.vector)

    def _put(self, old: LegacyRow, data: bytes) -> str:
        """Under its own path, or one of our making where that is no name or is taken."""
        made = f"{photo_name_from_path(old.photo)}/row_{old.row_id}.png"
        for path in (old.path, made):
            if is_valid_path(path):
                try:
                    self._create(path, data)
                except Conflict:
                    continue
                return path
        raise Conflict(f"{old.path} and {made} are taken by others")

    def _create(self, path: str, data: bytes) -> None:
        kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        self.store.put(path, data, kind)
