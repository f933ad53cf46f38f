"""Writing of objects before the transaction that refers to them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.ports import ObjectStore
from lookalike.usecases.claims import delete_written
from lookalike.usecases.thread_pool import map_concurrently


@contextmanager
def written_objects(store: ObjectStore, objects: Mapping[str, bytes], cancel: CancelToken) -> Iterator[None]:
    """Write images by path before the body of the `with` statement, and delete them again if it fails."""
    written: list[StoredObject] = []

    def put(path: str) -> None:
        cancel.check()
        content_type = "image/png" if path.endswith(".png") else "image/jpeg"
        written.append(store.put(path, objects[path], content_type))

    try:
        map_concurrently(put, list(objects))
        cancel.check()
        yield
    except Unavailable:
        # The transaction may have been committed although its response was lost. If not, the sweep deletes the objects
        # later.
        raise
    except BaseException:
        for stored in written:
            delete_written(store, stored)
        raise
