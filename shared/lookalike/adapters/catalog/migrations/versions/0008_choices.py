"""Add the chosen results of searches. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table if it is missing."""
    if "search_choices" not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(
            "search_choices",
            sa.Column("owner", NAME, primary_key=True),
            sa.Column("search_id", NAME, primary_key=True),
            sa.Column("row_id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("create_time", MOMENT, nullable=False),
            sa.Index("ix_search_choices_row", "row_id"),
            mysql_charset="utf8mb4",
        )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("search_choices")
