"""The pictures of stored garments: objects of the store, or still in the original system's rows."""

from lookalike import images
from lookalike.domain.errors import NotFound
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore


def load_image(store: ObjectStore, catalog: Catalog, segment: Segment) -> bytes:
    """Raises `NotFound`."""
    try:
        return store.get(segment.path)
    except NotFound:
        kept = catalog.legacy_image(segment.row_id)
        if kept is None:
            raise
        return kept


def load_thumbnail(store: ObjectStore, catalog: Catalog, segment: Segment) -> bytes:
    """A JPEG. Raises `NotFound`, and what `images.read_image` raises where there is none yet and the picture is broken."""
    if segment.thumbnail:
        return store.get(segment.thumbnail)
    return images.thumbnail(images.read_image(load_image(store, catalog, segment)))


def image_urls(store: ObjectStore, segment: Segment) -> dict[str, str]:
    """Of the picture and its thumbnail; none while they are no objects."""
    if not segment.thumbnail:
        return {}
    return {"url": store.url(segment.path), "thumbnail_url": store.url(segment.thumbnail)}
