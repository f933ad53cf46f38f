"""Stored garments and what shops say of them: looked up, described, deleted."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lookalike.domain.errors import Conflict, NotFound, Unavailable
from lookalike.domain.model import Photo, ProductDetails, Segment, StoredObject
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.usecases import segment_images

log = logging.getLogger("lookalike.items")


@dataclass(frozen=True, slots=True)
class DeletedSegment:
    """A garment that is gone, its photo if that went with it, and how many objects: some may be left for the sweep."""

    segment: Segment
    photo: Photo | None
    objects_deleted: int
    objects_left: int


@dataclass(frozen=True, slots=True)
class Segments:
    """`announce` is called when something was deleted."""

    catalog: Catalog
    store: ObjectStore
    on_change: Callable[[], object] = lambda: None

    def get_segment(self, key: str | int) -> Segment:
        """By name, or by row number, which may be written as text. Raises `NotFound`."""
        segment = self.catalog.segment(key)
        if segment is None and isinstance(key, str) and key.isascii() and key.isdigit():
            segment = self.catalog.segment(int(key[:19]))
        if segment is None:
            raise NotFound(f"No garment {key!r}")
        return segment

    def list_segments_of_photo(self, name: str) -> list[Segment]:
        """Raises `NotFound`."""
        segments = self.catalog.segments_of_photo(name)
        if not segments:
            raise NotFound(f"No photo {name!r}")
        return segments

    def get_details(self, key: str | int) -> ProductDetails:
        """Those of the garment itself, else of its photo. Raises `NotFound`."""
        names = self._names(key)
        found = self.catalog.details(names)
        for name in names:
            if name in found:
                return found[name]
        raise NotFound(f"No product details of {key!r}")

    def _names(self, key: str | int) -> list[str]:
        """What details may be filed under; of a photo whose garments are not stored, its own name."""
        try:
            segment = self.get_segment(key)
        except NotFound:
            if isinstance(key, int):
                raise
            return [key]
        return [segment.name, segment.photo]

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        """Insert or replace; how many."""
        return self.catalog.put_details(details)

    def update_segment(self, key: str, changes: Mapping[str, object]) -> Segment:
        """Raises `NotFound`."""
        changed = self.catalog.update_segment(self.get_segment(key).name, changes)
        if changed is None:
            raise NotFound(f"No garment {key!r}")
        return changed

    def load_thumbnail(self, key: str) -> bytes:
        """A JPEG. Raises `NotFound`."""
        return segment_images.load_thumbnail(self.store, self.catalog, self.get_segment(key))

    def delete_segment(self, key: str | int) -> DeletedSegment:
        """The row first, so that no row is ever without its objects; its photo's with the last of its garments.

        Raises `NotFound`. What is not deleted of the bucket then, because it is away or we are killed, the sweep deletes.
        """
        segment = self.get_segment(key)
        photo = self.catalog.photo(segment.photo)
        objects = self._objects(segment, photo)
        if self.catalog.delete_segment(segment.name) is None:
            raise NotFound(f"No garment {key!r}")
        gone = photo if photo and self.catalog.photo(photo.name) is None else None
        kept = photo.path if photo and not gone else None
        removed = [self._remove(one) for one in objects if one.path != kept]
        self.on_change()
        return DeletedSegment(segment, gone, sum(removed), removed.count(False))

    def _objects(self, segment: Segment, photo: Photo | None) -> list[StoredObject]:
        paths = [segment.path, segment.thumbnail, photo.path if photo else None]
        return [there for path in paths if path and (there := self.store.stat(path))]

    def _remove(self, one: StoredObject) -> bool:
        """Whether it is gone. The row is: no answer shows it any more, and a failure now would hide that from the caller."""
        try:
            self.store.delete(one.path, one.generation)
        except Conflict:
            log.info("%s was written again in the meantime and stays", one.path)
        except Unavailable:
            log.warning("%s is left for the sweep", one.path, exc_info=True)
            return False
        return True
