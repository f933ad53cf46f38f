"""Objects that no row names, left by uploads that died half-way, are deleted."""

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
"""Prefixes of what belongs to no row: index versions, and photos that wait to be ingested."""
BATCH_SIZE = 500


def _now() -> datetime:
    return datetime.now(UTC)


def sweep(store: ObjectStore, catalog: Catalog, older_than: float, clock: Clock = _now) -> int:
    """Delete what has been there for more than `older_than` seconds and no row names; how many objects.

    Keep `older_than` well above the longest upload: its objects are there before their rows.
    """
    before = clock() - timedelta(seconds=older_than)
    old = (one for one in store.list() if one.updated < before and not one.path.startswith(KEPT_PREFIXES))
    return sum(_delete(store, one) for batch in _batches(old) for one in _unnamed(catalog, batch))


def _batches(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while batch := list(islice(objects, BATCH_SIZE)):
        yield batch


def _unnamed(catalog: Catalog, batch: list[StoredObject]) -> list[StoredObject]:
    known = catalog.referenced_paths([one.path for one in batch])
    return [one for one in batch if one.path not in known]


def _delete(store: ObjectStore, one: StoredObject) -> bool:
    try:
        return store.delete(one.path, one.generation)
    except Conflict:
        log.info("%s was written again in the meantime and stays", one.path)
        return False
