"""Catalogues to test: the fake, SQLite, and MySQL or MariaDB where there is one."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lookalike.adapters.catalog import SqlCatalog, open_catalog, upgrade
from lookalike.adapters.catalog.tables import metadata
from lookalike.domain.ports import Catalog
from tests.contracts.databases import KINDS, fresh_database
from tests.contracts.rows import World
from tests.fakes.catalog import FakeCatalog


@pytest.fixture(scope="session", params=["fake", *KINDS])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """An address whose tables are made once; none for the fake."""
    if request.param == "fake":
        yield None
        return
    with fresh_database(request.param, tmp_path_factory.mktemp("template")) as url:
        upgrade(url)
        yield url


@pytest.fixture
def world(template: str | None, tmp_path: Path) -> Iterator[World]:
    if template is None:
        fake = FakeCatalog()
        yield World(fake, lambda: fake)
        return
    url = clean(template, tmp_path)
    with ExitStack() as stack:

        def open_one() -> SqlCatalog:
            return stack.enter_context(closing(open_catalog(url, pool_size=12)))

        yield World(open_one(), open_one, url)


def clean(template: str, folder: Path) -> str:
    if template.startswith("sqlite"):
        shutil.copy(template.removeprefix("sqlite:///"), folder / "copy.db")
        return f"sqlite:///{folder / 'copy.db'}"
    with closing(open_catalog(template)) as catalogue, catalogue.transaction(writes=True) as tx:
        for table in metadata.sorted_tables:
            if table.name != "commits":
                tx.execute(table.delete())
        tx.execute(metadata.tables["commits"].update().values(number=0))
    return template


@pytest.fixture
def catalogue(world: World) -> Catalog:
    return world.catalogue


@pytest.fixture
def sql(world: World) -> SqlCatalog:
    if not isinstance(world.catalogue, SqlCatalog):
        pytest.skip("only where there is a database")
    return world.catalogue


@pytest.fixture
def mysql(sql: SqlCatalog) -> SqlCatalog:
    if sql.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    return sql
