"""The tables are made from nothing and from the original's, and taken back without loss."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from lookalike.domain.model import Box, NewSegment, Photo, ProductDetails
from tests.contracts.databases import KINDS, execute, fresh_database

IMAGES = """CREATE TABLE splitted_images (
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
DETAILS = """CREATE TABLE image_details (
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
MYSQL = {
    "id": "int auto_increment primary key",
    "on_update": "on update CURRENT_TIMESTAMP",
    "blob": "longblob",
    "not_null": "",
}
SQLITE = {"id": "integer not null primary key", "on_update": "", "blob": "blob", "not_null": "not null"}
ROWS = (
    "INSERT INTO splitted_images VALUES (3, '01_segment_0', '01/segment_0.png', '01', '[1, 2, 3, 4]',"
    " '2024-05-06 07:08:09', '2024-05-06 07:08:10', '[0.5, 0.25]', 'png')",
    "INSERT INTO splitted_images VALUES (7, '01_segment_1', '01/segment_1.png', '01', 'somewhere',"
    " NULL, NULL, NULL, NULL)",
    "INSERT INTO image_details (image_id, brand, rating, tags, size, create_time) VALUES"
    " ('01', 'Brand', 4.5, '[\"casual\"]', '[\"S\", \"M\"]', '2024-05-06 07:08:09')",
)


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=[*KINDS, "sqlite with autoincrement"])
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database as the original left it."""
    kind, _, autoincrement = request.param.partition(" with ")
    with fresh_database(kind, tmp_path) as url:
        words = MYSQL if kind == "mysql" else {**SQLITE, "id": f"{SQLITE['id']} {autoincrement}"}
        execute(url, IMAGES.format_map(words), INDEX, DETAILS.format_map(words), *ROWS)
        yield url


def shape(url: str) -> dict[str, object]:
    """Tables with their columns and indexes."""
    engine = create_engine(url)
    inspector = inspect(engine)
    found = {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
            sorted(str(index["name"]) for index in inspector.get_indexes(table)),
            [key["name"] for key in inspector.get_unique_constraints(table)],
        )
        for table in inspector.get_table_names()
        if table != VERSION_TABLE
    }
    engine.dispose()
    return dict(found)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def new_segment(name: str) -> NewSegment:
    return NewSegment(name, f"{name}.png", f"{name}.webp", Box(1, 2, 3, 4), "top", 0.5, np.ones(2, np.float32))


FIRST_ROWS = (
    "INSERT INTO originals (name, sha256, width, height, create_time) VALUES"
    " ('look', 'abcd', 30, 40, '2024-05-06 07:08:09')",
    "INSERT INTO splitted_images (id, splitted_image_id, splitted_image_path, original_image_id, bounding_box, label,"
    " score, embedder, embedding, commit_number, update_time) VALUES (5, 'look_segment_0', 'look/segment_0.png',"
    " 'look', '[1, 2, 3, 4]', 'dress', 0.5, 'compact-1', X'0000803F', 3, '2024-05-06 07:08:10')",
    "UPDATE commits SET number = 3",
)
"""Of a database at 0001."""

ALL_ORIGINAL = (
    "SELECT id, splitted_image_id, splitted_image_path, original_image_id, bounding_box,"
    " create_time, update_time, vector, splitted_image_data FROM splitted_images ORDER BY id"
)


def test_the_code_expects_the_newest_migration() -> None:
    folder = Path(lookalike.adapters.catalog.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


def test_migrations_make_the_tables_that_the_code_describes(url: str) -> None:
    upgrade(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_originals_tables_come_to_the_same(original: str, tmp_path: Path) -> None:
    upgrade(original)
    with fresh_database(original.partition(":")[0].partition("+")[0], tmp_path / "new") as url:
        upgrade(url)
        assert shape(original) == shape(url)


def test_up_again_changes_nothing(url: str) -> None:
    upgrade(url)
    before = shape(url)
    upgrade(url)
    assert shape(url) == before
    assert rows(url, "SELECT number FROM commits") == [(0,)]


def test_down_leaves_the_originals_two_tables(url: str) -> None:
    upgrade(url)
    downgrade(url)
    assert set(shape(url)) == {"splitted_images", "image_details"}
    upgrade(url)
    with closing(open_catalog(url)) as catalogue:
        catalogue.ping()


def test_the_originals_rows_are_kept_up_and_down(original: str) -> None:
    before, before_rows = shape(original), rows(original, ALL_ORIGINAL)
    details = rows(original, "SELECT * FROM image_details")
    upgrade(original)
    assert rows(original, ALL_ORIGINAL) == before_rows
    assert rows(original, "SELECT embedder, commit_number FROM splitted_images") == [(None, 1)] * 2
    assert rows(original, "SELECT number FROM commits") == [(1,)]
    downgrade(original)
    assert shape(original) == before
    assert rows(original, ALL_ORIGINAL) == before_rows
    assert rows(original, "SELECT * FROM image_details") == details
    upgrade(original)
    assert rows(original, ALL_ORIGINAL) == before_rows


def test_the_originals_rows_are_served(original: str) -> None:
    upgrade(original)
    with closing(open_catalog(original)) as catalogue:
        catalogue.ping()
        first, second = catalogue.segments_of_photo("01")
        assert (first.row_id, first.box, first.label, first.created.year) == (3, Box(1, 2, 3, 4), None, 2024)
        assert (second.box, second.thumbnail, second.score) == (None, None, None)
        details = ProductDetails("01", brand="Brand", rating=4.5, tags=["casual"], size=["S", "M"])
        assert catalogue.details(["01"]) == {"01": details}
        assert catalogue.changes("compact-1", 0).last_commit == 1
        assert catalogue.delete_segment("01_segment_1") == second
        added = catalogue.add_segment(Photo("01", "ab" * 32, 3, 4), new_segment("01_segment_1"), "compact-1")
        assert added.row_id > second.row_id
        changes = catalogue.changes("compact-1", 1)
        assert (changes.row_ids.tolist(), changes.deleted.tolist()) == ([added.row_id], [])


def test_numbers_are_not_used_again_after_down_and_up(url: str) -> None:
    upgrade(url)
    with closing(open_catalog(url)) as catalogue:
        gone = catalogue.add_segment(Photo("a", "ab" * 32, 3, 4), new_segment("a_segment_0"), "compact-1")
        catalogue.delete_segment("a_segment_0")
        catalogue.close()
        downgrade(url)
        upgrade(url)
        again = catalogue.add_segment(Photo("a", "ab" * 32, 3, 4), new_segment("a_segment_0"), "compact-1")
    assert again.row_id > gone.row_id


def test_one_that_failed_half_way_goes_on(original: str) -> None:
    upgrade(original)
    whole = shape(original)
    undone = (
        "DROP TABLE jobs",
        "ALTER TABLE splitted_images DROP COLUMN score",
        f"DROP TABLE {VERSION_TABLE}",
    )
    execute(original, *undone)
    upgrade(original)
    assert shape(original).keys() == whole.keys()
    with closing(open_catalog(original)) as catalogue:
        assert catalogue.segment(3) is not None
        assert catalogue.changes("compact-1", 0).last_commit == 1


def test_rows_of_the_first_version_are_kept_up_and_down(url: str) -> None:
    upgrade(url, "0001")
    first = shape(url)
    execute(url, *FIRST_ROWS)
    before = rows(url, "SELECT * FROM splitted_images"), rows(url, "SELECT * FROM originals")
    upgrade(url)
    with closing(open_catalog(url)) as catalogue:
        catalogue.ping()
        (segment,) = catalogue.segments_of_photo("look")
        assert (segment.row_id, segment.label, segment.box) == (5, "dress", Box(1, 2, 3, 4))
        assert catalogue.row_ids_of_photo_hash("abcd") == {5}
        assert catalogue.changes("compact-1", 2).row_ids.tolist() == [5]
    downgrade(url, "0001")
    assert shape(url) == first
    assert (rows(url, "SELECT * FROM splitted_images"), rows(url, "SELECT * FROM originals")) == before


@pytest.mark.parametrize(
    "undone",
    [
        "DROP INDEX ix_originals_sha256{on_originals}",
        "ALTER TABLE splitted_images DROP COLUMN colour",
        "DROP TABLE other_embeddings",
    ],
)
def test_the_second_version_goes_on_where_it_failed(url: str, undone: str) -> None:
    upgrade(url)
    whole = shape(url)
    statement = undone.format(on_originals=" ON originals" if url.startswith("mysql") else "")
    execute(url, statement, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    upgrade(url)
    assert shape(url) == whole
    assert rows(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(REVISION,)]


def test_two_at_once(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(upgrade, url) for _ in range(2)]:
            done.result()
    with closing(open_catalog(url)) as catalogue:
        catalogue.ping()


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_another_version_is_told(url: str, version: str) -> None:
    upgrade(url)
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")
    with closing(open_catalog(url)) as catalogue, pytest.raises(Unavailable, match="lookalike db upgrade"):
        catalogue.ping()


def test_a_database_of_the_original_is_told(original: str) -> None:
    with closing(open_catalog(original)) as catalogue:
        with pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalogue.ping()
        with pytest.raises(Unavailable, match="lookalike db upgrade"):
            catalogue.segments_of_photo("01")
