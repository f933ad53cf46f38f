"""Add the synchronizations of feeds that have not finished. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table if it is missing."""
    if "feed_syncs" not in sa.inspect(op.get_bind()).get_table_names():
        columns = sa.Column("feed", NAME, primary_key=True), sa.Column("start_time", MOMENT, nullable=False)
        op.create_table("feed_syncs", *columns, mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the table. The next synchronization of each feed then begins from the start."""
    op.drop_table("feed_syncs")
