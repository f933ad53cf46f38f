"""Add the full-text index of product details, and indexes on colors and labels. Can be repeated after a failure.

`schema.upgrade` fills the full-text index after all migrations.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
INDEXES = {"ix_splitted_images_colour": ["embedder", "colour"], "ix_splitted_images_label": ["embedder", "label"]}

FULL_TEXT_INDEX = "details_words_index"
INSERT = f"INSERT INTO {FULL_TEXT_INDEX} (rowid, words) VALUES (new.id, new.words);"
DELETE = f"INSERT INTO {FULL_TEXT_INDEX} ({FULL_TEXT_INDEX}, rowid, words) VALUES ('delete', old.id, old.words);"
SQLITE_STATEMENTS = (
    # `content`: the text itself is stored in details_words only. `detail=none`: the order of words is not needed.
    f"CREATE VIRTUAL TABLE {FULL_TEXT_INDEX} USING fts5"
    "(words, content='details_words', content_rowid='id', tokenize='ascii', detail='none')",
    f"CREATE TRIGGER details_words_inserted AFTER INSERT ON details_words BEGIN {INSERT} END",
    f"CREATE TRIGGER details_words_deleted AFTER DELETE ON details_words BEGIN {DELETE} END",
    f"CREATE TRIGGER details_words_updated AFTER UPDATE ON details_words BEGIN {DELETE} {INSERT} END",
)


def upgrade() -> None:
    """Create what is missing of the table and the indexes."""
    found = sa.inspect(op.get_bind())
    existing = {index["name"] for index in found.get_indexes("splitted_images")}
    for name in INDEXES.keys() - existing:
        op.create_index(name, "splitted_images", INDEXES[name])
    if "details_words" not in found.get_table_names():
        _create_table()


def downgrade() -> None:
    """Drop the table and the indexes."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TABLE {FULL_TEXT_INDEX}")
    op.drop_table("details_words")
    for name in INDEXES:
        op.drop_index(name, "splitted_images")


def _create_table() -> None:
    columns: list[sa.schema.SchemaItem] = [
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("image_id", NAME, nullable=False),
        sa.Column("update_time", sa.DateTime),
        sa.Column("words", LONG_TEXT, nullable=False),
        sa.UniqueConstraint("image_id", name="uq_details_words_image"),
    ]
    if op.get_bind().dialect.name == "sqlite":
        # SQLite runs DDL in the transaction of the migration, so a failure leaves none of these.
        op.create_table("details_words", *columns)
        for statement in SQLITE_STATEMENTS:
            op.execute(statement)
    else:
        full_text = sa.Index(FULL_TEXT_INDEX, "words", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT")
        op.create_table("details_words", *columns, full_text, mysql_charset="utf8mb4")
