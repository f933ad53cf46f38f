"""Uploads and searches, as every process sees them."""

from collections.abc import Sequence
from datetime import datetime

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

from lookalike.adapters.catalog.database import Database, reading, translated, writing
from lookalike.adapters.catalog.tables import jobs
from lookalike.adapters.catalog.values import aware, batches, checked, naive, named, now
from lookalike.domain.errors import Cancelled, Conflict, NotFound
from lookalike.domain.model import Caller, Job, JobStatus

_live = jobs.c.status == JobStatus.PROCESSING.value


class JobRows(Database):
    @writing
    def start_job(self, tx: Connection, job_id: str, kind: str, caller: Caller) -> Job:
        row = new_row(job_id, kind, caller)
        tx.execute(delete(jobs).where(jobs.c.id == job_id, not_(_live)))
        with translated("A request of that id is running"):
            tx.execute(insert(jobs).values(row))
        return _found(tx, job_id)

    @reading
    def job(self, tx: Connection, job_id: str) -> Job | None:
        row = _row(tx, job_id)
        return _to_job(row) if row else None

    @reading
    def list_jobs(self, tx: Connection, caller: Caller, limit: int = 100) -> list[Job]:
        newest = select(jobs).where(_own(caller)).order_by(jobs.c.create_time.desc(), jobs.c.id)
        return [_to_job(row) for row in tx.execute(newest.limit(limit)).mappings()]

    @writing
    def set_stage(self, tx: Connection, job_id: str, stage: str) -> None:
        tx.execute(_change(named(jobs.c.id, job_id), stage=stage))

    @writing
    def finish_job(self, tx: Connection, job_id: str, status: JobStatus) -> JobStatus:
        row = _row(tx, job_id, lock=True)
        if row is None:
            raise NotFound("No such request")
        if row["status"] != JobStatus.PROCESSING.value:
            return JobStatus(row["status"])
        too_late = status is JobStatus.COMPLETED and row["cancel_requested"]
        return _finish(tx, jobs.c.id == row["id"], JobStatus.CANCELLED if too_late else status)

    @writing
    def request_cancel(self, tx: Connection, job_id: str) -> bool:
        return tx.execute(_change(named(jobs.c.id, job_id), cancel_requested=True)).rowcount > 0

    @reading
    def cancel_requested(self, tx: Connection, job_ids: Sequence[str]) -> set[str]:
        asked: set[str] = set()
        for some in batches(job_ids):
            where = (named(jobs.c.id, *some), jobs.c.cancel_requested)
            asked.update(tx.execute(select(jobs.c.id).where(*where)).scalars())
        return asked

    @writing
    def delete_finished_jobs(self, tx: Connection, caller: Caller | None, before: datetime) -> int:
        stale = and_(true() if caller is None else _own(caller), jobs.c.update_time < naive(before))
        # in this order: else those failed now would be forgotten at once
        forgotten = tx.execute(delete(jobs).where(stale, not_(_live))).rowcount
        moment = now()
        failed = _change(stale, status=JobStatus.FAILED.value, update_time=moment, finish_time=moment)
        return forgotten + tx.execute(failed).rowcount

    @writing
    def delete_jobs_of_owner(self, tx: Connection, user: str) -> int:
        return tx.execute(delete(jobs).where(named(jobs.c.owner, user), not_(_live))).rowcount


def complete(tx: Connection, job_id: str) -> None:
    """Raises `Cancelled` if its cancellation was asked for, `Conflict` if it has ended or been forgotten."""
    moment = now()
    willing = and_(named(jobs.c.id, job_id), not_(jobs.c.cancel_requested))
    done = _change(willing, status=JobStatus.COMPLETED.value, update_time=moment, finish_time=moment)
    if tx.execute(done).rowcount:
        return
    row = _row(tx, job_id)
    if row is not None and row["cancel_requested"]:
        raise Cancelled("The request was cancelled")
    raise Conflict("The request has already ended")


def _change(where: ColumnElement[bool], **values: object) -> Update:
    new = checked(jobs, **{"update_time": now(), **values})
    return update(jobs).where(where, _live).values(new)


def _finish(tx: Connection, where: ColumnElement[bool], status: JobStatus) -> JobStatus:
    moment = now()
    tx.execute(_change(where, status=status.value, update_time=moment, finish_time=moment))
    return status


def new_row(job_id: str, kind: str, caller: Caller) -> dict[str, object]:
    moment = now()
    return checked(
        jobs,
        id=job_id,
        kind=kind,
        owner=caller.user,
        address=caller.address,
        status=JobStatus.PROCESSING.value,
        stage="",
        cancel_requested=False,
        create_time=moment,
        update_time=moment,
    )


def _own(caller: Caller) -> ColumnElement[bool]:
    if caller.user is not None:
        return named(jobs.c.owner, caller.user)
    return and_(jobs.c.owner.is_(None), named(jobs.c.address, caller.address))


def _row(tx: Connection, job_id: str, lock: bool = False) -> RowMapping | None:
    statement = select(jobs).where(named(jobs.c.id, job_id))
    return tx.execute(statement.with_for_update() if lock else statement).mappings().first()


def _found(tx: Connection, job_id: str) -> Job:
    return _to_job(tx.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one())


def _to_job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        owner=row["owner"],
        address=row["address"],
        status=JobStatus(row["status"]),
        stage=row["stage"],
        cancel_requested=bool(row["cancel_requested"]),
        created=aware(row["create_time"]),
        updated=aware(row["update_time"]),
        finished=aware(row["finish_time"]) if row["finish_time"] else None,
    )
