"""Makes the tables, and brings those of the original or of an older version up to date."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config

from lookalike.adapters.catalog.database import Creator, Database, address, is_sqlite
from lookalike.domain.errors import Unavailable

LOCK = "lookalike db upgrade"


def upgrade(url: str, revision: str = "head", creator: Creator | None = None) -> None:
    """Raises `Unavailable` where the database is away."""
    _make_folder(url)
    _migrate(url, lambda config: command.upgrade(config, revision), creator)


def downgrade(url: str, revision: str = "base") -> None:
    """Back to the original's two tables and their rows, as far as its schema can hold them."""
    _migrate(url, lambda config: command.downgrade(config, revision))


def _migrate(url: str, run: Callable[[Config], None], creator: Creator | None = None) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with closing(Database(url, pool_size=2, creator=creator)) as database, _alone(database):
        with database.transaction(writes=True) as tx:
            config.attributes["connection"] = tx
            run(config)


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep a second migration out until this one is committed: on MySQL most of its statements commit by themselves.

    The lock is another connection's, since it must outlast the transaction. SQLite locks anyway.
    """
    if database.engine.dialect.name == "sqlite":
        yield
        return
    with database.transaction() as holder:
        if not holder.exec_driver_sql(f"SELECT GET_LOCK('{LOCK}', 60)").scalar():
            raise Unavailable("Another migration of this database is running")
        try:
            yield
        finally:
            holder.exec_driver_sql(f"SELECT RELEASE_LOCK('{LOCK}')")


def _make_folder(url: str) -> None:
    parsed = address(url)
    if is_sqlite(parsed) and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
