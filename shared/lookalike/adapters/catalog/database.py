"""Database engine, transactions, retries and the translation of database errors to domain errors."""

import functools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy.exc as sa_errors
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url

from lookalike.domain.errors import Conflict, Misconfigured, Unavailable

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="Database")

OUTDATED_MESSAGE = "The database tables are missing or have another version: run `lookalike db upgrade`"
MAX_ATTEMPTS = 4
"""Tries of a write transaction that is rolled back by a deadlock."""
MAX_WAL_ATTEMPTS = 100
"""Tries, 0.05 s apart, to switch a SQLite file to WAL."""
MAX_OVERFLOW = 2
"""Connections to MySQL above the pool size."""
MYSQL_CONNECT_ARGS: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "write_timeout": 30,
    "init_command": "SET time_zone = '+00:00'",
}
"""PyMySQL options of every connection; timeouts in seconds. CURRENT_TIMESTAMP must give UTC."""
ConnectionFactory = Callable[[], Any]
"""Opens a DBAPI connection."""


class SerializationFailure(Unavailable):
    """MySQL rolled the transaction back because of a concurrent one. It can be retried."""


class LostConnection(Unavailable):
    """The connection broke inside a transaction. Reads can be retried; it is unknown whether writes were committed."""


class Database:
    """Lazily created engine of one database. The engine is created on first use, and so after a fork of the host."""

    def __init__(self, url: str, pool_size: int = 5, creator: ConnectionFactory | None = None) -> None:
        self._url, self._pool_size, self._creator = parse_url(url), pool_size, creator
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine with its connection pool."""
        with self._lock:
            if self._engine is None:
                self._engine = build_engine(self._url, self._pool_size, self._creator)
            return self._engine

    @contextmanager
    def transaction(self, writes: bool = False) -> Iterator[Connection]:
        """Open a transaction, committed at the end of the context. It may write only with `writes`.

        Raises `Unavailable` or `Conflict` in place of database errors.
        """
        with translate_errors(), self.engine.connect().execution_options(writes=writes) as tx, tx.begin():
            yield tx

    def close(self) -> None:
        """Close the pooled connections. The next call opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def read_transaction(method: Callable[Concatenate[D, Connection, P], T]) -> Callable[Concatenate[D, P], T]:
    """Run the method in a read transaction on one snapshot. Retries once if the connection is lost."""

    @functools.wraps(method)
    def run(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self.transaction() as tx:
                return method(self, tx, *args, **kwargs)
        except LostConnection:
            with self.transaction() as tx:
                return method(self, tx, *args, **kwargs)

    return run


def write_transaction(method: Callable[Concatenate[D, Connection, P], T]) -> Callable[Concatenate[D, P], T]:
    """Run the method in a write transaction. Retries it after a deadlock, up to `MAX_ATTEMPTS` tries."""

    @functools.wraps(method)
    def run(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                with self.transaction(writes=True) as tx:
                    return method(self, tx, *args, **kwargs)
            except SerializationFailure:
                if attempt == MAX_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    return run


@contextmanager
def translate_errors(conflict: str = "An entry with this name exists already") -> Iterator[None]:
    """Raise domain errors in place of SQLAlchemy's. `conflict` is the message for a violated unique constraint."""
    try:
        yield
    except sa_errors.IntegrityError as error:
        raise Conflict(conflict) from error
    except sa_errors.TimeoutError as error:
        raise Unavailable("The database is busy: no connection became free in time. Try again later") from error
    except sa_errors.DBAPIError as error:
        translated = _translate(error)
        if translated is None:
            raise
        raise translated from error


def _translate(error: sa_errors.DBAPIError) -> Unavailable | None:
    """Return the domain error, or `None` for a programming error of this code."""
    code = error.orig.args[0] if error.orig and error.orig.args else None
    # MySQL 1054: unknown column. 1146: no such table.
    if code in (1054, 1146) or str(code).startswith(("no such table", "no such column")):
        return Unavailable(OUTDATED_MESSAGE)
    # MariaDB 1020: the row has changed since the snapshot. MySQL 1213: deadlock.
    if code in (1020, 1213):
        return SerializationFailure("The database is busy: the transaction conflicts with others")
    if isinstance(error, sa_errors.DataError | sa_errors.ProgrammingError | sa_errors.NotSupportedError):
        return None
    if error.connection_invalidated:
        return LostConnection("The connection to the database was lost")
    return Unavailable("The database cannot be reached")


def parse_url(url: str) -> URL:
    """Parse a database URL. Raises `Misconfigured` without quoting the URL, which may contain a password."""
    try:
        parsed = make_url(url)
    except (sa_errors.ArgumentError, ValueError):
        raise Misconfigured(
            "The database URL is not valid: use sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "mysql+pymysql", "mariadb+pymysql"):
        raise Misconfigured("The database URL must start with sqlite:/// or mysql+pymysql://")
    # A database in memory would exist once per connection of the pool.
    if is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise Misconfigured("The SQLite URL must name a file, as in sqlite:////var/lib/lookalike.db")
    return parsed


def is_sqlite(url: URL) -> bool:
    """Return whether the URL is of a SQLite database."""
    return url.get_backend_name() == "sqlite"


def build_engine(url: URL, pool_size: int = 5, creator: ConnectionFactory | None = None) -> Engine:
    """Return an engine with a connection pool. A MySQL pool grows to `pool_size + MAX_OVERFLOW` connections.

    `creator` opens the connections where the URL is not enough.
    """
    options = _sqlite_options(pool_size) if is_sqlite(url) else _mysql_options(pool_size)
    if creator:
        options["creator"] = creator
    # hide_parameters keeps stored values out of error messages and logs.
    engine = create_engine(url, poolclass=QueuePool, hide_parameters=True, **options)
    if is_sqlite(url):
        event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite if is_sqlite(url) else _begin_mysql)
    return engine


def _sqlite_options(pool_size: int) -> dict[str, Any]:
    # isolation_level None: `_begin_sqlite` sends BEGIN. The driver itself sends it only before the first write, so that
    # the reads of a transaction would not share a snapshot.
    connect_args = {"timeout": 15, "isolation_level": None, "check_same_thread": False}
    return {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 10, "connect_args": connect_args}


def _mysql_options(pool_size: int) -> dict[str, Any]:
    return {
        "isolation_level": "REPEATABLE READ",
        "pool_size": pool_size,
        "max_overflow": MAX_OVERFLOW,
        "pool_timeout": 30,
        "pool_pre_ping": True,
        "pool_recycle": 1800,
        "connect_args": MYSQL_CONNECT_ARGS,
    }


def _configure_sqlite(connection: Any, _record: object) -> None:
    _enable_wal(connection)
    # FULL syncs the WAL at every commit. With NORMAL a power failure can undo the last commits.
    connection.execute("PRAGMA synchronous = FULL")


def _enable_wal(connection: Any) -> None:
    """Switch the database file to WAL, where readers do not wait for the writer. The mode is stored in the file."""
    # While another connection switches, SQLite fails at once and ignores the busy timeout. Hence the loop.
    for attempt in range(1, MAX_WAL_ATTEMPTS + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if attempt == MAX_WAL_ATTEMPTS:
                raise
            time.sleep(0.05)


def _begin_sqlite(tx: Connection) -> None:
    # IMMEDIATE takes the write lock at the start and waits for it. A read transaction that writes later fails at once
    # with SQLITE_BUSY, regardless of the timeout, if another connection has written since.
    tx.exec_driver_sql("BEGIN IMMEDIATE" if tx.get_execution_options().get("writes") else "BEGIN")


def _begin_mysql(tx: Connection) -> None:
    # Writers must see rows that were committed while they waited for a lock. Under REPEATABLE READ they would read the
    # old snapshot, and MariaDB 11 (innodb_snapshot_isolation) would fail with error 1020.
    if tx.get_execution_options().get("writes"):
        tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
