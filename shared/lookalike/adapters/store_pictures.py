"""Pictures in buckets, at addresses such as `gs://bucket/folder/1.jpg`."""

from collections.abc import Callable

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import InvalidField, NotFound, TooLarge
from lookalike.domain.ports import ObjectStore
from lookalike.domain.ports.pictures import FetchedPicture, PictureFetcher, Validators

SCHEME = "gs://"


class StorePictures:
    """Implementation of the port `PictureFetcher` for buckets. The generation of an object is its ETag.

    `open_store` opens the bucket at `gs://bucket`. `max_bytes` limits a picture.
    """

    def __init__(self, open_store: Callable[[str], ObjectStore], max_bytes: int) -> None:
        self._open_store, self._max_bytes = open_store, max_bytes
        self._stores: dict[str, ObjectStore] = {}

    def fetch(self, address: str, known: Validators, cancel: CancelToken) -> FetchedPicture | None:
        """Return the picture, or `None` if it has not changed; see `PictureFetcher.fetch`."""
        cancel.check()
        bucket, _, path = address[len(SCHEME) :].partition("/")
        if not address.startswith(SCHEME) or not bucket or not path:
            raise InvalidField(f"{address} is not the address of an object: use gs://bucket/path", field="address")
        # Opening a store connects to nothing: two threads may do it at once.
        store = self._stores.setdefault(bucket, self._stores.get(bucket) or self._open_store(f"{SCHEME}{bucket}"))
        found = store.stat(path)
        if found is None:
            raise NotFound(f"There is no object {address}")
        if known.etag == str(found.generation):
            return None
        if found.size > self._max_bytes:
            raise TooLarge(f"{address} has {found.size:,} bytes; at most {self._max_bytes:,} are accepted")
        return FetchedPicture(store.get(path), Validators(str(found.generation)))


class PicturesByScheme:
    """Implementation of the port `PictureFetcher` that passes each address to the fetcher of its scheme."""

    def __init__(self, in_buckets: PictureFetcher, on_web: PictureFetcher) -> None:
        self._in_buckets, self._on_web = in_buckets, on_web

    def fetch(self, address: str, known: Validators, cancel: CancelToken) -> FetchedPicture | None:
        """Return the picture, or `None` if it has not changed; see `PictureFetcher.fetch`."""
        fetcher = self._in_buckets if address.startswith(SCHEME) else self._on_web
        return fetcher.fetch(address, known, cancel)
