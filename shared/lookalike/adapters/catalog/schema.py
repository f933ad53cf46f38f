"""Schema migrations with Alembic, for new databases, older versions and databases of the original system."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from lookalike.adapters.catalog.database import ConnectionFactory, Database, is_sqlite, parse_url
from lookalike.adapters.catalog.details_words import index_outdated_details
from lookalike.adapters.catalog.tables import REVISION, VERSION_TABLE, details_words
from lookalike.domain.errors import Unavailable

LOCK_NAME = "lookalike db upgrade"
LOCK_SECONDS = 60
"""Time to wait for another migration."""


def upgrade(url: str, revision: str = "head", creator: ConnectionFactory | None = None) -> None:
    """Create the tables or migrate them to `revision`, and index product details that other programs wrote.

    Does not change tables that a newer version of lookalike has migrated. Raises `Unavailable`.
    """
    parsed = parse_url(url)
    if is_sqlite(parsed) and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    _migrate(url, lambda config: _upgrade(config, revision), creator)


def _upgrade(config: Config, revision: str) -> None:
    context = MigrationContext.configure(config.attributes["connection"], opts={"version_table": VERSION_TABLE})
    # Alembic fails for a revision that it does not know.
    if (context.get_current_revision() or "") <= REVISION:
        command.upgrade(config, revision)


def downgrade(url: str, revision: str = "base") -> None:
    """Migrate back to `revision`. `base` leaves the original system's two tables and the rows they can hold."""
    _migrate(url, lambda config: command.downgrade(config, revision))


def _migrate(url: str, run: Callable[[Config], None], creator: ConnectionFactory | None = None) -> None:
    config = Config()
    # Alembic's options use % for interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with closing(Database(url, pool_size=2, creator=creator)) as database, _migration_lock(database):
        with database.transaction(writes=True) as tx:
            config.attributes["connection"] = tx
            run(config)
            if inspect(tx).has_table(details_words.name):
                index_outdated_details(tx)


@contextmanager
def _migration_lock(database: Database) -> Iterator[None]:
    """Exclude concurrent migrations of the same database. Raises `Unavailable` if another one is running.

    MySQL commits DDL statements implicitly, so a transaction does not exclude them. SQLite's write lock does.
    """
    if database.engine.dialect.name == "sqlite":
        yield
        return
    # GET_LOCK belongs to a session. A second connection holds it beyond the commit of the migration's own connection.
    with database.transaction() as holder:
        if not holder.exec_driver_sql(f"SELECT GET_LOCK('{LOCK_NAME}', {LOCK_SECONDS})").scalar():
            raise Unavailable("Another migration of this database is running: try again when it has finished")
        try:
            yield
        finally:
            holder.exec_driver_sql(f"SELECT RELEASE_LOCK('{LOCK_NAME}')")
