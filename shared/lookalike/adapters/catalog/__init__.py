"""Catalog stored in SQL: SQLite files, or MySQL and MariaDB servers through PyMySQL. The URL selects the database."""

from sqlalchemy import Connection, text

from lookalike.adapters.catalog.api_keys import ApiKeyQueries
from lookalike.adapters.catalog.attempts import AttemptQueries
from lookalike.adapters.catalog.browse import BrowseQueries
from lookalike.adapters.catalog.changes import ChangeQueries
from lookalike.adapters.catalog.database import OUTDATED_MESSAGE, ConnectionFactory, read_transaction
from lookalike.adapters.catalog.details import DetailQueries
from lookalike.adapters.catalog.details_words import FullTextQueries
from lookalike.adapters.catalog.duplicates import DuplicateQueries
from lookalike.adapters.catalog.facets import FacetQueries
from lookalike.adapters.catalog.feed_lines import FeedLineQueries
from lookalike.adapters.catalog.history import HistoryQueries
from lookalike.adapters.catalog.job_statistics import JobStatisticQueries
from lookalike.adapters.catalog.jobs import JobQueries
from lookalike.adapters.catalog.ledger import LedgerQueries
from lookalike.adapters.catalog.legacy_rows import LegacyRowQueries
from lookalike.adapters.catalog.matching import MatchingQueries
from lookalike.adapters.catalog.originals import OriginalQueries
from lookalike.adapters.catalog.product_edits import ProductEditQueries
from lookalike.adapters.catalog.products import ProductQueries
from lookalike.adapters.catalog.revocations import RevocationQueries
from lookalike.adapters.catalog.secondary_vectors import SecondaryVectorQueries
from lookalike.adapters.catalog.segments import SegmentQueries
from lookalike.adapters.catalog.tables import REVISION, VERSION_TABLE
from lookalike.adapters.catalog.transfer import TransferQueries
from lookalike.domain.errors import Unavailable

__all__ = ["SqlCatalog", "downgrade", "open_catalog", "upgrade"]


class SqlCatalog(
    SegmentQueries,
    ChangeQueries,
    SecondaryVectorQueries,
    DetailQueries,
    FullTextQueries,
    FacetQueries,
    LedgerQueries,
    MatchingQueries,
    OriginalQueries,
    ProductQueries,
    ProductEditQueries,
    FeedLineQueries,
    BrowseQueries,
    JobQueries,
    JobStatisticQueries,
    LegacyRowQueries,
    AttemptQueries,
    RevocationQueries,
    DuplicateQueries,
    ApiKeyQueries,
    HistoryQueries,
    TransferQueries,
):
    """SQL implementation of the ports `Catalog`, `LegacyRows`, `SecondaryVectors`, `Attempts`, `Revocations`,
    `ApiKeyStore`, `Products`, `BrowseCatalog`, `CatalogTransfer`, `Originals` and `History`.

    Thread-safe. Connects on the first call, not in the constructor.
    """

    @read_transaction
    def ping(self, tx: Connection) -> None:
        """Check that the database answers and has the current tables, or newer ones. Raises `Unavailable`.

        A release migrates the tables while the version before serves. Migrations keep what that version needs.
        """
        versions = tx.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
        if len(versions) != 1 or versions[0] < REVISION:
            raise Unavailable(OUTDATED_MESSAGE)


def open_catalog(url: str, pool_size: int = 5, creator: ConnectionFactory | None = None) -> SqlCatalog:
    """Return the catalog at a database URL. Raises `Misconfigured` for an unsupported URL.

    `creator` opens connections where a URL is not enough, as for Cloud SQL.
    """
    return SqlCatalog(url, pool_size, creator)


def upgrade(url: str, revision: str = "head", creator: ConnectionFactory | None = None) -> None:
    """Create the tables or migrate them to `revision`. Raises `Unavailable` if the database cannot be reached."""
    # Alembic takes long to import and is needed by migrations only.
    from lookalike.adapters.catalog import schema

    schema.upgrade(url, revision, creator)


def downgrade(url: str, revision: str = "base") -> None:
    """Migrate the tables back to `revision`. `base` leaves the two tables of the original system."""
    from lookalike.adapters.catalog import schema

    schema.downgrade(url, revision)
