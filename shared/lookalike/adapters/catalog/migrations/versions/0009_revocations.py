"""Add the table of revoked access tokens. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table if it is missing."""
    if "revocations" not in sa.inspect(op.get_bind()).get_table_names():
        columns = sa.Column("key", sa.String(64), primary_key=True), sa.Column("revoke_time", MOMENT, nullable=False)
        op.create_table("revocations", *columns, mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("revocations")
