"""Add the table of API keys. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table if it is missing."""
    if "api_keys" not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table("api_keys", *_api_keys(), mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the table, and with it all keys."""
    op.drop_table("api_keys")


def _api_keys() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", NAME, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("requests_per_minute", sa.Integer, nullable=False),
        sa.Column("requests_per_address", sa.Integer, nullable=False),
        sa.Column("origins", sa.Text, nullable=False),
        sa.Column("signature", sa.String(64), nullable=False),
        sa.Column("create_time", MOMENT, nullable=False),
        sa.Column("expire_time", MOMENT),
        sa.Column("revoke_time", MOMENT),
        sa.Column("use_time", MOMENT),
    ]
