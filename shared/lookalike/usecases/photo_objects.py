"""Photos that requests name by their address in our bucket."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from lookalike.domain.errors import Forbidden, InvalidField, NotFound, TooLarge
from lookalike.domain.filter import NO_CONDITIONS, Filter
from lookalike.domain.paths import INDEX_PREFIX, is_valid_path
from lookalike.domain.ports import ObjectStore
from lookalike.images import MAX_BYTES

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif")
"""Endings of objects that requests may name, so that nobody can probe for other objects."""


@dataclass(frozen=True, slots=True)
class PhotoObjects:
    """Reads photos from the bucket of the store. `prefix` is that of the store in its bucket."""

    store: ObjectStore
    bucket: str
    prefix: str

    def read(self, address: str, field: str, scope: Filter = NO_CONDITIONS) -> bytes:
        """Return the photo at `gs://bucket/name`. `field` is the request field with the address, for error messages.

        Raises `InvalidField` for another bucket and for objects that are not photos, `NotFound`, and `TooLarge`.
        Raises `Forbidden` for a caller with a scope, since an object may show garments outside of it.
        """
        if scope:
            message = f"{field}: an API key with a filter cannot name photos in the bucket; send the photo itself"
            raise Forbidden(message, field=field)
        bucket, _, name = address.removeprefix("gs://").partition("/")
        path = name.removeprefix(self.prefix)
        is_photo = is_valid_path(path) and PurePosixPath(path.lower()).suffix in PHOTO_SUFFIXES
        if bucket != self.bucket or not name.startswith(self.prefix) or path.startswith(INDEX_PREFIX) or not is_photo:
            message = f"{field}: only photos in gs://{self.bucket}/{self.prefix} can be named"
            raise InvalidField(message, field=field)
        stored = self.store.stat(path)
        if stored is None:
            raise NotFound(f"{field}: there is no object {address[:200]!r}", field=field)
        if stored.size > MAX_BYTES:
            raise TooLarge(
                f"{field}: the photo has {stored.size:,} bytes; at most {MAX_BYTES:,} are accepted", field=field
            )
        return self.store.get(path)
