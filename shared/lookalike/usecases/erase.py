"""Everything of some garments goes: rows, vectors, pictures, and what searches remember of them; and it is told what went."""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from lookalike.domain.errors import Conflict, DeadlineExceeded, NotFound, Unavailable
from lookalike.domain.filter import Filter
from lookalike.domain.model import LedgerEntry
from lookalike.domain.paths import INCOMING_PREFIX
from lookalike.domain.ports import Catalog, Clock, History
from lookalike.usecases.segments import Segments

PAGE_SIZE = 200
MAX_LISTED_SEGMENTS = 1000
"""Garments that a receipt names; of more, it tells how many."""


@dataclass
class Receipt:
    """What was removed, or would be.

    `remaining`: garments, or one user's history, for which there was no time or no database; ask again.
    `left`: objects that could not be deleted now, though no answer shows them any more; the sweep does.

    Product details are the shop's and stay. Vectors of what is gone are in the bucket until the index versions that hold them
    are pruned, and in no answer from now on.
    """

    id: str
    at: datetime
    segments: list[str] = field(default_factory=list)
    garments: int = 0
    photos: int = 0
    objects: int = 0
    left: int = 0
    searches: int = 0
    jobs: int = 0
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Erase:
    """`seconds` is the time after which it stops, with the rest `remaining`."""

    segments: Segments
    catalog: Catalog
    history: History
    clock: Clock
    time_limit: float

    def erase_segment(self, key: str | int, dry_run: bool = False) -> Receipt:
        """Raises `NotFound`."""
        if dry_run:
            return self._told([self.segments.get_segment(key).row_id])
        receipt = self._receipt()
        self._one(key, receipt)
        return receipt

    def erase_photo(self, name: str, dry_run: bool = False) -> Receipt:
        """With all its garments. Raises `NotFound`."""
        row_ids = [one.row_id for one in self.segments.list_segments_of_photo(name)]
        return self._told(row_ids) if dry_run else self._all(row_ids, self._receipt())

    def erase_matching(self, wanted: Filter, dry_run: bool = False) -> Receipt:
        """What fulfils the filter, of whichever embedder."""
        row_ids = self.catalog.matching_row_ids(None, wanted).tolist()
        return self._told(row_ids) if dry_run else self._all(row_ids, self._receipt())

    def erase_owner(self, user: str, dry_run: bool = False) -> Receipt:
        """What that user stored, searched for and started."""
        row_ids = self.catalog.row_ids_of_owner(user)
        if dry_run:
            return self._told(row_ids)
        receipt = self._all(row_ids, self._receipt())
        if not receipt.remaining:
            self._forget(user, receipt)
        return receipt

    def _forget(self, user: str, receipt: Receipt) -> None:
        try:
            receipt.searches = self.history.delete_searches(user)
            receipt.jobs = self.catalog.delete_jobs_of_owner(user)
        except Unavailable:
            if not (receipt.garments or receipt.searches):
                raise
            receipt.remaining = 1

    def _receipt(self) -> Receipt:
        return Receipt(str(uuid.uuid4()), self.clock())

    def _told(self, row_ids: list[int]) -> Receipt:
        receipt = self._receipt()
        there = [one for page in _pages(row_ids) for one in self.catalog.segments(page).values()]
        receipt.segments = [one.name for one in there[:MAX_LISTED_SEGMENTS]]
        receipt.remaining = len(there)
        return receipt

    def _all(self, keys: Iterable[str | int], receipt: Receipt) -> Receipt:
        until, rest = time.monotonic() + self.time_limit, iter(keys)
        for key in rest:
            try:
                if time.monotonic() > until:
                    raise DeadlineExceeded("There is no more time")
                self._one(key, receipt)
            except NotFound:
                # another was faster
                continue
            except (DeadlineExceeded, Unavailable) as error:
                if isinstance(error, Unavailable) and not receipt.garments:
                    raise
                # what is gone is told all the same
                receipt.remaining = 1 + sum(1 for _ in rest)
        return receipt

    def _one(self, key: str | int, receipt: Receipt) -> None:
        segment = self.segments.get_segment(key)
        sources = self._sources(segment.photo)
        if sources and len(self.catalog.segments_of_photo(segment.photo)) == 1:
            # before the row, while it can be asked for again if the bucket is away
            receipt.objects += self._drop(sources)
            sources = []
        gone = self.segments.delete_segment(segment.name)
        receipt.garments += 1
        receipt.photos += gone.photo is not None
        receipt.objects += gone.objects_deleted
        receipt.left += gone.objects_left
        if len(receipt.segments) < MAX_LISTED_SEGMENTS:
            receipt.segments.append(gone.segment.name)
        if gone.photo:
            # two who erase at once took each other's garment for the last
            receipt.objects += self._drop(sources)

    def _sources(self, photo: str) -> list[LedgerEntry]:
        """The objects of our bucket that the photo was made of."""
        found = self.catalog.ledger_entries_of_photo(photo)
        return [one for one in found if one.name.startswith(INCOMING_PREFIX) and one.generation.isdecimal()]

    def _drop(self, sources: list[LedgerEntry]) -> int:
        """How many; what was written again stays."""
        count = 0
        for one in sources:
            with suppress(Conflict):
                count += self.segments.store.delete(one.name, int(one.generation))
        return count


def _pages(row_ids: list[int]) -> Iterator[list[int]]:
    return (row_ids[start : start + PAGE_SIZE] for start in range(0, len(row_ids), PAGE_SIZE))
