"""Port of the catalog: the database of photos, segments, product details, jobs and ingested objects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.facets import MAX_FACET_VALUES, FieldValues
from lookalike.domain.filter import NO_CONDITIONS, Filter, Value
from lookalike.domain.job_statistics import JobCount, JobDurations, JobErrorCount
from lookalike.domain.ledger import LedgerPage, LedgerSelection
from lookalike.domain.model import (
    Caller,
    Changes,
    Job,
    JobStatus,
    LedgerEntry,
    LedgerStatus,
    NewSegment,
    Photo,
    ProductDetails,
    Segment,
    Vectors,
)
from lookalike.domain.personal_data import OwnedPhoto
from lookalike.domain.product import Offer
from lookalike.domain.product_edits import ProductEdit


class Snapshot(Protocol):
    """Consistent view of the changes after some commit, like `Changes`, with the vectors read on demand."""

    @property
    def last_commit(self) -> int:
        """Number of the last commit that the snapshot contains."""
        ...

    @property
    def row_ids(self) -> NDArray[np.int64]:
        """Ids (n,) of the rows written, ascending."""
        ...

    @property
    def deleted(self) -> NDArray[np.int64]:
        """Ids (m,) of the rows deleted."""
        ...

    def pages(self) -> Iterator[Vectors]:
        """Yield the vectors of `row_ids` in the same order, in blocks of shape (k, dim). Can be called repeatedly."""
        ...


class Catalog(Protocol):
    """Database access. Each method is one transaction.

    Every method raises `Unavailable` if the database cannot be reached. Methods that store text raise `InvalidField` if
    a value does not fit its column.
    """

    def add_photo(
        self,
        photo: Photo,
        segments: Sequence[NewSegment],
        embedder: str,
        job: str | None = None,
        entry: LedgerEntry | None = None,
    ) -> list[Segment]:
        """Store a photo with its segments, record the ledger entry and complete the job, atomically.

        Raises `Conflict` if a photo or segment with one of the names exists, or if the job has ended.
        Raises `Cancelled` if the job's cancellation was requested. Nothing is stored then.
        """
        ...

    def add_segment(self, photo: Photo, segment: NewSegment, embedder: str, job: str | None = None) -> Segment:
        """Store one more segment. Creates its photo if it does not exist. Raises as `add_photo`."""
        ...

    def photo(self, name: str) -> Photo | None:
        """Return a photo, or `None` if it does not exist."""
        ...

    def segment(self, key: str | int) -> Segment | None:
        """Return a segment by name (`str`) or row id (`int`), or `None` if it does not exist."""
        ...

    def segments(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        """Return segments by row id. Deleted ones are missing in the result."""
        ...

    def segment_names(self, row_ids: Sequence[int]) -> dict[int, str]:
        """Return the names of segments by row id. Deleted ones are missing in the result."""
        ...

    def segments_of_photo(self, photo: str) -> list[Segment]:
        """Return the segments of a photo, ordered by row id. The list is empty if the photo does not exist."""
        ...

    def update_segment(self, name: str, changes: Mapping[str, object]) -> Segment | None:
        """Change `bounding_box` (a `Box`), `label` or `score` of a segment.

        Returns the changed segment, or `None` if it does not exist. Raises `InvalidField` for other keys or types.
        """
        ...

    def replace_segment(
        self, row_id: int, segment: NewSegment, embedder: str, job: str | None = None
    ) -> Segment | None:
        """Replace images, box, label, score, vector and color of a segment, and complete the job, atomically.

        Row id and name stay. Vectors of other embedders and decisions about copies are deleted, since they are about the
        old image. Returns the segment, or `None` if it does not exist. Raises `Cancelled` and `Conflict` as `add_photo`.
        """
        ...

    def delete_segment(self, name: str) -> Segment | None:
        """Delete a segment, and its photo with the last segment of it.

        Returns the deleted segment, or `None` if it does not exist.
        """
        ...

    def referenced_paths(self, paths: Sequence[str]) -> set[str]:
        """Return those of the object paths that a photo or segment refers to."""
        ...

    def changes(self, embedder: str, since: int) -> Changes:
        """Return the rows written and deleted after commit `since`. With 0, all existing rows and no deletions.

        Commit numbers follow the order of visibility: a reader that sees commit n has seen all commits before it.
        """
        ...

    def snapshot(self, embedder: str, since: int) -> AbstractContextManager[Snapshot]:
        """Return the same as `changes`, without loading the vectors.

        The snapshot is valid inside the context and in the thread that opened it.
        """
        ...

    def vectors(self, embedder: str, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return unit vectors (dim,) by row id. Deleted rows and rows without a vector of this embedder are missing."""
        ...

    def matching_row_ids(
        self, embedder: str | None, wanted: Filter, among: Sequence[int] | None = None
    ) -> NDArray[np.int64]:
        """Return the ids (n,), ascending, of rows that match the filter and have a vector of this embedder.

        Without an embedder, of all rows that match the filter. With `among`, only of these rows.
        """
        ...

    def row_ids_with_text(self, embedder: str | None, text: str) -> NDArray[np.int64]:
        """Return the ids (n,), ascending, of rows whose product details contain every word of a text.

        The details are those of the garment itself, or of its photo if it has none of its own. Words are compared whole,
        as `domain.words.split_words` returns them; they may be in different fields of `TEXT_FIELDS`. A text without
        words matches nothing. Only rows with a vector of the embedder are returned, or all rows without an embedder.
        """
        ...

    def has_text(self, text: str) -> bool:
        """Return whether any product details contain every word of a text, compared as by `row_ids_with_text`."""
        ...

    def details_fields_with_value(self, phrase: str) -> list[tuple[str, str]]:
        """Return the fields, and their values as stored, that equal a phrase when both are folded by `domain.words.fold`.

        They are distinct pairs of a name in `VALUE_FIELDS` and a value, or item of a list: in the order of `VALUE_FIELDS`,
        then of the values, at most `MAX_FIELD_VALUES`.
        """
        ...

    def colors(
        self, embedder: str | None, row_ids: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the ids (n,), ascending, and mean colors (n, 3), as CIE L*, a*, b*, of rows with a stored color.

        Only rows with a vector of the embedder, if given, are returned, and of these only those in `row_ids`, if given.
        """
        ...

    def field_values(
        self,
        embedder: str | None,
        fields: Sequence[str],
        row_ids: NDArray[np.int64] | None = None,
        shown: Filter = NO_CONDITIONS,
    ) -> dict[str, FieldValues]:
        """Return the values of each field over all rows with a vector of the embedder, or over all rows without one.

        With `row_ids`, only rows in it are read. Product fields are those of the garment's own details, or of its photo's if
        it has none of its own. Fields of feeds are those of all products that the garment shows and that match the
        filter `shown`. Raises `InvalidField` for a field that is neither in `FACET_FIELDS` nor a column of feeds.
        """
        ...

    def facet_counts(
        self,
        embedder: str | None,
        fields: Sequence[str],
        row_ids: NDArray[np.int64] | None = None,
        limit: int = MAX_FACET_VALUES,
        shown: Filter = NO_CONDITIONS,
    ) -> dict[str, list[tuple[Value, int]]]:
        """Return the `FieldValues.counts` of each field over the rows that `field_values` describes.

        Raises `InvalidField` as `field_values`.
        """
        ...

    def row_ids_of_owner(self, user: str) -> list[int]:
        """Return the row ids, ascending, of all segments of photos that the user uploaded."""
        ...

    def photos_of_owner(self, user: str, after: str, limit: int) -> list[OwnedPhoto]:
        """Return the next `limit` photos that the user uploaded, ordered by name. `after` is the last one before, or ""."""
        ...

    def row_ids_of_photo_hash(self, sha256: str) -> frozenset[int]:
        """Return the row ids of segments of photos that were uploaded with this SHA-256 (hexadecimal)."""
        ...

    def details(self, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        """Return product details by the name of a photo or segment. Names without details are missing in the result."""
        ...

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        """Insert or replace product details, in one transaction for each batch. Returns their number."""
        ...

    def product_ids(self, garments: Sequence[str], wanted: Filter = NO_CONDITIONS) -> dict[str, str]:
        """Return the id of the product of a feed that each garment shows, the first in their order if it shows several.

        Only products whose own fields match the filter count. Garments, given by name, that show none are missing.
        """
        ...

    def offers(self, product_ids: Sequence[str]) -> dict[str, Offer]:
        """Return what products of feeds cost, by id. Products that do not exist are missing."""
        ...

    def feed_columns(self, names: Sequence[str] | None = None, limit: int = 100) -> list[str]:
        """Return the names, ascending, of other columns of feeds that a product has: of all, or those of `names`."""
        ...

    def price_currencies(self) -> list[str]:
        """Return the currencies of the prices of all products, ascending. The list is empty if no product has a price."""
        ...

    def start_job(self, job_id: str, kind: str, caller: Caller) -> Job:
        """Insert a running job, replacing a finished one with the same id. Raises `Conflict` if that one is running."""
        ...

    def add_finished_jobs(self, finished: Sequence[Job]) -> None:
        """Insert jobs that have ended, under new ids. Raises `Conflict` if an id exists."""
        ...

    def job(self, job_id: str) -> Job | None:
        """Return a job, or `None` if it does not exist."""
        ...

    def list_jobs(self, caller: Caller, limit: int = 100) -> list[Job]:
        """Return the caller's jobs, newest first.

        They are the jobs of the same user. For callers without an account they are those from the same address: with
        the same API key, or anonymous ones.
        """
        ...

    def list_running_jobs(self, limit: int = 100, kind: str | None = None) -> list[Job]:
        """Return the running jobs of all callers, newest first: those of a kind, or of all."""
        ...

    def job_counts(self, since: datetime) -> list[JobCount]:
        """Return the number of jobs that started since that time, by hour, kind and status, in this order.

        Jobs whose rows were deleted are not counted.
        """
        ...

    def job_durations(self, since: datetime) -> list[JobDurations]:
        """Return the durations of completed jobs that started since that time, by kind in alphabetical order."""
        ...

    def job_error_counts(self, since: datetime) -> list[JobErrorCount]:
        """Return the number of failed jobs that started since that time, by kind and error, the most frequent first."""
        ...

    def set_job_stage(self, job_id: str, stage: str) -> None:
        """Set the progress text of a running job. Does nothing if the job is not running."""
        ...

    def finish_job(self, job_id: str, status: JobStatus, error: str | None = None) -> JobStatus:
        """End a running job and return its final status. `error` is the reason of a failed one. Raises `NotFound`.

        A job whose cancellation was requested ends as cancelled instead of completed. A finished job keeps its status.
        """
        ...

    def request_cancel(self, job_id: str) -> bool:
        """Mark a running job for cancellation. Returns whether there is such a job."""
        ...

    def cancel_requested(self, job_ids: Sequence[str]) -> set[str]:
        """Return the ids of those jobs whose cancellation was requested."""
        ...

    def delete_finished_jobs(self, caller: Caller | None, before: datetime) -> int:
        """Delete finished jobs last updated before that time, and mark older running ones as failed with `INTERRUPTED`.

        Without a caller, the jobs of all callers. Returns the number of changed jobs.
        """
        ...

    def edits_of_editor(self, editor: str) -> list[tuple[str, ProductEdit]]:
        """Return the edits of products that a user made, with the ids of the products, ordered by id and field."""
        ...

    def forget_editor(self, editor: str) -> int:
        """Remove a user from the edits of products that they made. The edits stay. Returns their number.

        The products count as changed, so that nobody who read them before stores the user again.
        """
        ...

    def delete_jobs_of_owner(self, user: str) -> int:
        """Delete the finished jobs of a user. Returns their number."""
        ...

    def ledger_entries(self, bucket: str, names: Sequence[str]) -> list[LedgerEntry]:
        """Return the entries of all versions of these objects, ordered by name and generation, newest version last."""
        ...

    def ledger_entries_of_photo(self, photo: str) -> list[LedgerEntry]:
        """Return the entries of the objects that a photo was ingested from.

        Object names that are not valid text are returned in an escaped form.
        """
        ...

    def ledger_page(self, selection: LedgerSelection, limit: int, cursor: str | None = None) -> LedgerPage:
        """Return up to `limit` of the selected entries, newest first. `cursor` is that of the previous page.

        An entry that is recorded again moves to the front. Names and buckets that are not valid text are returned in an
        escaped form. Raises `InvalidField` for a cursor that was not returned by this method.
        """
        ...

    def count_ledger_entries(
        self, selection: LedgerSelection, cursor: str | None = None
    ) -> dict[tuple[str, LedgerStatus], int]:
        """Return the number of selected entries by bucket and status. With a cursor, of those from its page on.

        Raises `InvalidField` as `ledger_page`.
        """
        ...

    def count_ingested_photos(self, selection: LedgerSelection, since: datetime) -> int:
        """Return the number of selected entries with a photo that were recorded since that time."""
        ...

    def record_ledger_entry(self, entry: LedgerEntry) -> None:
        """Insert or replace the entry of that bucket, name and generation."""
        ...

    def legacy_image(self, row_id: int) -> bytes | None:
        """Return the image inside a row of the original system. `None` if the row has none or was adopted."""
        ...

    def ping(self) -> None:
        """Check the connection. Raises `Unavailable` also if tables are missing or older than this code expects."""
        ...
