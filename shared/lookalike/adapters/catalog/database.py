"""The engine, its transactions, and the one place where the database's errors become ours."""

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

OUTDATED = "The database's tables are missing or of another version: run `lookalike db upgrade`"
ATTEMPTS, WAL_ATTEMPTS = 4, 100
OVERFLOW = 2
CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "write_timeout": 30,
    "init_command": "SET time_zone = '+00:00'",
}
"""Of each connection to MySQL; seconds."""
Creator = Callable[[], Any]


class LostRace(Unavailable):
    """MySQL undid this transaction for the sake of another; it may be tried again."""


class LostConnection(Unavailable):
    """The server went away in mid-transaction: what was read is to be read again, what was written may be committed."""


class Database:
    """Makes its engine when first asked, so that it may cross a fork before."""

    def __init__(self, url: str, pool_size: int = 5, creator: Creator | None = None) -> None:
        self._url, self._pool_size, self._creator = address(url), pool_size, creator
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = build_engine(self._url, self._pool_size, self._creator)
            return self._engine

    @contextmanager
    def transaction(self, writes: bool = False) -> Iterator[Connection]:
        with translated(), self.engine.connect().execution_options(writes=writes) as tx, tx.begin():
            yield tx

    def close(self) -> None:
        """Close the pooled connections; the next call opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def reading(method: Callable[Concatenate[D, Connection, P], T]) -> Callable[Concatenate[D, P], T]:
    """Make the method one transaction that reads one snapshot, tried again on another connection where one was lost."""

    @functools.wraps(method)
    def run(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self.transaction() as tx:
                return method(self, tx, *args, **kwargs)
        except LostConnection:
            with self.transaction() as tx:
                return method(self, tx, *args, **kwargs)

    return run


def writing(method: Callable[Concatenate[D, Connection, P], T]) -> Callable[Concatenate[D, P], T]:
    """Make the method one transaction that writes, tried again where it lost a race."""

    @functools.wraps(method)
    def run(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.transaction(writes=True) as tx:
                    return method(self, tx, *args, **kwargs)
            except LostRace:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    return run


@contextmanager
def translated(conflict: str = "Another thing of that name exists") -> Iterator[None]:
    try:
        yield
    except sa_errors.IntegrityError as error:
        raise Conflict(conflict) from error
    except sa_errors.TimeoutError as error:
        raise Unavailable("The database is busy") from error
    except sa_errors.DBAPIError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: sa_errors.DBAPIError) -> Unavailable | None:
    """None for what is a mistake of ours."""
    code = error.orig.args[0] if error.orig and error.orig.args else None
    if code in (1054, 1146) or str(code).startswith(("no such table", "no such column")):
        return Unavailable(OUTDATED)
    if code in (1020, 1213):
        return LostRace("The database is busy")
    if isinstance(error, sa_errors.DataError | sa_errors.ProgrammingError | sa_errors.NotSupportedError):
        return None
    if error.connection_invalidated:
        return LostConnection("The connection to the database was lost")
    return Unavailable("The database cannot be reached")


def address(url: str) -> URL:
    """Raises `Misconfigured`, without repeating the address: it may hold a password."""
    try:
        parsed = make_url(url)
    except (sa_errors.ArgumentError, ValueError):
        raise Misconfigured("The database's address cannot be read") from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "mysql+pymysql", "mariadb+pymysql"):
        raise Misconfigured("The database's address must start with sqlite:/// or mysql+pymysql://")
    if is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise Misconfigured("The database's address must name a file")
    return parsed


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def build_engine(url: URL, pool_size: int = 5, creator: Creator | None = None) -> Engine:
    """On MySQL the pool has `OVERFLOW` connections more at most; `creator` makes them, where an address is not enough."""
    options = _sqlite_options(pool_size) if is_sqlite(url) else _mysql_options(pool_size)
    made = {"creator": creator} if creator else {}
    engine = create_engine(url, poolclass=QueuePool, hide_parameters=True, **options, **made)
    if is_sqlite(url):
        event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite if is_sqlite(url) else _begin_mysql)
    return engine


def _sqlite_options(pool_size: int) -> dict[str, Any]:
    # isolation_level None leaves BEGIN to us: the driver would begin at the first write only
    connect_args = {"timeout": 15, "isolation_level": None, "check_same_thread": False}
    return {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 10, "connect_args": connect_args}


def _mysql_options(pool_size: int) -> dict[str, Any]:
    return {
        "isolation_level": "REPEATABLE READ",
        "pool_size": pool_size,
        "max_overflow": OVERFLOW,
        "pool_timeout": 30,
        "pool_pre_ping": True,
        "pool_recycle": 1800,
        "connect_args": CONNECTION,
    }


def _prepare_sqlite(connection: Any, _record: object) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _use_wal(connection: Any) -> None:
    """The file's own property. While others use it for the first time SQLite refuses at once, whatever the timeout."""
    for attempt in range(1, WAL_ATTEMPTS + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if attempt == WAL_ATTEMPTS:
                raise
            time.sleep(0.05)


def _begin_sqlite(tx: Connection) -> None:
    # a transaction that turns from reading to writing fails at once, whatever the timeout
    tx.exec_driver_sql("BEGIN IMMEDIATE" if tx.get_execution_options().get("writes") else "BEGIN")


def _begin_mysql(tx: Connection) -> None:
    # writers must see what others have committed meanwhile, and MariaDB 11 refuses them otherwise
    if tx.get_execution_options().get("writes"):
        tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
