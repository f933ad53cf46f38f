"""The catalogue in SQL: SQLite in a file, or MySQL and MariaDB through PyMySQL. The address decides."""

from sqlalchemy import Connection, text

from lookalike.adapters.catalog.attempts import AttemptRows
from lookalike.adapters.catalog.changes import ChangeRows
from lookalike.adapters.catalog.database import OUTDATED, Creator, reading
from lookalike.adapters.catalog.details import DetailRows
from lookalike.adapters.catalog.history import HistoryRows
from lookalike.adapters.catalog.jobs import JobRows
from lookalike.adapters.catalog.matching import MatchingRows
from lookalike.adapters.catalog.old_rows import LegacyRowTable
from lookalike.adapters.catalog.reembedding import SecondaryVectorRows
from lookalike.adapters.catalog.segments import SegmentRows
from lookalike.adapters.catalog.tables import REVISION, VERSION_TABLE
from lookalike.domain.errors import Unavailable

__all__ = ["SqlCatalog", "downgrade", "open_catalog", "upgrade"]


class SqlCatalog(
    SegmentRows,
    ChangeRows,
    SecondaryVectorRows,
    DetailRows,
    MatchingRows,
    JobRows,
    LegacyRowTable,
    AttemptRows,
    HistoryRows,
):
    """The ports `Catalogue`, `OldRows`, `Beside`, `Attempts` and `History`. Safe to use from several threads; connects when first used."""

    @reading
    def ping(self, tx: Connection) -> None:
        found = tx.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
        if found != [REVISION]:
            raise Unavailable(OUTDATED)


def open_catalog(url: str, pool_size: int = 5, creator: Creator | None = None) -> SqlCatalog:
    """Raises `Misconfigured` for an address of something else."""
    return SqlCatalog(url, pool_size, creator)


def upgrade(url: str, revision: str = "head", creator: Creator | None = None) -> None:
    """Make the tables, or bring them up to date. Raises `Unavailable` where the database is away."""
    from lookalike.adapters.catalog import schema

    schema.upgrade(url, revision, creator)


def downgrade(url: str, revision: str = "base") -> None:
    """Back to the original's two tables and their rows."""
    from lookalike.adapters.catalog import schema

    schema.downgrade(url, revision)
