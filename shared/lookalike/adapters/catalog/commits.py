"""Commit numbers: taken under the lock of one row, held until the commit, so they become visible in order."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from lookalike.adapters.catalog.tables import commits, deleted_images, splitted_images


def number_rows(tx: Connection, row_ids: Sequence[int]) -> None:
    """Give the rows this transaction's number. Nothing but the commit comes after."""
    if row_ids:
        rows = splitted_images.c.id.in_(row_ids)
        tx.execute(update(splitted_images).where(rows).values(commit_number=take_number(tx)))


def bury(tx: Connection, row_id: int, embedder: str | None) -> None:
    """Record under this transaction's number that the row is gone; none: for every embedder. Nothing but the commit comes after."""
    tx.execute(insert(deleted_images).values(row_id=row_id, embedder=embedder, commit_number=take_number(tx)))


def take_number(tx: Connection) -> int:
    """This transaction's. Nothing but what is written under it and the commit comes after."""
    # others wait here until we have committed
    tx.execute(update(commits).values(number=commits.c.number + 1))
    number: int = tx.execute(select(commits.c.number)).scalar_one()
    return number
