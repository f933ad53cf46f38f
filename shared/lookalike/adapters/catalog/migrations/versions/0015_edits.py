"""Add edits of products, and the error codes of jobs. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015"
down_revision = "0014"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Create what is missing. Earlier versions leave the column empty and do not know the table."""
    found = sa.inspect(op.get_bind())
    if "product_edits" not in found.get_table_names():
        op.create_table("product_edits", *_columns(), mysql_charset="utf8mb4")
    if "error" not in {column["name"] for column in found.get_columns("jobs")}:
        op.add_column("jobs", sa.Column("error", sa.String(50)))


def downgrade() -> None:
    """Drop both. Products keep their edited values until the next synchronization of their feed."""
    op.drop_table("product_edits")
    op.drop_column("jobs", "error")


def _columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("product", NAME, primary_key=True),
        sa.Column("field", NAME, primary_key=True),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.Column("feed_value", LONG_TEXT, nullable=False),
        sa.Column("editor", NAME),
        sa.Column("editor_name", sa.String(255)),
        sa.Column("edit_time", MOMENT, nullable=False),
        sa.Index("ix_product_edits_editor", "editor"),
    ]
