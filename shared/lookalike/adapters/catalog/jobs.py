"""Jobs: status, progress and cancellation of uploads and searches, shared by all processes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Update,
    and_,
    delete,
    insert,
    not_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from lookalike.adapters.catalog.database import Database, read_transaction, translate_errors, write_transaction
from lookalike.adapters.catalog.tables import jobs
from lookalike.adapters.catalog.values import batches, name_in, to_aware_utc, to_naive_utc, utc_now, validated
from lookalike.domain.errors import Cancelled, Conflict, NotFound
from lookalike.domain.model import INTERRUPTED, Caller, Job, JobStatus

_is_running = jobs.c.status == JobStatus.PROCESSING.value


class JobQueries(Database):
    """Queries of the port `Catalog` about jobs."""

    @write_transaction
    def start_job(self, tx: Connection, job_id: str, kind: str, caller: Caller) -> Job:
        """Insert a running job, replacing a finished one with the same id. Raises `Conflict` if that one is running."""
        row = job_row(job_id, kind, caller)
        try:
            tx.execute(insert(jobs), row)
        except IntegrityError:
            # Only ids that the caller chose exist already. A failed INSERT leaves the transaction open.
            tx.execute(delete(jobs).where(jobs.c.id == job_id, not_(_is_running)))
            with translate_errors("A request with this id is running: choose another id"):
                tx.execute(insert(jobs), row)
        return _to_job(row)

    @write_transaction
    def add_finished_jobs(self, tx: Connection, finished: Sequence[Job]) -> None:
        """Insert jobs that have ended, under new ids. Raises `Conflict` if an id exists, and `InvalidField`."""
        tx.execute(insert(jobs), [_finished_row(job) for job in finished])

    @read_transaction
    def job(self, tx: Connection, job_id: str) -> Job | None:
        """Return a job, or `None` if it does not exist."""
        row = _select_job(tx, job_id)
        return _to_job(row) if row else None

    @read_transaction
    def list_jobs(self, tx: Connection, caller: Caller, limit: int = 100) -> list[Job]:
        """Return the caller's jobs, newest first. Callers without an account are also identified by their address."""
        newest = select(jobs).where(_is_owned_by(caller)).order_by(jobs.c.create_time.desc(), jobs.c.id)
        return [_to_job(row) for row in tx.execute(newest.limit(limit)).mappings()]

    @read_transaction
    def list_running_jobs(self, tx: Connection, limit: int = 100, kind: str | None = None) -> list[Job]:
        """Return the running jobs of all callers, newest first: those of a kind, or of all."""
        is_of_kind = true() if kind is None else jobs.c.kind == kind
        newest = select(jobs).where(_is_running, is_of_kind).order_by(jobs.c.create_time.desc(), jobs.c.id)
        return [_to_job(row) for row in tx.execute(newest.limit(limit)).mappings()]

    @write_transaction
    def set_job_stage(self, tx: Connection, job_id: str, stage: str) -> None:
        """Set the progress text of a running job."""
        tx.execute(_update_running(name_in(jobs.c.id, job_id), stage=stage))

    @write_transaction
    def finish_job(self, tx: Connection, job_id: str, status: JobStatus, error: str | None = None) -> JobStatus:
        """End a running job and return its final status. `error` is the reason of a failed one. Raises `NotFound`.

        A job whose cancellation was requested ends as cancelled instead of completed.
        """
        if status is JobStatus.COMPLETED and _complete(tx, job_id):
            return status
        # FOR UPDATE: a cancellation that arrives now waits and then finds the job finished.
        row = _select_job(tx, job_id, lock=True)
        if row is None:
            raise NotFound(f"Request {job_id} does not exist")
        if row["status"] != JobStatus.PROCESSING.value:
            return JobStatus(row["status"])
        if status is JobStatus.COMPLETED and row["cancel_requested"]:
            status = JobStatus.CANCELLED
        tx.execute(_update_running(jobs.c.id == row["id"], **_end(status, error)))
        return status

    @write_transaction
    def request_cancel(self, tx: Connection, job_id: str) -> bool:
        """Mark a running job for cancellation. Returns whether there is such a job."""
        return tx.execute(_update_running(name_in(jobs.c.id, job_id), cancel_requested=True)).rowcount > 0

    @read_transaction
    def cancel_requested(self, tx: Connection, job_ids: Sequence[str]) -> set[str]:
        """Return the ids of those jobs whose cancellation was requested."""
        requested: set[str] = set()
        for batch in batches(job_ids):
            is_requested = (name_in(jobs.c.id, *batch), jobs.c.cancel_requested)
            requested.update(tx.execute(select(jobs.c.id).where(*is_requested)).scalars())
        return requested

    @write_transaction
    def delete_finished_jobs(self, tx: Connection, caller: Caller | None, before: datetime) -> int:
        """Delete finished jobs last updated before that time, and mark older running ones as failed.

        Without a caller, the jobs of all callers. Returns the number of changed jobs.
        """
        is_stale = and_(true() if caller is None else _is_owned_by(caller), jobs.c.update_time < to_naive_utc(before))
        # Delete first: jobs that are marked as failed here must stay visible until the next call.
        deleted = tx.execute(delete(jobs).where(is_stale, not_(_is_running))).rowcount
        fail = _update_running(is_stale, **_end(JobStatus.FAILED, INTERRUPTED))
        return deleted + tx.execute(fail).rowcount

    @write_transaction
    def delete_jobs_of_owner(self, tx: Connection, user: str) -> int:
        """Delete the finished jobs of a user. Returns their number."""
        return tx.execute(delete(jobs).where(name_in(jobs.c.owner, user), not_(_is_running))).rowcount


def complete_job(tx: Connection, job_id: str) -> None:
    """Complete a running job inside the caller's transaction.

    Raises `Cancelled` if cancellation was requested, `Conflict` if the job is finished or does not exist.
    """
    if _complete(tx, job_id):
        return
    row = _select_job(tx, job_id)
    if row is not None and row["cancel_requested"]:
        raise Cancelled("The request was cancelled")
    raise Conflict("The request has already ended")


def _complete(tx: Connection, job_id: str) -> bool:
    """Complete a running job unless its cancellation was requested. Returns whether it was completed."""
    # One conditional UPDATE instead of SELECT and UPDATE: a concurrent cancellation comes entirely before or after it.
    may_complete = and_(name_in(jobs.c.id, job_id), not_(jobs.c.cancel_requested))
    return tx.execute(_update_running(may_complete, **_end(JobStatus.COMPLETED))).rowcount > 0


def _end(status: JobStatus, error: str | None = None) -> dict[str, object]:
    """Return the values of a job that ends now. Only failed jobs have an error."""
    moment = utc_now()
    error = error if status is JobStatus.FAILED else None
    return {"status": status.value, "error": error, "update_time": moment, "finish_time": moment}


def job_row(job_id: str, kind: str, caller: Caller) -> dict[str, object]:
    """Return the column values of a new job. Raises `InvalidField`."""
    moment = utc_now()
    return validated(
        jobs,
        id=job_id,
        kind=kind,
        owner=caller.owner,
        address=caller.address,
        status=JobStatus.PROCESSING.value,
        stage="",
        cancel_requested=False,
        create_time=moment,
        update_time=moment,
    )


def _finished_row(job: Job) -> dict[str, object]:
    times = {"create_time": job.created, "update_time": job.updated, "finish_time": job.finished or job.updated}
    return {
        **job_row(job.id, job.kind, Caller(job.owner, address=job.address)),
        **{name: to_naive_utc(moment) for name, moment in times.items()},
        "status": job.status.value,
        **validated(jobs, error=job.error),
    }


def _update_running(where: ColumnElement[bool], **values: object) -> Update:
    validated_values = validated(jobs, **{"update_time": utc_now(), **values})
    return update(jobs).where(where, _is_running).values(validated_values)


def _is_owned_by(caller: Caller) -> ColumnElement[bool]:
    if caller.user is not None:
        return name_in(jobs.c.owner, caller.user)
    is_owner = jobs.c.owner.is_(None) if caller.owner is None else name_in(jobs.c.owner, caller.owner)
    # a key in a web page is used by many people, each of whom sees only their own requests
    return and_(is_owner, name_in(jobs.c.address, caller.address))


def _select_job(tx: Connection, job_id: str, lock: bool = False) -> RowMapping | None:
    statement = select(jobs).where(name_in(jobs.c.id, job_id))
    return tx.execute(statement.with_for_update() if lock else statement).mappings().first()


def _to_job(row: Mapping[Any, Any]) -> Job:
    finished = row.get("finish_time")
    return Job(
        id=row["id"],
        kind=row["kind"],
        owner=row["owner"],
        address=row["address"],
        status=JobStatus(row["status"]),
        stage=row["stage"],
        cancel_requested=bool(row["cancel_requested"]),
        created=to_aware_utc(row["create_time"]),
        updated=to_aware_utc(row["update_time"]),
        finished=to_aware_utc(finished) if finished else None,
        error=row.get("error"),
    )
