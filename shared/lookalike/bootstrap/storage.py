"""Build the catalog (SQL database) and object stores (buckets) that the settings name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.bootstrap.secrets import Secrets
from lookalike.domain.cdn import parse_cdn_key
from lookalike.domain.ports import ObjectStore
from lookalike.settings import Settings

if TYPE_CHECKING:
    from lookalike.adapters.catalog import SqlCatalog
    from lookalike.adapters.catalog.database import ConnectionFactory
    from lookalike.adapters.cloud_store import CdnLinks

POOL_SIZE = 5
"""Connections that each process keeps open to a database server. The adapter may open a few more under load."""


def open_catalog(settings: Settings) -> "SqlCatalog":
    """Open the database. A local SQLite file is created and migrated; a server must have been migrated before."""
    from lookalike.adapters import catalog

    if settings.database.startswith("sqlite"):
        upgrade_database(settings)
        # a file has no connection limit, so each request thread may keep its own connection
        return catalog.open_catalog(settings.database, pool_size=settings.concurrency)
    return catalog.open_catalog(settings.database, POOL_SIZE, _cloud_sql_creator(settings))


def upgrade_database(settings: Settings) -> None:
    """Create the tables or migrate them to the newest revision."""
    from lookalike.adapters.catalog import upgrade

    upgrade(settings.database, creator=_cloud_sql_creator(settings))


def _cloud_sql_creator(settings: Settings) -> "ConnectionFactory | None":
    """Return a function that opens connections through Google's connector, or `None` without CLOUD_SQL_INSTANCE."""
    if not settings.cloud_sql_instance:
        return None
    from lookalike.adapters.catalog.cloud_sql import CloudSql

    password = settings.db_password.get_secret_value()
    return CloudSql(settings.cloud_sql_instance, settings.db_user, password, settings.db_name).connect


def open_store(settings: Settings, secrets: Callable[[], Secrets], address: str) -> ObjectStore:
    """Open the bucket at `address`: `gs://bucket/prefix`, or `file:folder` for a local directory.

    Only a directory needs `secrets`, which are files in LOOKALIKE_HOME. A container in the cloud cannot write there.
    """
    scheme, _, location = address.partition(":")
    if scheme == "gs":
        from lookalike.adapters.cloud_store import CloudStore

        bucket, _, prefix = location.removeprefix("//").partition("/")
        return CloudStore(
            bucket, prefix, *_emulator_options(settings), thumbnail_links=_thumbnail_links(settings, address)
        )
    from lookalike.adapters.directory_store import DirectoryStore

    url_base = f"http://localhost:{settings.port}/bucket"
    return DirectoryStore(Path(location), url_base, bytes.fromhex(secrets().urls))


def _thumbnail_links(settings: Settings, address: str) -> "CdnLinks | None":
    """Return what signs links through Cloud CDN, which serves thumbnails of the bucket of STORE_URL only."""
    if not settings.cdn_url or address != settings.store:
        return None
    from lookalike.adapters.cloud_store import CdnLinks

    return CdnLinks(settings.cdn_url, parse_cdn_key(settings.cdn_key.get_secret_value()))


def _emulator_options(settings: Settings) -> tuple[Any, ...]:
    """Return endpoint and credentials of a storage emulator; empty for Cloud Storage itself."""
    if not settings.storage_emulator_host:
        return ()
    from google.auth.credentials import AnonymousCredentials

    return settings.storage_emulator_host, AnonymousCredentials()
