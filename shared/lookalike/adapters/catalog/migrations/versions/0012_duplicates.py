"""Add the table of decisions about duplicates. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table if it is missing."""
    if "duplicate_decisions" not in sa.inspect(op.get_bind()).get_table_names():
        columns: list[sa.schema.SchemaItem] = [
            sa.Column("first_id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("second_id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("decision", sa.String(20), nullable=False),
            sa.Column("create_time", MOMENT, nullable=False),
            sa.Column("update_time", MOMENT, nullable=False),
            sa.Index("ix_duplicate_decisions_second", "second_id"),
        ]
        op.create_table("duplicate_decisions", *columns, mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("duplicate_decisions")
