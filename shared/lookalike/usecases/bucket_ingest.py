"""Ingestion of single objects of our bucket, for storage events and for retries of failures."""

import time
from dataclasses import dataclass

from lookalike.domain.errors import NotFound
from lookalike.domain.model import LedgerEntry, StoredObject
from lookalike.domain.paths import is_valid_path
from lookalike.domain.ports import ObjectStore
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import Ingest, Source


@dataclass(frozen=True, slots=True)
class BucketIngest:
    """Reads objects from the store and ingests them."""

    ingest: Ingest
    store: ObjectStore
    prefix: str
    """Prefix of the store in its bucket. Names in the ledger can begin with it, paths in the store do not."""
    time_limit: float
    """Seconds after which the ingestion of an object stops, unless a deadline is given."""

    def ingest_version(self, source: Source, deadline: float | None = None) -> LedgerEntry:
        """Ingest a version of an object. If it was overwritten or deleted, only record that. Returns the ledger entry.

        `deadline` is a value of `time.monotonic()`. Raises only `TRANSIENT_ERRORS`.
        """
        if deadline is None:
            deadline = time.monotonic() + self.time_limit
        stored = self.find(source.name)
        if stored is None or str(stored.generation) != source.generation:
            return self.ingest.record_superseded(source)
        if stored.size > MAX_BYTES:
            reason = f"The file has {stored.size:,} bytes; at most {MAX_BYTES:,} are accepted"
            return self.ingest.record_failure(source, reason)
        try:
            data = self.store.get(stored.path)
        except NotFound:
            return self.ingest.record_superseded(source)
        return self.ingest.ingest(source, data, deadline)

    def find(self, name: str) -> StoredObject | None:
        """Return the current version of an object by its name in the ledger, or `None` if it does not exist."""
        path = name.removeprefix(self.prefix)
        return self.store.stat(path) if is_valid_path(path) else None
