"""Compares rows, objects and the index. Changes nothing, and can run while the system is in use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lookalike.domain.model import Photo, Segment, StoredObject
from lookalike.domain.ports import Catalog, Clock, ObjectStore
from lookalike.domain.ports.originals import Originals
from lookalike.usecases.consistency.findings import Findings
from lookalike.usecases.consistency.index_check import IndexCheck
from lookalike.usecases.consistency.object_paths import ObjectPaths
from lookalike.usecases.sweep import find_orphans
from lookalike.usecases.thread_pool import map_concurrently

BATCH_SIZE = 500
ORIGINAL_NAME = "/original.jpg"
"""End of the path of a photo's original."""
MIN_AGE = timedelta(days=1)
"""Age from which an object without a row does not belong to an upload that still runs."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Inspection:
    """Inspects the whole catalog. Takes one list of the bucket, and a query for 500 garments each."""

    catalog: Catalog
    originals: Originals
    store: ObjectStore
    index: IndexCheck
    clock: Clock = field(default=_utc_now)

    def run(self) -> Findings:
        """Return everything that does not fit. Raises `Unavailable`."""
        # Objects first: an upload writes them before their rows.
        paths = ObjectPaths(stored.path for stored in self.store.list())
        without_original = self._photos_without_original(paths)
        lost_names = {photo.name for photo in without_original}
        missing_image, missing_thumbnail = self._incomplete_garments(paths)
        can_recut = [self._can_recut(segment, lost_names) for segment in missing_image]
        orphans = list(find_orphans(self.store, self.catalog, MIN_AGE.total_seconds(), self.clock))
        names = sorted(stored.path.removesuffix(ORIGINAL_NAME) for stored in orphans if _is_original(stored))
        # in the order of the names, with a fast test of membership
        unknown = dict.fromkeys(name for name in names if not self.catalog.segments_of_photo(name))
        return Findings(
            recuttable=tuple(one for one, can in zip(missing_image, can_recut, strict=True) if can),
            lost=tuple(one for one, can in zip(missing_image, can_recut, strict=True) if not can),
            without_thumbnail=tuple(missing_thumbnail),
            without_original=tuple(without_original),
            unknown_photos=tuple(unknown),
            orphans=tuple(one for one in orphans if one.path.split("/")[0] not in unknown),
            index_problem=self.index.problem(),
        )

    def _photos_without_original(self, paths: ObjectPaths) -> list[Photo]:
        found: list[Photo] = []
        last = ""
        while page := self.originals.photos_with_original(last, BATCH_SIZE):
            last = page[-1].name
            by_path = {photo.path: photo for photo in page if photo.path}
            missing = self._still_missing(paths.missing(list(by_path)))
            found += [photo for path in missing if self.catalog.photo((photo := by_path[path]).name) == photo]
        return found

    def _incomplete_garments(self, paths: ObjectPaths) -> tuple[list[Segment], list[Segment]]:
        """Return the garments without an image, and the garments with an image but without a thumbnail."""
        without_image: list[Segment] = []
        without_thumbnail: list[Segment] = []
        row_ids = [int(row_id) for row_id in self.catalog.matching_row_ids(None, {})]
        for batch in _batches(row_ids):
            segments = list(self.catalog.segments(batch).values())
            wanted = [path for segment in segments for path in _paths(segment)]
            missing = set(self._still_missing(paths.missing(wanted)))
            if not missing:
                continue
            # A garment may have been deleted or cut out again since the objects were listed.
            affected = [segment.row_id for segment in segments if missing & set(_paths(segment))]
            for segment in self.catalog.segments(affected).values():
                if segment.path in missing and not self._is_legacy(segment):
                    without_image.append(segment)
                elif segment.thumbnail in missing:
                    without_thumbnail.append(segment)
        return without_image, without_thumbnail

    def _still_missing(self, paths: Sequence[str]) -> list[str]:
        """Return the paths that do not exist now either."""
        stats = map_concurrently(self.store.stat, paths)
        return [path for path, stored in zip(paths, stats, strict=True) if stored is None]

    def _is_legacy(self, segment: Segment) -> bool:
        """Whether the row itself contains the image, as in the original system."""
        return segment.thumbnail is None and self.catalog.legacy_image(segment.row_id) is not None

    def _can_recut(self, segment: Segment, lost_photos: set[str]) -> bool:
        photo = self.catalog.photo(segment.photo)
        return bool(segment.box and photo and photo.path and photo.name not in lost_photos)


def _paths(segment: Segment) -> list[str]:
    return [path for path in (segment.path, segment.thumbnail) if path]


def _is_original(stored: StoredObject) -> bool:
    return stored.path.endswith(ORIGINAL_NAME) and stored.path.count("/") == 1


def _batches(row_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(row_ids), BATCH_SIZE):
        yield row_ids[start : start + BATCH_SIZE]
