"""Add the products of feeds, their pictures and the outcomes of lines. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT_COLUMNS = (
    "availability",
    "brand",
    "color",
    "gender",
    "age_group",
    "material",
    "pattern",
    "google_product_category",
    "product_type",
    *(f"custom_label_{number}" for number in range(5)),
)


def upgrade() -> None:
    """Create the tables that are missing."""
    existing = sa.inspect(op.get_bind()).get_table_names()
    for name, items in (("products", _products()), ("product_pictures", _pictures()), ("feed_lines", _lines())):
        if name not in existing:
            op.create_table(name, *items, mysql_charset="utf8mb4")


def downgrade() -> None:
    """Drop the tables. The photos of products stay."""
    for name in ("feed_lines", "product_pictures", "products"):
        op.drop_table(name)


def _products() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", NAME, primary_key=True),
        sa.Column("feed", NAME, nullable=False),
        sa.Column("item_group_id", NAME),
        sa.Column("title", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("link", sa.Text),
        sa.Column("price", sa.BigInteger),
        sa.Column("sale_price", sa.BigInteger),
        sa.Column("currency", sa.String(3)),
        *(sa.Column(name, sa.Text) for name in TEXT_COLUMNS),
        sa.Column("size", sa.JSON),
        sa.Column("extra", sa.JSON),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("gone_time", MOMENT),
        sa.Column("create_time", MOMENT, nullable=False),
        sa.Column("update_time", MOMENT, nullable=False),
        sa.Index("ix_products_feed", "feed"),
        sa.Index("ix_products_group", "item_group_id"),
        sa.Index("ix_products_price", "currency", "price"),
    ]


def _pictures() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("product", NAME, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("sha256", sa.String(64)),
        sa.Column("photo", NAME),
        sa.Column("garment", NAME),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Index("ix_product_pictures_photo", "photo"),
        sa.Index("ix_product_pictures_garment", "garment"),
    ]


def _lines() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("feed", NAME, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("product", NAME),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("update_time", MOMENT, nullable=False),
        sa.Index("ix_feed_lines_update", "feed", "update_time"),
    ]
