"""What the use cases need from outside. Every port has one contract test, run against every adapter and fake of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.filter import Filter
from lookalike.domain.model import (
    AdoptedRow,
    Caller,
    Changes,
    Detection,
    Job,
    JobStatus,
    LedgerEntry,
    LegacyRow,
    NewSegment,
    Photo,
    ProductDetails,
    SearchHit,
    Segment,
    StoredObject,
    User,
    Vectors,
)
from lookalike.domain.vector_source import VectorSource


class Detector(Protocol):
    def detect(self, image: Image.Image, cancel: CancelToken, thorough: bool = False) -> list[Detection]:
        """Find the garments of an upright RGB photo, best score first. Boxes lie inside the photo.

        With `thorough`, a detector that has two thresholds uses the lower one.
        """
        ...


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """Changes whenever vectors stop being comparable."""
        ...

    @property
    def dim(self) -> int: ...

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        """Embed RGB photos or RGBA cut-outs: float32 of shape (n, dim), unit rows, in the images' order."""
        ...


class ObjectStore(Protocol):
    """Named byte strings. A generation is a positive number that changes with every write of a path."""

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write if the object's current generation is `if_generation`, 0 meaning that there is none.

        Raises `Conflict` otherwise; a create whose very bytes are there already succeeds.
        """
        ...

    def get(self, path: str) -> bytes:
        """Raises `NotFound`."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """What is too large for memory, piece by piece. Raises as `get` does, and `Unavailable` in mid-stream."""
        ...

    def write(self, path: str, pieces: Iterable[bytes], content_type: str) -> StoredObject:
        """Create what is too large for memory. Nothing is there before all of it is. Raises `Conflict` if there is one."""
        ...

    def stat(self, path: str) -> StoredObject | None: ...

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        """The objects whose paths start with `prefix`, in the order of their paths."""
        ...

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        """Whether there was one. Raises `Conflict` if its generation is another than the one given."""
        ...

    def url(self, path: str, expires_in: int = 3600) -> str:
        """An address that serves the object for a while, to whoever holds it."""
        ...


class Snapshot(Protocol):
    """What happened to the rows of one embedder after some commit, as `Changes` has it, at one moment."""

    @property
    def last_commit(self) -> int: ...

    @property
    def row_ids(self) -> NDArray[np.int64]: ...

    @property
    def deleted(self) -> NDArray[np.int64]: ...

    def pages(self) -> Iterator[Vectors]:
        """The vectors of `row_ids`, in their order, some (m, dim) rows at a time. May be called again."""
        ...


class Catalog(Protocol):
    """The rows. Each method is one transaction. Raises `Unavailable` while the database is away."""

    def add_photo(
        self, photo: Photo, segments: Sequence[NewSegment], embedder: str, job: str | None = None
    ) -> list[Segment]:
        """Store a photo with its segments and complete the job, all or nothing.

        Raises `Conflict` if a photo or segment of that name exists, `Cancelled` if the job's cancellation was asked for.
        """
        ...

    def add_segment(self, photo: Photo, segment: NewSegment, embedder: str, job: str | None = None) -> Segment:
        """Store one more segment, creating its photo where there is none. Raises as `add_photo` does."""
        ...

    def photo(self, name: str) -> Photo | None: ...

    def segment(self, key: str | int) -> Segment | None:
        """By its name, or by its row number."""
        ...

    def segments(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        """Those that still exist, by row number."""
        ...

    def segments_of_photo(self, photo: str) -> list[Segment]:
        """In the order of their row numbers."""
        ...

    def update_segment(self, name: str, changes: Mapping[str, object]) -> Segment | None:
        """Change `bounding_box` (a `Box`), `label` or `score`; the changed segment, or none of that name."""
        ...

    def delete_segment(self, name: str) -> Segment | None:
        """The segment that was deleted, or none. Its photo goes with the last of its segments."""
        ...

    def referenced_paths(self, paths: Sequence[str]) -> set[str]:
        """Those of the store's paths that some row names."""
        ...

    def changes(self, embedder: str, since: int) -> Changes:
        """What was written and deleted after commit `since`; since 0, all living rows, from one snapshot.

        Commits are numbered in the order in which they become visible: whoever has seen commit n has seen all before it.
        """
        ...

    def snapshot(self, embedder: str, since: int) -> AbstractContextManager[Snapshot]:
        """What `changes` tells, while the context lasts, for one thread, with the vectors left where they are."""
        ...

    def vectors(self, embedder: str, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Those that still exist, by row number; unit vectors (dim,). Another embedder's rows are left out."""
        ...

    def matching_row_ids(self, embedder: str | None, wanted: Filter) -> NDArray[np.int64]:
        """The numbers (n,) of that embedder's rows, or of all, that fulfil the filter, in order."""
        ...

    def row_ids_of_owner(self, user: str) -> list[int]:
        """The row numbers of photos that this user stored, in order."""
        ...

    def row_ids_of_photo_hash(self, sha256: str) -> frozenset[int]:
        """The row numbers of photos that were uploaded as these bytes."""
        ...

    def details(self, image_ids: Sequence[str]) -> dict[str, ProductDetails]: ...

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        """Insert or replace, in batches; how many."""
        ...

    def start_job(self, job_id: str, kind: str, caller: Caller) -> Job:
        """Raises `Conflict` if a live job has that id; a finished one is replaced."""
        ...

    def job(self, job_id: str) -> Job | None: ...

    def list_jobs(self, caller: Caller, limit: int = 100) -> list[Job]:
        """The caller's own, newest first: those of the account, or for anonymous callers those of the same address."""
        ...

    def set_job_stage(self, job_id: str, stage: str) -> None: ...

    def finish_job(self, job_id: str, status: JobStatus) -> JobStatus:
        """End a job that is processing. Completing one whose cancellation was asked for cancels it; what it ended as."""
        ...

    def request_cancel(self, job_id: str) -> bool:
        """Mark a processing job for cancellation; false if there is none."""
        ...

    def cancel_requested(self, job_ids: Sequence[str]) -> set[str]:
        """Those of the jobs whose cancellation was asked for."""
        ...

    def delete_finished_jobs(self, caller: Caller | None, before: datetime) -> int:
        """Forget jobs last touched before then (of everyone, without a caller). Live ones older than that are failed; how many."""
        ...

    def delete_jobs_of_owner(self, user: str) -> int:
        """Those of this user that have ended; how many."""
        ...

    def ledger_entries(self, bucket: str, names: Sequence[str]) -> list[LedgerEntry]: ...

    def ledger_entries_of_photo(self, photo: str) -> list[LedgerEntry]:
        """The objects that the photo was made of. Names that are no valid text come as they can be shown."""
        ...

    def record_ledger_entry(self, entry: LedgerEntry) -> None:
        """Insert or replace the entry of that bucket, name and generation."""
        ...

    def legacy_image(self, row_id: int) -> bytes | None:
        """The picture that the original system kept in the row itself, until it is adopted."""
        ...

    def ping(self) -> None:
        """Raises `Unavailable`, also where the tables are missing or older than this code."""
        ...


class LegacyRows(Protocol):
    """Rows that the original system wrote, with vectors or pictures that are not yet where ours are."""

    def count_legacy_rows(self) -> int: ...

    def legacy_row_ids(self, after: int, limit: int) -> list[int]:
        """The next row numbers after that one, in order."""
        ...

    def legacy_row(self, row_id: int) -> LegacyRow | None: ...

    def adopt(self, rows: Sequence[AdoptedRow], embedder: str) -> None:
        """Take them over in one transaction: what they held themselves is dropped, and indexes see them as rewritten."""
        ...


class SecondaryVectors(Protocol):
    """Vectors of another embedder beside those that garments were stored with. `Catalogue` gives both to whoever asks."""

    def count_missing_vectors(self, embedder: str) -> int:
        """The garments that it cannot find yet."""
        ...

    def segments_missing_vectors(self, embedder: str, after: int, limit: int) -> list[Segment]:
        """The next of those, by row number."""
        ...

    def add_vectors(self, embedder: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        """By row number, in one transaction; what was deleted meanwhile or has one is left out. How many were added."""
        ...

    def drop_other_vectors(self, embedder: str, limit: int) -> int:
        """Drop the other vectors of some garments that have this embedder's beside; how many. 0: of none any more."""
        ...


class VectorIndex(Protocol):
    """Rows to search. Safe to use from several threads."""

    @property
    def is_exact(self) -> bool:
        """Whether a search gives the nearest rows themselves, and not candidates that are to be compared anew."""
        ...

    @property
    def row_count(self) -> int: ...

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the rows that it has."""
        ...

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """For each of the (q, dim) unit rows its k nearest by cosine, most similar first; fewer where there are fewer.

        With `among` (n,), of the rows of these ids alone.
        """
        ...


class MutableIndex(VectorIndex, Protocol):
    """An index outside, that rows are written to and deleted from one by one. Row numbers are positive."""

    def identity(self) -> str:
        """Another one for whatever was made anew, or is elsewhere: what was known of its rows does not hold for it."""
        ...

    def upsert(self, row_ids: NDArray[np.int64], vectors: Vectors) -> None:
        """Raises `LookalikeError` for what is no unit vector of its length."""
        ...

    def delete(self, row_ids: NDArray[np.int64]) -> None: ...

    def row_ids(self) -> Iterator[NDArray[np.int64]]:
        """All of them, some thousand at a time."""
        ...


class IndexFormat(Protocol):
    """How an index is built, written and read back."""

    @property
    def name(self) -> str: ...

    @property
    def libraries(self) -> Mapping[str, str]:
        """Versions of what the parts depend on."""
        ...

    def build(self, source: VectorSource) -> Iterator[tuple[str, Iterator[bytes]]]:
        """The parts of a version: name and pieces of each, which are read to the end before the next is asked for.

        Raises what `Rows.pages` raises.
        """
        ...

    def load(self, parts: Mapping[str, bytes]) -> VectorIndex:
        """Raises `Untrusted` for anything but what `build` writes. Call it with verified bytes only."""
        ...

    def read_vectors(self, count: int, dim: int, read: Callable[[str], Iterable[bytes]]) -> VectorSource:
        """Those that a version was built of, streamed from it; `read` gives the pieces of a part. Raises `Untrusted`."""
        ...


@dataclass(frozen=True, slots=True)
class Approximation:
    """An index of candidates as it is stored, and what was measured of it: `recall` of the ten nearest, 0 to 1."""

    data: memoryview
    recall: float
    queries: int
    settings: Mapping[str, int]


class ApproximateFormat(Protocol):
    """How an index of candidates is built and read back, for rows that are too many to compare with all."""

    @property
    def name(self) -> str: ...

    @property
    def part_name(self) -> str:
        """The name of its file."""
        ...

    @property
    def libraries(self) -> Mapping[str, str]: ...

    def build(self, source: VectorSource, previous: memoryview | None = None) -> Approximation:
        """With `before`, that of the first of these rows, it may be extended. Raises what `Rows.pages` raises."""
        ...

    def load(self, data: memoryview) -> VectorIndex:
        """Raises `Untrusted`. Call it with verified bytes only."""
        ...


class Auth(Protocol):
    def verify_token(self, token: str) -> User:
        """Whose token this is. Raises `Unauthenticated`."""
        ...


Clock = Callable[[], datetime]
