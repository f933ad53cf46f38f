"""Erasure: deletes garments with their rows, vectors, images and search history entries, and returns a receipt."""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from lookalike.domain.errors import Conflict, DeadlineExceeded, NotFound, Unavailable
from lookalike.domain.filter import NO_CONDITIONS, Filter
from lookalike.domain.model import LedgerEntry
from lookalike.domain.paths import INCOMING_PREFIX
from lookalike.domain.ports import Catalog, Clock, History
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.feed_columns import check_feed_columns
from lookalike.usecases.segments import Segments

PAGE_SIZE = 200
"""Rows that a dry run reads at once."""
MAX_LISTED_SEGMENTS = 1000
"""A receipt lists the names of this many segments. Above, it only contains their number."""


@dataclass
class Receipt:
    """Result of an erasure, or of a dry run.

    Product details belong to the shop and are kept. Index versions in the bucket contain the deleted vectors until they
    are pruned, but no search returns them.
    """

    id: str
    at: datetime
    segments: list[str] = field(default_factory=list)
    """Names of the deleted segments, or in a dry run of the segments to delete."""
    garments: int = 0
    """Number of deleted segments."""
    photos: int = 0
    objects: int = 0
    left: int = 0
    """Objects that could not be deleted now. No row refers to them any more, and the sweep deletes them later."""
    searches: int = 0
    jobs: int = 0
    remaining: int = 0
    """Segments that were not processed because of the time limit or a database failure. Repeat the request for them.

    It is 1 if only the history of a user remains. In a dry run it is the number that would be deleted.
    """


@dataclass(frozen=True, slots=True)
class Erase:
    """Deletes segments one by one, so that an interruption leaves nothing half-deleted."""

    segments: Segments
    catalog: Catalog
    history: History
    clock: Clock
    time_limit: float
    """Seconds after which an erasure stops and reports the rest as `remaining`."""
    deferred: DeferredWrites
    """Searches that are not in the history yet."""

    def erase_segment(self, key: str | int, dry_run: bool = False) -> Receipt:
        """Erase one segment, by name or row id. Raises `NotFound`."""
        if dry_run:
            return self._preview([self.segments.get_segment(key).row_id])
        receipt = self._new_receipt()
        self._erase_one(key, receipt)
        return receipt

    def erase_photo(self, name: str, dry_run: bool = False) -> Receipt:
        """Erase a photo with all its segments. Raises `NotFound`."""
        row_ids = [segment.row_id for segment in self.segments.list_segments_of_photo(name)]
        return self._preview(row_ids) if dry_run else self._erase_all(row_ids, self._new_receipt())

    def erase_matching(self, wanted: Filter, dry_run: bool = False) -> Receipt:
        """Erase all segments that match the filter, whichever embedder their vectors are of.

        Raises the same as `check_feed_columns`.
        """
        check_feed_columns(self.catalog, wanted, NO_CONDITIONS, "filter")
        row_ids = self.catalog.matching_row_ids(None, wanted).tolist()
        return self._preview(row_ids) if dry_run else self._erase_all(row_ids, self._new_receipt())

    def erase_owner(self, user: str, dry_run: bool = False) -> Receipt:
        """Erase everything that a user uploaded, searched and started. Jobs that are running stay."""
        row_ids = self.catalog.row_ids_of_owner(user)
        if dry_run:
            return self._preview(row_ids)
        receipt = self._erase_all(row_ids, self._new_receipt())
        if not receipt.remaining:
            self._erase_user_history(user, receipt)
        return receipt

    def _erase_user_history(self, user: str, receipt: Receipt) -> None:
        try:
            self.deferred.wait()
            receipt.searches = self.history.delete_searches(user)
            receipt.jobs = self.catalog.delete_jobs_of_owner(user)
            # the values belong to the shop
            self.catalog.forget_editor(user)
        except Unavailable:
            # Without any deletion yet, the error is more useful than an empty receipt.
            if not (receipt.garments or receipt.searches):
                raise
            receipt.remaining = 1

    def _new_receipt(self) -> Receipt:
        return Receipt(str(uuid.uuid4()), self.clock())

    def _preview(self, row_ids: list[int]) -> Receipt:
        receipt = self._new_receipt()
        existing = [segment for page in _pages(row_ids) for segment in self.catalog.segments(page).values()]
        receipt.segments = [segment.name for segment in existing[:MAX_LISTED_SEGMENTS]]
        receipt.remaining = len(existing)
        return receipt

    def _erase_all(self, row_ids: Iterable[int], receipt: Receipt) -> Receipt:
        deadline, rest = time.monotonic() + self.time_limit, iter(row_ids)
        for row_id in rest:
            try:
                if time.monotonic() > deadline:
                    raise DeadlineExceeded("The time limit of the erasure is reached")
                self._erase_one(row_id, receipt)
            except NotFound:
                # deleted by a concurrent request
                continue
            except (DeadlineExceeded, Unavailable) as error:
                if isinstance(error, Unavailable) and not receipt.garments:
                    raise
                # The caller needs the receipt of what is already deleted. Consuming `rest` also ends the loop.
                receipt.remaining = 1 + sum(1 for _ in rest)
        return receipt

    def _erase_one(self, key: str | int, receipt: Receipt) -> None:
        segment = self.segments.get_segment(key)
        sources = self._source_entries(segment.photo)
        if sources and len(self.catalog.segments_of_photo(segment.photo)) == 1:
            # Before the row: if the bucket is unavailable now, the caller can repeat the request.
            receipt.objects += self._delete_sources(sources)
            sources = []
        deleted = self.segments.delete_segment(segment.name)
        receipt.garments += 1
        receipt.photos += deleted.photo is not None
        receipt.objects += deleted.objects_deleted
        receipt.left += deleted.objects_left
        if len(receipt.segments) < MAX_LISTED_SEGMENTS:
            receipt.segments.append(deleted.segment.name)
        if deleted.photo:
            # Two concurrent erasures can both have seen a second segment above, so neither deleted the sources.
            receipt.objects += self._delete_sources(sources)

    def _source_entries(self, photo: str) -> list[LedgerEntry]:
        """Return the ledger entries of objects in our own bucket that the photo was ingested from."""
        entries = self.catalog.ledger_entries_of_photo(photo)
        return [entry for entry in entries if entry.name.startswith(INCOMING_PREFIX) and entry.generation.isdecimal()]

    def _delete_sources(self, sources: list[LedgerEntry]) -> int:
        """Delete the objects and return their number. Keeps objects that were overwritten since."""
        count = 0
        for entry in sources:
            with suppress(Conflict):
                count += self.segments.store.delete(entry.name, int(entry.generation))
        return count


def _pages(row_ids: list[int]) -> Iterator[list[int]]:
    return (row_ids[start : start + PAGE_SIZE] for start in range(0, len(row_ids), PAGE_SIZE))
