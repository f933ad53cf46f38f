"""Stored segments and their product details: read, change and delete."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lookalike.domain.errors import Conflict, NotFound, Unavailable
from lookalike.domain.filter import NO_CONDITIONS, Filter
from lookalike.domain.model import Photo, ProductDetails, Segment, StoredObject
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases import segment_images
from lookalike.usecases.visibility import visible_segments

log = logging.getLogger("lookalike.segments")


@dataclass(frozen=True, slots=True)
class DeletedSegment:
    """Result of a deletion."""

    segment: Segment
    photo: Photo | None
    """The photo, if it was deleted with its last segment."""
    objects_deleted: int
    objects_left: int
    """Objects that could not be deleted. The sweep deletes them later."""


def find_segment(catalog: Catalog, key: str | int) -> Segment | None:
    """Return a segment by name, or by row id as `int` or as text; `None` if there is none."""
    segment = catalog.segment(key)
    if segment is None and isinstance(key, str) and key.isascii() and key.isdigit():
        # 64-bit row ids have at most 19 digits
        segment = catalog.segment(int(key[:19]))
    return segment


@dataclass(frozen=True, slots=True)
class Segments:
    """Operations on stored segments. Keys are names, or row ids as `int` or as text.

    `scope` are the conditions of the caller's API key: segments that do not satisfy it do not exist for the caller.
    """

    catalog: Catalog
    store: ObjectStore
    on_change: Callable[[], object] = lambda: None
    """Called after a deletion."""

    def get_segment(self, key: str | int, scope: Filter = NO_CONDITIONS) -> Segment:
        """Return a segment. Raises `NotFound`."""
        with stage(Stage.ROWS):
            segment = find_segment(self.catalog, key)
            is_visible = segment is not None and visible_segments(self.catalog, [segment], scope)
        if segment is None or not is_visible:
            raise NotFound(f"There is no garment {key!r}")
        return segment

    def list_segments_of_photo(self, name: str, scope: Filter = NO_CONDITIONS) -> list[Segment]:
        """Return the segments of a photo, ordered by row id. Raises `NotFound`."""
        with stage(Stage.ROWS):
            segments = visible_segments(self.catalog, self.catalog.segments_of_photo(name), scope)
        if not segments:
            raise NotFound(f"There is no photo {name!r}")
        return segments

    def get_details(self, key: str | int, scope: Filter = NO_CONDITIONS) -> ProductDetails:
        """Return the product details of a segment, or of its photo if it has none of its own. Raises `NotFound`."""
        names = self._details_names(key, scope)
        with stage(Stage.ROWS):
            details = self.catalog.details(names)
        for name in names:
            if name in details:
                return details[name]
        raise NotFound(f"There are no product details of {key!r}")

    def _details_names(self, key: str | int, scope: Filter) -> list[str]:
        try:
            segment = self.get_segment(key, scope)
        except NotFound:
            # whether details without a garment may be seen cannot be told from a filter on garments
            if isinstance(key, int) or scope:
                raise
            # the name of a photo, whose details may be stored before its segments
            return [key]
        return [segment.name, segment.photo]

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        """Insert or replace product details. Returns their number."""
        return self.catalog.put_details(details)

    def update_segment(self, key: str, changes: Mapping[str, object]) -> Segment:
        """Change `bounding_box`, `label` or `score` of a segment. Raises `NotFound`, `InvalidField`."""
        changed = self.catalog.update_segment(self.get_segment(key).name, changes)
        if changed is None:
            raise NotFound(f"There is no garment {key!r}")
        return changed

    def load_thumbnail(self, key: str, scope: Filter = NO_CONDITIONS) -> bytes:
        """Return the thumbnail of a segment as JPEG. Raises `NotFound`."""
        segment = self.get_segment(key, scope)
        with stage(Stage.PICTURES):
            return segment_images.load_thumbnail(self.store, self.catalog, segment)

    def load_original(self, name: str) -> bytes:
        """Return the upright photo of that name as JPEG. Raises `NotFound`, also if originals are not kept."""
        photo = self.catalog.photo(name)
        if photo is None:
            raise NotFound(f"There is no photo {name!r}")
        if photo.path is None:
            raise NotFound(f"The photo {name!r} was stored without its original: KEEP_ORIGINALS was off")
        with stage(Stage.PICTURES):
            return self.store.get(photo.path)

    def delete_segment(self, key: str | int) -> DeletedSegment:
        """Delete a segment and its objects, and with the last segment of a photo also the photo. Raises `NotFound`."""
        segment = self.get_segment(key)
        photo = self.catalog.photo(segment.photo)
        objects = self._stat_objects(segment, photo)
        # The row first: a row must never refer to missing objects. If this process is killed in between, only objects
        # without a row remain, which the sweep deletes.
        if self.catalog.delete_segment(segment.name) is None:
            raise NotFound(f"There is no garment {key!r}")
        deleted_photo = photo if photo and self.catalog.photo(photo.name) is None else None
        kept_path = photo.path if photo and not deleted_photo else None
        is_deleted = [self._delete_object(stored) for stored in objects if stored.path != kept_path]
        self.on_change()
        return DeletedSegment(segment, deleted_photo, is_deleted.count(True), is_deleted.count(False))

    def _stat_objects(self, segment: Segment, photo: Photo | None) -> list[StoredObject]:
        paths = [segment.path, segment.thumbnail, photo.path if photo else None]
        return [stored for path in paths if path and (stored := self.store.stat(path))]

    def _delete_object(self, stored: StoredObject) -> bool:
        """Delete an object. Returns false instead of raising if the store is unavailable.

        The row is already deleted: an error would make the caller believe that the garment still exists.
        """
        try:
            self.store.delete(stored.path, stored.generation)
        except Conflict:
            log.info("An object was overwritten meanwhile and is kept", extra={"path": stored.path})
        except Unavailable:
            log.warning(
                "An object could not be deleted and is left to the sweep", exc_info=True, extra={"path": stored.path}
            )
            return False
        return True
