"""Add the garment color, an index on photo hashes, and secondary vectors. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    """Add what is missing of the columns, tables and indexes."""
    found = sa.inspect(op.get_bind())
    if "ix_originals_sha256" not in {index["name"] for index in found.get_indexes("originals")}:
        op.create_index("ix_originals_sha256", "originals", ["sha256"])
    if "colour" not in {column["name"] for column in found.get_columns("splitted_images")}:
        op.add_column("splitted_images", sa.Column("colour", sa.String(64)))
    if "other_embeddings" not in found.get_table_names():
        op.create_table("other_embeddings", *_other_embeddings(), mysql_charset="utf8mb4")


def downgrade() -> None:
    """Remove the columns, tables and indexes, with the secondary vectors."""
    op.drop_table("other_embeddings")
    op.drop_column("splitted_images", "colour")
    op.drop_index("ix_originals_sha256", "originals")


def _other_embeddings() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("row_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("embedder", NAME, primary_key=True),
        sa.Column("embedding", sa.LargeBinary(65_535), nullable=False),
        sa.Column("commit_number", sa.Integer),
        sa.Index("ix_other_embeddings_commit", "embedder", "commit_number"),
    ]
