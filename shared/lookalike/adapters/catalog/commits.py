"""Commit numbers. They increase in the order in which transactions become visible.

A transaction takes its number by updating the only row of `commits`. The row lock is held until the commit, so a higher
number can never become visible before a lower one. To hold it only briefly, take the number last in the transaction.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from lookalike.adapters.catalog.tables import commits, deleted_images, splitted_images
from lookalike.adapters.catalog.upsert import upsert


def assign_commit_number(tx: Connection, row_ids: Sequence[int]) -> None:
    """Set the commit number of the rows. Call it last in the transaction."""
    if row_ids:
        is_given = splitted_images.c.id.in_(row_ids)
        tx.execute(update(splitted_images).where(is_given).values(commit_number=next_commit_number(tx)))


def insert_tombstone(tx: Connection, row_id: int, embedder: str | None) -> None:
    """Record that a row was deleted, for one embedder or for all (`None`). Call it last in the transaction.

    The row has a tombstone already if its image was replaced. As indexes of other embedders may not have read that one
    yet, the new one is then for all embedders.
    """
    is_known = tx.execute(select(deleted_images.c.row_id).where(deleted_images.c.row_id == row_id)).first() is not None
    number = next_commit_number(tx)
    embedder = None if is_known else embedder
    upsert(tx, deleted_images, [{"row_id": row_id, "embedder": embedder, "commit_number": number}])


def next_commit_number(tx: Connection) -> int:
    """Take the next commit number and lock the counter until the commit. Call it last in the transaction."""
    # UPDATE before SELECT: the update takes the row lock. Other writers wait here until this transaction commits.
    tx.execute(update(commits).values(number=commits.c.number + 1))
    return select_last_commit(tx)


def select_last_commit(tx: Connection) -> int:
    """Return the number of the last commit that the transaction sees."""
    number: int = tx.execute(select(commits.c.number)).scalar_one()
    return number
