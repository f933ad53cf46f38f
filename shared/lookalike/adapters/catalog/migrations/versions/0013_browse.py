"""Add the values of a feed's other columns, and indexes for sorted pages. Can be repeated after a failure."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from lookalike.domain.feed_columns import column_values

revision = "0013"
down_revision = "0012"

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
INDEXES = {
    "ix_splitted_images_create": ("splitted_images", ["create_time", "id"]),
    "ix_splitted_images_score": ("splitted_images", ["score", "id"]),
    "ix_products_create": ("products", ["create_time", "id"]),
    "ix_products_update": ("products", ["update_time", "id"]),
    "ix_products_amount": ("products", ["price", "id"]),
}
BATCH_SIZE = 500
PRODUCTS = sa.table(
    "products",
    sa.column("id", sa.String),
    sa.column("extra", sa.JSON),
    *(sa.column(f"custom_label_{number}", sa.Text) for number in range(5)),
)


def upgrade() -> None:
    """Create what is missing, and fill the table from the products."""
    found = sa.inspect(op.get_bind())
    for name, (table, columns) in INDEXES.items():
        if name not in {index["name"] for index in found.get_indexes(table)}:
            op.create_index(name, table, columns)
    if "product_values" not in found.get_table_names():
        op.create_table("product_values", *_columns(), mysql_charset="utf8mb4")
    _fill()


def downgrade() -> None:
    """Drop the table and the indexes. The products keep their columns."""
    op.drop_table("product_values")
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)


def _columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("product", NAME, primary_key=True),
        sa.Column("name", NAME, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Index("ix_product_values_value", "name", "value", mysql_length={"value": 100}),
    ]


def _fill() -> None:
    tx, values = op.get_bind(), sa.table("product_values", *map(sa.column, ("product", "name", "position", "value")))
    tx.execute(sa.delete(values))
    last = ""
    while rows := tx.execute(sa.select(PRODUCTS).where(PRODUCTS.c.id > last).order_by("id").limit(BATCH_SIZE)).all():
        last = rows[-1].id
        new = [
            {"product": row.id, "name": name, "position": position, "value": value}
            for row in rows
            for name, position, value in column_values(_extra(row))
        ]
        if new:
            tx.execute(sa.insert(values), new)


def _extra(row: sa.Row[tuple[object, ...]]) -> dict[str, str]:
    labels = {name: value for name, value in row._mapping.items() if name.startswith("custom_label_")}
    return {**(row.extra or {}), **{name: value for name, value in labels.items() if value is not None}}
