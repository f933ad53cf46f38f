"""Fresh databases for tests: SQLite files, and schemas of the MySQL or MariaDB server at `TEST_MYSQL_URL`."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

KINDS = ("sqlite", "mysql")


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database, gone afterwards. Skips where there is no server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'lookalike.db'}"
        return
    if "TEST_MYSQL_URL" not in os.environ:
        pytest.skip("TEST_MYSQL_URL names no MySQL or MariaDB server")
    server = make_url(os.environ["TEST_MYSQL_URL"])
    name = f"lookalike_test_{uuid.uuid4().hex[:8]}"
    execute(server.render_as_string(False), f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(False)
    finally:
        execute(server.render_as_string(False), f"DROP DATABASE {name}")


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
