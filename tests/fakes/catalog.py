"""The catalog in memory. It passes the contract of the real ones."""

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.catalog.details import entry_row, ledger_sort_key
from lookalike.adapters.catalog.jobs import job_row
from lookalike.adapters.catalog.segments import update_values
from lookalike.adapters.catalog.tables import jobs, searches
from lookalike.adapters.catalog.values import details_row, photo_row, segment_row, validated
from lookalike.domain.errors import Cancelled, Conflict, NotFound, Unavailable
from lookalike.domain.filter import Filter, matches_filter
from lookalike.domain.model import (
    Box,
    Caller,
    Changes,
    Job,
    JobStatus,
    LedgerEntry,
    NewSegment,
    PastSearch,
    Photo,
    ProductDetails,
    Segment,
)
from tests.fakes.snapshot import FakeSnapshot

P = ParamSpec("P")
T = TypeVar("T")
NO_VECTORS = np.empty((0, 0), np.float32)


@dataclass
class Row:
    segment: Segment
    vector: NDArray[np.float32]
    embedder: str
    commit: int


def locked(
    method: Callable[Concatenate["FakeCatalog", P], T],
) -> Callable[Concatenate["FakeCatalog", P], T]:
    @functools.wraps(method)
    def run(self: "FakeCatalog", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            if self.is_unavailable:
                raise Unavailable("The database cannot be reached")
            return method(self, *args, **kwargs)

    return run


class FakeCatalog:
    """Set `away` to make every method raise `Unavailable`."""

    def __init__(self) -> None:
        self.is_unavailable = False
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        self._commit = 0
        self._photos: dict[str, Photo] = {}
        self._rows: dict[int, Row] = {}
        self._deleted: dict[int, tuple[set[str], int]] = {}
        self._beside: dict[str, dict[int, Row]] = {}
        self._details: dict[str, ProductDetails] = {}
        self._jobs: dict[str, Job] = {}
        self._ledger: dict[tuple[str, str, str], LedgerEntry] = {}
        self._searches: dict[tuple[str, str], PastSearch] = {}
        self._attempts: dict[str, tuple[int, datetime]] = {}

    @locked
    def add_photo(
        self, photo: Photo, segments: Sequence[NewSegment], embedder: str, job: str | None = None
    ) -> list[Segment]:
        photo_row(photo)
        if photo.name in self._photos:
            raise Conflict("Another thing of that name exists")
        return self._store(photo, segments, embedder, job)

    @locked
    def add_segment(self, photo: Photo, segment: NewSegment, embedder: str, job: str | None = None) -> Segment:
        photo_row(photo)
        return self._store(self._photos.get(photo.name, photo), [segment], embedder, job)[0]

    @locked
    def photo(self, name: str) -> Photo | None:
        return self._photos.get(name)

    @locked
    def segment(self, key: str | int) -> Segment | None:
        return next((one for one in self._all() if key in (one.name, one.row_id)), None)

    @locked
    def segments(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        return {int(number): self._rows[number].segment for number in row_ids if number in self._rows}

    @locked
    def segments_of_photo(self, photo: str) -> list[Segment]:
        return [segment for segment in self._all() if segment.photo == photo]

    @locked
    def update_segment(self, name: str, changes: Mapping[str, object]) -> Segment | None:
        update_values(changes)
        old = self.segment(name)
        if old is not None:
            renamed = {"box" if key == "bounding_box" else key: value for key, value in changes.items()}
            new: Segment = replace(old, **renamed)  # type: ignore[arg-type]
            self._rows[old.row_id].segment = replace(new, box=_rounded(new.box))
        return self.segment(name)

    @locked
    def delete_segment(self, name: str) -> Segment | None:
        segment = self.segment(name)
        if segment is not None:
            self._commit += 1
            beside = {name for name, rows in self._beside.items() if rows.pop(segment.row_id, None)}
            self._deleted[segment.row_id] = ({self._rows.pop(segment.row_id).embedder, *beside}, self._commit)
            if not self.segments_of_photo(segment.photo):
                self._photos.pop(segment.photo, None)
        return segment

    @locked
    def referenced_paths(self, paths: Sequence[str]) -> set[str]:
        known = {path for segment in self._all() for path in (segment.path, segment.thumbnail)}
        return set(paths) & (known | {photo.path for photo in self._photos.values()})

    @locked
    def changes(self, embedder: str, since: int) -> Changes:
        rows = {key: row for key, row in sorted(self._of(embedder).items()) if row.commit > since}
        gone = [key for key, (of, commit) in self._deleted.items() if embedder in of and commit > since > 0]
        vectors = np.array([row.vector for row in rows.values()], np.float32) if rows else NO_VECTORS
        return Changes(self._commit, np.array(list(rows), np.int64), vectors, np.array(sorted(gone), np.int64))

    @contextmanager
    def snapshot(self, embedder: str, since: int) -> Iterator["FakeSnapshot"]:
        yield FakeSnapshot(self.changes(embedder, since))

    @locked
    def vectors(self, embedder: str, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        there = self._of(embedder)
        return {int(number): there[number].vector.copy() for number in row_ids if number in there}

    @locked
    def count_missing_vectors(self, embedder: str) -> int:
        return len(self._rows) - len(self._of(embedder))

    @locked
    def segments_missing_vectors(self, embedder: str, after: int, limit: int) -> list[Segment]:
        missing = sorted(set(self._rows) - set(self._of(embedder)))
        return [self._rows[key].segment for key in missing if key > after][:limit]

    @locked
    def add_vectors(self, embedder: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        new = {key: vectors[key] for key in vectors if key in self._rows and key not in self._of(embedder)}
        self._commit += bool(new)
        rows = {key: Row(self._rows[key].segment, one, embedder, self._commit) for key, one in new.items()}
        self._beside.setdefault(embedder, {}).update(rows)
        return len(new)

    @locked
    def drop_other_vectors(self, embedder: str, limit: int) -> int:
        some = dict(sorted(self._beside.get(embedder, {}).items())[:limit])
        for key, row in some.items():
            self._rows[key] = replace(row, segment=self._rows[key].segment)
            self._drop_beside(key)
        strangers = {key for rows in self._beside.values() for key in rows if self._rows[key].embedder == embedder}
        dropped = sorted(strangers)[: 0 if some else limit]
        for key in dropped:
            self._drop_beside(key)
        return len(some) + len(dropped)

    def _drop_beside(self, key: int) -> None:
        for rows in self._beside.values():
            rows.pop(key, None)

    def _of(self, embedder: str) -> dict[int, Row]:
        own = {key: row for key, row in self._rows.items() if row.embedder == embedder}
        return own | self._beside.get(embedder, {})

    @locked
    def matching_row_ids(self, embedder: str | None, wanted: Filter) -> NDArray[np.int64]:
        asked = self._rows if embedder is None else self._of(embedder)
        rows = {key: self._rows[key].segment for key in asked}
        found = [key for key, one in rows.items() if matches_filter(wanted, self._values(one))]
        return np.array(sorted(found), np.int64)

    @locked
    def row_ids_of_owner(self, user: str) -> list[int]:
        named = {name for name, photo in self._photos.items() if photo.owner == user}
        return sorted(one.row_id for one in self._all() if one.photo in named)

    @locked
    def delete_jobs_of_owner(self, user: str) -> int:
        gone = [one.id for one in self._jobs.values() if one.owner == user and one.status is not JobStatus.PROCESSING]
        for job_id in gone:
            del self._jobs[job_id]
        return len(gone)

    @locked
    def row_ids_of_photo_hash(self, sha256: str) -> frozenset[int]:
        named = {name for name, photo in self._photos.items() if photo.sha256 == sha256}
        return frozenset(one.row_id for one in self._all() if one.photo in named)

    def _values(self, one: Segment) -> dict[str, object]:
        details = self._details.get(one.name) or self._details.get(one.photo)
        return (asdict(details) if details else {}) | {"label": one.label, "score": one.score}

    @locked
    def details(self, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        return {name: self._details[name] for name in image_ids if name in self._details}

    @locked
    def put_details(self, details: Iterable[ProductDetails]) -> int:
        listed = list(details)
        for one in listed:
            details_row(one)
        self._details.update((one.image_id, one) for one in listed)
        return len(listed)

    @locked
    def start_job(self, job_id: str, kind: str, caller: Caller) -> Job:
        job_row(job_id, kind, caller)
        old, moment = self._jobs.get(job_id), datetime.now(UTC)
        if old and old.status is JobStatus.PROCESSING:
            raise Conflict("A request of that id is running")
        status = JobStatus.PROCESSING
        job = Job(job_id, kind, caller.user, caller.address, status, "", False, moment, moment)
        self._jobs[job_id] = job
        return job

    @locked
    def job(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    @locked
    def list_jobs(self, caller: Caller, limit: int = 100) -> list[Job]:
        own = (job for job in self._jobs.values() if _owns(caller, job))
        return sorted(own, key=lambda job: job.created, reverse=True)[:limit]

    @locked
    def set_job_stage(self, job_id: str, stage: str) -> None:
        validated(jobs, stage=stage)
        self._change(job_id, stage=stage)

    @locked
    def finish_job(self, job_id: str, status: JobStatus) -> JobStatus:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("No such request")
        too_late = status is JobStatus.COMPLETED and job.cancel_requested
        self._finish(job_id, JobStatus.CANCELLED if too_late else status)
        return self._jobs[job_id].status

    @locked
    def request_cancel(self, job_id: str) -> bool:
        return self._change(job_id, cancel_requested=True)

    @locked
    def cancel_requested(self, job_ids: Sequence[str]) -> set[str]:
        return {name for name in job_ids if name in self._jobs and self._jobs[name].cancel_requested}

    @locked
    def delete_finished_jobs(self, caller: Caller | None, before: datetime) -> int:
        own = [job for job in self._jobs.values() if caller is None or _owns(caller, job)]
        stale = [job for job in own if job.updated < before]
        for job in stale:
            if not self._finish(job.id, JobStatus.FAILED):
                del self._jobs[job.id]
        return len(stale)

    @locked
    def ledger_entries(self, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
        entries = [one for one in self._ledger.values() if one.bucket == bucket and one.name in names]
        return sorted(entries, key=ledger_sort_key)

    @locked
    def ledger_entries_of_photo(self, photo: str) -> list[LedgerEntry]:
        return sorted((one for one in self._ledger.values() if one.photo == photo), key=ledger_sort_key)

    @locked
    def record_ledger_entry(self, entry: LedgerEntry) -> None:
        entry_row(entry)
        self._ledger[entry.bucket, entry.name, entry.generation] = entry

    @locked
    def save_search(self, search: PastSearch, max_searches: int) -> None:
        validated(searches, owner=search.owner, id=search.id)
        living = [hit for hit in search.hits if hit.row_id in self._rows]
        self._searches[search.owner, search.id] = replace(search, hits=living)
        for old in self.list_searches(search.owner, 10**9)[max_searches:]:
            del self._searches[old.owner, old.id]

    @locked
    def list_searches(self, owner: str, limit: int, before: datetime | None = None) -> list[PastSearch]:
        own = [
            one
            for one in self._searches.values()
            if one.owner == owner and (before is None or one.searched_at < before)
        ]
        newest = sorted(own, key=lambda one: (-one.searched_at.timestamp(), one.id))[:limit]
        return [replace(one, hits=[]) for one in newest]

    @locked
    def get_search(self, owner: str, search_id: str) -> PastSearch | None:
        found = self._searches.get((owner, search_id))
        return found and replace(found, hits=[hit for hit in found.hits if hit.row_id not in self._deleted])

    @locked
    def delete_searches(self, owner: str, search_id: str | None = None) -> int:
        gone = [key for key in self._searches if key[0] == owner and search_id in (None, key[1])]
        for key in gone:
            del self._searches[key]
        return len(gone)

    @locked
    def add_attempt(self, keys: Sequence[str], since: datetime) -> dict[str, int]:
        for key in keys:
            count, began = self._attempts.get(key, (0, datetime.now(UTC)))
            self._attempts[key] = (1, datetime.now(UTC)) if began < since else (count + 1, began)
        return {key: self._attempts[key][0] for key in keys}

    @locked
    def reduce_attempts(self, keys: Sequence[str], count: int | None = None) -> None:
        for key in self._attempts.keys() & set(keys):
            current, started = self._attempts[key]
            self._attempts[key] = (max(0, current - (current if count is None else count)), started)

    @locked
    def delete_expired_attempts(self, before: datetime) -> int:
        old = [key for key, (_, began) in self._attempts.items() if began < before]
        for key in old:
            del self._attempts[key]
        return len(old)

    @locked
    def legacy_image(self, row_id: int) -> bytes | None:
        return None

    @locked
    def ping(self) -> None:
        pass

    def _all(self) -> Iterator[Segment]:
        return (row.segment for row in self._rows.values())

    def _store(self, photo: Photo, segments: Sequence[NewSegment], embedder: str, job: str | None) -> list[Segment]:
        for one in segments:
            segment_row(one, photo.name, embedder)
        names = [one.name for one in segments]
        if len(set(names)) < len(names) or any(segment.name in names for segment in self._all()):
            raise Conflict("Another thing of that name exists")
        if job is not None:
            self._complete(job)
        self._photos[photo.name] = photo
        self._commit += bool(segments)
        return [self._insert(one, photo.name, embedder) for one in segments]

    def _insert(self, new: NewSegment, photo: str, embedder: str) -> Segment:
        row_id, moment = next(self._ids), datetime.now(UTC).replace(microsecond=0)
        box = _rounded(new.box)
        about = (new.label, new.score, moment, new.color)
        segment = Segment(row_id, new.name, new.path, new.thumbnail, photo, box, *about)
        self._rows[row_id] = Row(segment, np.array(new.vector, np.float32), embedder, self._commit)
        return segment

    def _complete(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.cancel_requested:
            raise Cancelled("The request was cancelled")
        if not self._finish(job_id, JobStatus.COMPLETED):
            raise Conflict("The request has already ended")

    def _change(self, job_id: str, **values: object) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.status is not JobStatus.PROCESSING:
            return False
        self._jobs[job_id] = replace(job, **{"updated": datetime.now(UTC), **values})  # type: ignore[arg-type]
        return True

    def _finish(self, job_id: str, status: JobStatus) -> bool:
        moment = datetime.now(UTC)
        return self._change(job_id, status=status, updated=moment, finished=moment)


def _owns(caller: Caller, job: Job) -> bool:
    if caller.user is not None:
        return job.owner == caller.user
    return job.owner is None and job.address == caller.address


def _rounded(box: Box | None) -> Box | None:
    return box and Box(*box.as_list())
