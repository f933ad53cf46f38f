"""Add the search history. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the missing tables."""
    found = sa.inspect(op.get_bind()).get_table_names()
    for name, columns in {"searches": _searches(), "search_hits": _search_hits()}.items():
        if name not in found:
            op.create_table(name, *columns, mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("search_hits")
    op.drop_table("searches")


def _searches() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("owner", NAME, primary_key=True),
        sa.Column("id", NAME, primary_key=True),
        sa.Column("question", sa.JSON, nullable=False),
        sa.Column("create_time", MOMENT, nullable=False),
        sa.Index("ix_searches_create", "owner", "create_time"),
    ]


def _search_hits() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("owner", NAME, primary_key=True),
        sa.Column("search_id", NAME, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("garment", sa.Integer, nullable=False),
        sa.Column("row_id", sa.Integer, nullable=False),
        sa.Column("similarity", sa.Double, nullable=False),
        sa.Index("ix_search_hits_row", "row_id"),
    ]
