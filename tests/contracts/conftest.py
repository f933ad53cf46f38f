"""Fixtures of the catalog contract: the fake, SQLite, and MySQL or MariaDB if available."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lookalike.adapters.catalog import SqlCatalog, open_catalog, upgrade
from lookalike.adapters.catalog.tables import metadata
from lookalike.domain.ports import Catalog
from tests.contracts.databases import DATABASE_KINDS, temporary_database
from tests.contracts.rows import World
from tests.fakes.catalog import FakeCatalog


@pytest.fixture(scope="session", params=["fake", *DATABASE_KINDS])
def template_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The URL of a database whose tables are created once per run, or `None` for the fake."""
    if request.param == "fake":
        yield None
        return
    with temporary_database(request.param, tmp_path_factory.mktemp("template")) as url:
        upgrade(url)
        yield url


@pytest.fixture
def world(template_url: str | None, tmp_path: Path) -> Iterator[World]:
    """An empty catalog."""
    if template_url is None:
        fake = FakeCatalog()
        yield World(fake, lambda: fake)
        return
    url = reset_database(template_url, tmp_path)
    with ExitStack() as stack:

        def open_another() -> SqlCatalog:
            return stack.enter_context(closing(open_catalog(url, pool_size=12)))

        yield World(open_another(), open_another, url)


def reset_database(template_url: str, folder: Path) -> str:
    """Return the URL of an empty database: a copy of the SQLite file, or the MySQL database with its rows deleted."""
    if template_url.startswith("sqlite"):
        shutil.copy(template_url.removeprefix("sqlite:///"), folder / "copy.db")
        return f"sqlite:///{folder / 'copy.db'}"
    with closing(open_catalog(template_url)) as catalog, catalog.transaction(writes=True) as tx:
        for table in metadata.sorted_tables:
            if table.name != "commits":
                tx.execute(table.delete())
        tx.execute(metadata.tables["commits"].update().values(number=0))
    return template_url


@pytest.fixture
def catalog(world: World) -> Catalog:
    return world.catalog


@pytest.fixture
def sql(world: World) -> SqlCatalog:
    """The catalog, if it is not the fake."""
    if not isinstance(world.catalog, SqlCatalog):
        pytest.skip("applies to SQL databases only")
    return world.catalog


@pytest.fixture
def mysql(sql: SqlCatalog) -> SqlCatalog:
    """The catalog, if it is on MySQL."""
    if sql.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    return sql
