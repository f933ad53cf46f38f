"""The catalogue in SQL: SQLite in a file, or MySQL and MariaDB through PyMySQL. The address decides."""

from sqlalchemy import Connection, text

from lookalike.adapters.catalogue.attempts import AttemptRows
from lookalike.adapters.catalogue.changes import ChangeRows
from lookalike.adapters.catalogue.database import OUTDATED, Creator, reading
from lookalike.adapters.catalogue.details import DetailRows
from lookalike.adapters.catalogue.history import HistoryRows
from lookalike.adapters.catalogue.jobs import JobRows
from lookalike.adapters.catalogue.matching import MatchingRows
from lookalike.adapters.catalogue.old_rows import OldRowTable
from lookalike.adapters.catalogue.reembedding import OtherVectors
from lookalike.adapters.catalogue.segments import SegmentRows
from lookalike.adapters.catalogue.tables import REVISION, VERSION_TABLE
from lookalike.domain.errors import Unavailable

__all__ = ["SqlCatalogue", "downgrade", "open_catalogue", "upgrade"]


class SqlCatalogue(
    SegmentRows, ChangeRows, OtherVectors, DetailRows, MatchingRows, JobRows, OldRowTable, AttemptRows, HistoryRows
):
    """The ports `Catalogue`, `OldRows`, `Beside`, `Attempts` and `History`. Safe to use from several threads; connects when first used."""

    @reading
    def ping(self, tx: Connection) -> None:
        found = tx.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
        if found != [REVISION]:
            raise Unavailable(OUTDATED)


def open_catalogue(url: str, pool_size: int = 5, creator: Creator | None = None) -> SqlCatalogue:
    """Raises `Misconfigured` for an address of something else."""
    return SqlCatalogue(url, pool_size, creator)


def upgrade(url: str, revision: str = "head", creator: Creator | None = None) -> None:
    """Make the tables, or bring them up to date. Raises `Unavailable` where the database is away."""
    from lookalike.adapters.catalogue import schema

    schema.upgrade(url, revision, creator)


def downgrade(url: str, revision: str = "base") -> None:
    """Back to the original's two tables and their rows."""
    from lookalike.adapters.catalogue import schema

    schema.downgrade(url, revision)
