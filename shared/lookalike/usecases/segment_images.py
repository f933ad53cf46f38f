"""Image files of stored segments, from the object store or from rows of the original system."""

from lookalike import images
from lookalike.domain.errors import NotFound
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore


def load_image(store: ObjectStore, catalog: Catalog, segment: Segment) -> bytes:
    """Return the encoded image of a segment. Raises `NotFound`."""
    try:
        return store.get(segment.path)
    except NotFound:
        # rows of the original system contain their image until they are adopted
        legacy_image = catalog.legacy_image(segment.row_id)
        if legacy_image is None:
            raise
        return legacy_image


def load_thumbnail(store: ObjectStore, catalog: Catalog, segment: Segment) -> bytes:
    """Return the thumbnail of a segment as JPEG. Legacy rows have none, so it is computed from their image.

    Raises `NotFound`, and for a damaged legacy image the same as `images.read_image`.
    """
    if segment.thumbnail:
        return store.get(segment.thumbnail)
    return images.thumbnail(images.read_image(load_image(store, catalog, segment)))


def image_urls(store: ObjectStore, segment: Segment) -> dict[str, str]:
    """Return signed URLs of image and thumbnail, by response field. Empty for legacy rows, which have no objects."""
    if not segment.thumbnail:
        return {}
    return {"url": store.url(segment.path), "thumbnail_url": store.url(segment.thumbnail)}
