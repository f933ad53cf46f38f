"""Add rate limit counters of sign-in attempts. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table, unless it exists."""
    if "attempts" not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table("attempts", *_attempts(), mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("attempts")


def _attempts() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("create_time", MOMENT, nullable=False),
        sa.Index("ix_attempts_create", "create_time"),
    ]
