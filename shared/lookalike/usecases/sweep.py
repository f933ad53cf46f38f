"""Sweep: deletes objects without a row, which interrupted uploads leave behind."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from lookalike.domain.errors import Conflict
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import INCOMING_PREFIX, INDEX_PREFIX
from lookalike.domain.ports import Catalog, Clock, ObjectStore

log = logging.getLogger("lookalike.sweep")
KEPT_PREFIXES = (INDEX_PREFIX, INCOMING_PREFIX)
"""Prefixes of objects that never have a row: index versions, and photos to be ingested."""
BATCH_SIZE = 500
"""Objects that are looked up in the catalog at once."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def sweep(store: ObjectStore, catalog: Catalog, older_than: float, clock: Clock = _utc_now) -> int:
    """Delete objects older than `older_than` seconds without a row. Returns the number of deleted objects.

    An upload writes its objects before their rows, so `older_than` must be well above the duration of an upload.
    """
    return sum(delete_orphan(store, orphan) for orphan in find_orphans(store, catalog, older_than, clock))


def find_orphans(
    store: ObjectStore, catalog: Catalog, older_than: float, clock: Clock = _utc_now
) -> Iterator[StoredObject]:
    """Yield the objects older than `older_than` seconds without a row."""
    before = clock() - timedelta(seconds=older_than)
    old = (stored for stored in store.list() if stored.updated < before and not stored.path.startswith(KEPT_PREFIXES))
    for batch in _batches(old):
        yield from _without_row(catalog, batch)


def _batches(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while batch := list(islice(objects, BATCH_SIZE)):
        yield batch


def _without_row(catalog: Catalog, batch: list[StoredObject]) -> list[StoredObject]:
    referenced = catalog.referenced_paths([stored.path for stored in batch])
    return [stored for stored in batch if stored.path not in referenced]


def delete_orphan(store: ObjectStore, stored: StoredObject) -> bool:
    """Delete an object as it was listed. Returns whether it still existed."""
    try:
        # The generation: an upload may have overwritten the object since it was listed, and be about to add its row.
        return store.delete(stored.path, stored.generation)
    except Conflict:
        log.info("An object was overwritten meanwhile and is kept", extra={"path": stored.path})
        return False
