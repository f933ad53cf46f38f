"""Adoption of a database of the original system: images move to the object store, vectors to the binary column."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lookalike import images
from lookalike.domain.errors import Conflict, InvalidImage, LookalikeError
from lookalike.domain.legacy_rows import AdoptedRow, LegacyRow
from lookalike.domain.paths import THUMBNAIL_SUFFIX, is_valid_path
from lookalike.domain.ports import LegacyRows, ObjectStore
from lookalike.usecases.ingest import photo_name_from_path

log = logging.getLogger("lookalike.adopt")
BATCH_ROWS, BATCH_BYTES = 100, 32 * 1024 * 1024
"""A transaction ends at this number of rows, or when its images exceed this number of bytes in memory."""


@dataclass
class AdoptSummary:
    """Number of adopted rows, and the reason for each skipped row by its id."""

    adopted: int = 0
    skipped: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdoptDatabase:
    """Converts legacy rows in batches. It can be interrupted and run again: adopted rows are no longer legacy."""

    legacy_rows: LegacyRows
    store: ObjectStore
    embedder: str

    def run(self, progress: Callable[[int], object] = lambda count: None) -> AdoptSummary:
        """Adopt all legacy rows. Rows that cannot be adopted are skipped and reported.

        Calls `progress` with the number of rows of each batch. Raises `Unavailable`.
        """
        summary, dims = AdoptSummary(), set[int]()
        for batch in self._batches():
            adopted = [row for legacy in batch if (row := self._adopt_or_skip(legacy, summary, dims))]
            if adopted:
                # The objects were written before. After a crash here, the next run writes the same objects again.
                self.legacy_rows.adopt(adopted, self.embedder)
            summary.adopted += len(adopted)
            progress(len(batch))
        return summary

    def _batches(self) -> Iterator[list[LegacyRow]]:
        last_id, batch, size = 0, list[LegacyRow](), 0
        while row_ids := self.legacy_rows.legacy_row_ids(last_id, BATCH_ROWS):
            last_id = row_ids[-1]
            for legacy in filter(None, map(self.legacy_rows.legacy_row, row_ids)):
                batch.append(legacy)
                size += len(legacy.image or b"")
                if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _adopt_or_skip(self, legacy: LegacyRow, summary: AdoptSummary, dims: set[int]) -> AdoptedRow | None:
        try:
            return self._adopt(legacy, dims)
        except LookalikeError as error:
            # Temporary errors say nothing about the row: a later run can adopt it.
            if error.retry_after is not None:
                raise
            summary.skipped[legacy.row_id] = error.message
            return None

    def _adopt(self, legacy: LegacyRow, dims: set[int]) -> AdoptedRow:
        """Write the image and thumbnail of a row to the store. `dims` has the vector length of rows adopted so far."""
        if legacy.vector is not None and dims and len(legacy.vector) not in dims:
            raise InvalidImage(f"The vector has {len(legacy.vector)} numbers, but those of other rows {min(dims)}")
        data = self.store.get(legacy.path) if legacy.image is None else legacy.image
        thumbnail = images.thumbnail(images.read_image(data))
        path = legacy.path if legacy.image is None else self._store_image(legacy, data)
        thumbnail_path = f"{PurePosixPath(path).with_suffix('')}{THUMBNAIL_SUFFIX}"
        self._put(thumbnail_path, thumbnail)
        if legacy.vector is not None:
            dims.add(len(legacy.vector))
        return AdoptedRow(legacy.row_id, path, thumbnail_path, legacy.photo, legacy.vector)

    def _store_image(self, legacy: LegacyRow, data: bytes) -> str:
        """Store an image under the row's own path, or under a new one if that is invalid or taken. Returns the path."""
        new_path = f"{photo_name_from_path(legacy.photo)}/row_{legacy.row_id}.png"
        for path in (legacy.path, new_path):
            if is_valid_path(path):
                try:
                    self._put(path, data)
                except Conflict:
                    continue
                return path
        raise Conflict(f"Other objects have the paths {legacy.path} and {new_path}: delete one of them and repeat")

    def _put(self, path: str, data: bytes) -> None:
        content_type = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        self.store.put(path, data, content_type)
