"""Decisions about duplicates of single rows. Apart from `duplicates`, whose imports lead back to `segments`."""

from sqlalchemy import ColumnElement, Connection, delete, or_

from lookalike.adapters.catalog.tables import duplicate_decisions


def is_about(row_id: int) -> ColumnElement[bool]:
    """Match decisions about a row."""
    return or_(duplicate_decisions.c.first_id == row_id, duplicate_decisions.c.second_id == row_id)


def delete_decisions_of_row(tx: Connection, row_id: int) -> None:
    """Delete the decisions about a row."""
    tx.execute(delete(duplicate_decisions).where(is_about(row_id)))
