"""Insertion of rows that may exist already, in the syntax of each database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, sqlite


def upsert(tx: Connection, table: Table, rows: Sequence[Mapping[str, object]], key: str | None = None) -> None:
    """Insert rows or replace those with the same primary key, or with the same value of the unique column `key`.

    `create_time` of a replaced row is kept.
    """
    keys = [column.name for column in table.primary_key] if key is None else [key]
    replaced = [name for name in rows[0] if name not in {*keys, "create_time"}]
    statement: Any
    if tx.dialect.name == "sqlite":
        statement = sqlite.insert(table)
        statement = statement.on_conflict_do_update(keys, set_={name: statement.excluded[name] for name in replaced})
    else:
        statement = mysql.insert(table)
        statement = statement.on_duplicate_key_update({name: statement.inserted[name] for name in replaced})
    tx.execute(statement, rows)
