"""Migrations of empty, original and older databases, up and down without loss."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import lookalike.adapters.catalog
from lookalike.adapters.catalog import downgrade, open_catalog, upgrade
from lookalike.adapters.catalog.tables import REVISION, VERSION_TABLE, metadata
from lookalike.domain.errors import Unavailable
from lookalike.domain.ledger import LedgerSelection
from lookalike.domain.model import Box, NewSegment, Photo, ProductDetails
from tests.contracts.databases import DATABASE_KINDS, execute, temporary_database

ORIGINAL_IMAGES_TABLE = """CREATE TABLE splitted_images (
id {id},
splitted_image_id varchar(255) not null,
splitted_image_path varchar(255) not null,
original_image_id varchar(255) not null,
bounding_box text null,
create_time datetime default CURRENT_TIMESTAMP null,
update_time datetime default CURRENT_TIMESTAMP null {on_update},
vector json null,
splitted_image_data {blob} null,
constraint splitted_image_id unique (splitted_image_id)
)"""
ORIGINAL_DETAILS_TABLE = """CREATE TABLE image_details (
image_id varchar(255) primary key {not_null},
store_name varchar(255) null,
brand varchar(255) null,
product_name varchar(255) null,
store_description text null,
url varchar(255) null,
rating float null,
tags json null,
sale_status varchar(50) null,
size json null,
waist_type varchar(50) null,
listing_season varchar(50) null,
season varchar(50) null,
create_time datetime default CURRENT_TIMESTAMP null,
update_time datetime default CURRENT_TIMESTAMP null {on_update}
)"""
INDEX = "CREATE INDEX fk_original_image ON splitted_images (original_image_id)"
MYSQL_TYPES = {
    "id": "int auto_increment primary key",
    "on_update": "on update CURRENT_TIMESTAMP",
    "blob": "longblob",
    "not_null": "",
}
SQLITE_TYPES = {"id": "integer not null primary key", "on_update": "", "blob": "blob", "not_null": "not null"}
ROWS = (
    "INSERT INTO splitted_images VALUES (3, '01_segment_0', '01/segment_0.png', '01', '[1, 2, 3, 4]',"
    " '2024-05-06 07:08:09', '2024-05-06 07:08:10', '[0.5, 0.25]', 'png')",
    "INSERT INTO splitted_images VALUES (7, '01_segment_1', '01/segment_1.png', '01', 'somewhere',"
    " NULL, NULL, NULL, NULL)",
    "INSERT INTO image_details (image_id, brand, rating, tags, size, create_time) VALUES"
    " ('01', 'Brand', 4.5, '[\"casual\"]', '[\"S\", \"M\"]', '2024-05-06 07:08:09')",
)


@pytest.fixture(params=DATABASE_KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with temporary_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=[*DATABASE_KINDS, "sqlite with autoincrement"])
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of the original system, with rows."""
    kind, _, autoincrement = request.param.partition(" with ")
    with temporary_database(kind, tmp_path) as url:
        types = MYSQL_TYPES if kind == "mysql" else {**SQLITE_TYPES, "id": f"{SQLITE_TYPES['id']} {autoincrement}"}
        tables = ORIGINAL_IMAGES_TABLE.format_map(types), INDEX, ORIGINAL_DETAILS_TABLE.format_map(types)
        execute(url, *tables, *ROWS)
        yield url


def read_schema(url: str) -> dict[str, object]:
    """Return the tables with their columns, indexes and unique constraints."""
    engine = create_engine(url)
    inspector = inspect(engine)
    schema = {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
            sorted(str(index["name"]) for index in inspector.get_indexes(table)),
            [key["name"] for key in inspector.get_unique_constraints(table)],
        )
        for table in inspector.get_table_names()
        if table != VERSION_TABLE
    }
    engine.dispose()
    return dict(schema)


def is_own_object(_object: object, name: str | None, *_: object) -> bool:
    """Whether SQLAlchemy can compare the object: not the full-text index or one of SQLite's tables for it."""
    return not str(name).startswith("details_words_index")


def select_rows(url: str, query: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return rows


def new_segment(name: str) -> NewSegment:
    return NewSegment(name, f"{name}.png", f"{name}.webp", Box(1, 2, 3, 4), "top", 0.5, np.ones(2, np.float32))


NO_TABLES = {"on_originals": "", "on_images": ""}
"""SQLite's DROP INDEX does not name the table."""
FIRST_ROWS = (
    "INSERT INTO originals (name, sha256, width, height, create_time) VALUES"
    " ('look', 'abcd', 30, 40, '2024-05-06 07:08:09')",
    "INSERT INTO splitted_images (id, splitted_image_id, splitted_image_path, original_image_id, bounding_box, label,"
    " score, embedder, embedding, commit_number, update_time) VALUES (5, 'look_segment_0', 'look/segment_0.png',"
    " 'look', '[1, 2, 3, 4]', 'dress', 0.5, 'compact-1', X'0000803F', 3, '2024-05-06 07:08:10')",
    "UPDATE commits SET number = 3",
)
"""Statements that fill a database of revision 0001."""

SELECT_ORIGINAL_COLUMNS = (
    "SELECT id, splitted_image_id, splitted_image_path, original_image_id, bounding_box,"
    " create_time, update_time, vector, splitted_image_data FROM splitted_images ORDER BY id"
)


def test_revision_is_the_newest_migration() -> None:
    folder = Path(lookalike.adapters.catalog.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


def test_migrations_create_the_defined_tables(url: str) -> None:
    upgrade(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        opts = {"version_table": VERSION_TABLE, "include_object": is_own_object}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_upgraded_original_has_the_same_schema_as_a_new_database(original: str, tmp_path: Path) -> None:
    upgrade(original)
    with temporary_database(original.partition(":")[0].partition("+")[0], tmp_path / "new") as url:
        upgrade(url)
        assert read_schema(original) == read_schema(url)


def test_repeated_upgrade_changes_nothing(url: str) -> None:
    upgrade(url)
    before = read_schema(url)
    upgrade(url)
    assert read_schema(url) == before
    assert select_rows(url, "SELECT number FROM commits") == [(0,)]


def test_tables_of_a_newer_version_are_used_and_not_changed(url: str) -> None:
    """A release migrates the tables while instances of the version before start and serve."""
    upgrade(url)
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{int(REVISION) + 1:04}'")
    before = read_schema(url)
    upgrade(url)
    assert read_schema(url) == before
    with closing(open_catalog(url)) as catalog:
        catalog.ping()


def test_downgrade_leaves_the_two_original_tables(url: str) -> None:
    upgrade(url)
    downgrade(url)
    assert set(read_schema(url)) == {"splitted_images", "image_details"}
    upgrade(url)
    with closing(open_catalog(url)) as catalog:
        catalog.ping()


def test_original_rows_are_kept_by_upgrade_and_downgrade(original: str) -> None:
    before, before_rows = read_schema(original), select_rows(original, SELECT_ORIGINAL_COLUMNS)
    details = select_rows(original, "SELECT * FROM image_details")
    upgrade(original)
    assert select_rows(original, SELECT_ORIGINAL_COLUMNS) == before_rows
    assert select_rows(original, "SELECT embedder, commit_number FROM splitted_images") == [(None, 1)] * 2
    assert select_rows(original, "SELECT number FROM commits") == [(1,)]
    downgrade(original)
    assert read_schema(original) == before
    assert select_rows(original, SELECT_ORIGINAL_COLUMNS) == before_rows
    assert select_rows(original, "SELECT * FROM image_details") == details
    upgrade(original)
    assert select_rows(original, SELECT_ORIGINAL_COLUMNS) == before_rows


def test_original_rows_are_served_after_upgrade(original: str) -> None:
    upgrade(original)
    with closing(open_catalog(original)) as catalog:
        catalog.ping()
        first, second = catalog.segments_of_photo("01")
        assert (first.row_id, first.box, first.label, first.created.year) == (3, Box(1, 2, 3, 4), None, 2024)
        assert (second.box, second.thumbnail, second.score) == (None, None, None)
        details = ProductDetails("01", brand="Brand", rating=4.5, tags=["casual"], size=["S", "M"])
        assert catalog.details(["01"]) == {"01": details}
        assert catalog.changes("compact-1", 0).last_commit == 1
        assert catalog.delete_segment("01_segment_1") == second
        added = catalog.add_segment(Photo("01", "ab" * 32, 3, 4), new_segment("01_segment_1"), "compact-1")
        assert added.row_id > second.row_id
        changes = catalog.changes("compact-1", 1)
        assert (changes.row_ids.tolist(), changes.deleted.tolist()) == ([added.row_id], [])


def test_row_ids_are_not_reused_after_downgrade_and_upgrade(url: str) -> None:
    upgrade(url)
    with closing(open_catalog(url)) as catalog:
        first = catalog.add_segment(Photo("a", "ab" * 32, 3, 4), new_segment("a_segment_0"), "compact-1")
        catalog.delete_segment("a_segment_0")
        catalog.close()
        downgrade(url)
        upgrade(url)
        second = catalog.add_segment(Photo("a", "ab" * 32, 3, 4), new_segment("a_segment_0"), "compact-1")
    assert second.row_id > first.row_id


def test_failed_upgrade_can_be_repeated(original: str) -> None:
    upgrade(original)
    complete = read_schema(original)
    reverted = (
        "DROP TABLE jobs",
        "ALTER TABLE splitted_images DROP COLUMN embedding",
        f"DROP TABLE {VERSION_TABLE}",
    )
    execute(original, *reverted)
    upgrade(original)
    assert read_schema(original).keys() == complete.keys()
    with closing(open_catalog(original)) as catalog:
        assert catalog.segment(3) is not None
        assert catalog.changes("compact-1", 0).last_commit == 1


def test_rows_of_revision_0001_are_kept_by_upgrade_and_downgrade(url: str) -> None:
    upgrade(url, "0001")
    first = read_schema(url)
    execute(url, *FIRST_ROWS)
    before = select_rows(url, "SELECT * FROM splitted_images"), select_rows(url, "SELECT * FROM originals")
    upgrade(url)
    with closing(open_catalog(url)) as catalog:
        catalog.ping()
        (segment,) = catalog.segments_of_photo("look")
        assert (segment.row_id, segment.label, segment.box) == (5, "dress", Box(1, 2, 3, 4))
        assert catalog.row_ids_of_photo_hash("abcd") == {5}
        assert catalog.changes("compact-1", 2).row_ids.tolist() == [5]
    downgrade(url, "0001")
    assert read_schema(url) == first
    assert (select_rows(url, "SELECT * FROM splitted_images"), select_rows(url, "SELECT * FROM originals")) == before


@pytest.mark.parametrize(
    "reverted",
    [
        ["DROP INDEX ix_originals_sha256{on_originals}"],
        ["DROP INDEX ix_splitted_images_colour{on_images}", "ALTER TABLE splitted_images DROP COLUMN colour"],
        ["DROP TABLE other_embeddings"],
    ],
)
def test_failed_upgrade_to_0002_can_be_repeated(url: str, reverted: list[str]) -> None:
    upgrade(url)
    complete = read_schema(url)
    is_mysql = url.startswith("mysql")
    tables = {"on_originals": " ON originals", "on_images": " ON splitted_images"} if is_mysql else NO_TABLES
    statements = [statement.format_map(tables) for statement in reverted]
    execute(url, *statements, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    upgrade(url)
    assert read_schema(url) == complete
    assert select_rows(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


LEDGER_ROW = (
    "INSERT INTO ledger (object_key, generation, bucket, name, status, reason, update_time) VALUES"
    " ('ab', '7', 'inbox', 'a.jpg', 'failed', 'not an image', '2024-05-06 07:08:09')"
)


@pytest.mark.parametrize("index", ["ix_ledger_update", "ix_ledger_status"])
def test_failed_upgrade_to_0006_can_be_repeated(url: str, index: str) -> None:
    upgrade(url, "0005")
    execute(url, LEDGER_ROW)
    upgrade(url)
    complete = read_schema(url)
    suffix = " ON ledger" if url.startswith("mysql") else ""
    execute(url, f"DROP INDEX {index}{suffix}", f"UPDATE {VERSION_TABLE} SET version_num = '0005'")
    upgrade(url)
    assert read_schema(url) == complete
    with closing(open_catalog(url)) as catalog:
        (entry,) = catalog.ledger_page(LedgerSelection(), 10).entries
    assert (entry.name, entry.reason, entry.recorded) == (
        "a.jpg",
        "not an image",
        datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    )
    downgrade(url, "0005")
    assert len(select_rows(url, "SELECT * FROM ledger")) == 1


@pytest.mark.parametrize(
    ("on_mysql", "on_sqlite"),
    [
        (["DROP INDEX ix_splitted_images_label ON splitted_images"], ["DROP INDEX ix_splitted_images_label"]),
        (["DROP TABLE details_words"], ["DROP TABLE details_words_index", "DROP TABLE details_words"]),
    ],
)
def test_failed_upgrade_to_0007_can_be_repeated(url: str, on_mysql: list[str], on_sqlite: list[str]) -> None:
    upgrade(url)
    complete = read_schema(url)
    reverted = on_mysql if url.startswith("mysql") else on_sqlite
    execute(url, *reverted, f"UPDATE {VERSION_TABLE} SET version_num = '0006'")
    upgrade(url)
    assert read_schema(url) == complete


def test_failed_upgrade_to_0010_can_be_repeated(url: str) -> None:
    upgrade(url)
    complete = read_schema(url)
    execute(url, "DROP TABLE api_keys", f"UPDATE {VERSION_TABLE} SET version_num = '0009'")
    upgrade(url)
    assert read_schema(url) == complete
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0009'")
    upgrade(url)
    assert read_schema(url) == complete


def test_concurrent_upgrades_succeed(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(upgrade, url) for _ in range(2)]:
            future.result()
    with closing(open_catalog(url)) as catalog:
        catalog.ping()
    assert select_rows(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


def test_older_revision_is_reported(url: str) -> None:
    upgrade(url)
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{int(REVISION) - 1:04}'")
    with closing(open_catalog(url)) as catalog, pytest.raises(Unavailable, match="lookalike db upgrade"):
        catalog.ping()


def test_original_database_without_upgrade_is_reported(original: str) -> None:
    with closing(open_catalog(original)) as catalog:
        with pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalog.ping()
        with pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalog.segments_of_photo("01")
