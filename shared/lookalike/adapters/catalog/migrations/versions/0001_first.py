"""Create the tables, or extend those of the original system. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

NAME = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONGBLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

NAMES = {
    "splitted_images": ["splitted_image_id", "splitted_image_path", "original_image_id"],
    "image_details": ["image_id"],
}
INDEXES = {
    "ix_splitted_images_commit": ["embedder", "commit_number"],
    "ix_splitted_images_path": ["splitted_image_path"],
    "ix_splitted_images_thumbnail": ["thumbnail_path"],
}


def upgrade() -> None:
    """Create missing tables, and adopt existing ones of the original system."""
    existing = set(sa.inspect(op.get_bind()).get_table_names())
    if "splitted_images" in existing:
        _adopt_images()
    else:
        _create("splitted_images", *_original_images(), *_added_columns())
    if "image_details" in existing:
        _set_collation("image_details", binary=True)
    else:
        _create("image_details", *_original_details())
    _add_indexes()
    for name in [name for name in OWN_TABLES if name not in existing]:
        _create(name, *OWN_TABLES[name]())
    _number_rows()


def downgrade() -> None:
    """Remove all added tables, columns and indexes."""
    # First, because it fails if two names differ only in case: nothing else is changed then.
    for table in NAMES:
        _set_collation(table, binary=False)
    for name in INDEXES:
        op.drop_index(name, "splitted_images")
    for column in _added_columns():
        op.drop_column("splitted_images", column.name)
    for name in OWN_TABLES:
        op.drop_table(name)


def _is_mysql() -> bool:
    return op.get_bind().dialect.name in ("mysql", "mariadb")


def _times() -> list[sa.Column[object]]:
    on_update = "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP" if _is_mysql() else "CURRENT_TIMESTAMP"
    return [
        sa.Column("create_time", sa.DateTime, server_default=sa.text("CURRENT_TIMESTAMP")),
        sa.Column("update_time", sa.DateTime, server_default=sa.text(on_update)),
    ]


def _original_images() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("splitted_image_id", NAME, nullable=False),
        sa.Column("splitted_image_path", NAME, nullable=False),
        sa.Column("original_image_id", NAME, nullable=False),
        sa.Column("bounding_box", sa.Text),
        *_times(),
        sa.Column("vector", sa.JSON),
        sa.Column("splitted_image_data", LONGBLOB),
        sa.UniqueConstraint("splitted_image_id", name="splitted_image_id"),
        sa.Index("fk_original_image", "original_image_id"),
    ]


def _added_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("thumbnail_path", NAME),
        sa.Column("label", sa.String(255)),
        sa.Column("score", sa.Double),
        sa.Column("embedder", NAME),
        sa.Column("embedding", sa.LargeBinary(65_535)),
        sa.Column("commit_number", sa.Integer),
    ]


def _original_details() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("image_id", NAME, primary_key=True),
        *(sa.Column(name, sa.String(255)) for name in ("store_name", "brand", "product_name")),
        sa.Column("store_description", sa.Text),
        sa.Column("url", sa.String(255)),
        sa.Column("rating", sa.Float),
        sa.Column("tags", sa.JSON),
        sa.Column("sale_status", sa.String(50)),
        sa.Column("size", sa.JSON),
        *(sa.Column(name, sa.String(50)) for name in ("waist_type", "listing_season", "season")),
        *_times(),
    ]


def _create(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, mysql_charset="utf8mb4", sqlite_autoincrement=name == "splitted_images")


def _adopt_images() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _set_autoincrement()
    _set_collation("splitted_images", binary=True)
    found = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("splitted_images")}
    for column in [column for column in _added_columns() if column.name not in found]:
        op.add_column("splitted_images", column)


def _set_autoincrement() -> None:
    """Recreate the table with AUTOINCREMENT, which SQLite accepts only in CREATE TABLE."""
    made = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'splitted_images'"
    if "AUTOINCREMENT" in op.get_bind().execute(sa.text(made)).scalar_one().upper():
        return
    table = sa.Table("splitted_images", sa.MetaData(), *_original_images())
    options = {"sqlite_autoincrement": True}
    with op.batch_alter_table(table.name, recreate="always", copy_from=table, table_kwargs=options):
        pass


def _set_collation(table: str, binary: bool) -> None:
    """Set a binary collation for names. MySQL's default collations treat `Top` and `top` as equal."""
    if _is_mysql():
        kind = "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if binary else "VARCHAR(255)"
        changes = ", ".join(f"MODIFY {name} {kind} NOT NULL" for name in NAMES[table])
        op.execute(f"ALTER TABLE {table} {changes}")


def _add_indexes() -> None:
    found = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("splitted_images")}
    for name, columns in {"fk_original_image": ["original_image_id"], **INDEXES}.items():
        if name not in found:
            op.create_index(name, "splitted_images", columns)


def _originals() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("name", NAME, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("path", NAME),
        sa.Column("owner", NAME),
        sa.Column("create_time", sa.DateTime, nullable=False),
        sa.Index("ix_originals_path", "path"),
    ]


def _deleted_images() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("row_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("embedder", NAME),
        sa.Column("commit_number", sa.Integer, nullable=False),
        sa.Index("ix_deleted_images_commit", "embedder", "commit_number"),
    ]


def _commits() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False),
    ]


def _jobs() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", NAME, primary_key=True),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("owner", NAME),
        sa.Column("address", NAME, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("stage", sa.String(255), nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("create_time", MOMENT, nullable=False),
        sa.Column("update_time", MOMENT, nullable=False),
        sa.Column("finish_time", MOMENT),
        sa.Index("ix_jobs_owner", "owner", "create_time"),
        sa.Index("ix_jobs_address", "address", "create_time"),
        sa.Index("ix_jobs_update", "update_time"),
    ]


def _ledger() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("object_key", sa.String(64), primary_key=True),
        sa.Column("generation", NAME, primary_key=True),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("photo", NAME),
        sa.Column("reason", sa.Text),
        sa.Column("update_time", sa.DateTime, nullable=False),
    ]


def _number_rows() -> None:
    # update_time = update_time: otherwise MySQL sets it (ON UPDATE CURRENT_TIMESTAMP).
    op.execute("UPDATE splitted_images SET commit_number = 1, update_time = update_time WHERE commit_number IS NULL")
    last = "(SELECT COALESCE(MAX(commit_number), 0) FROM splitted_images)"
    op.execute(f"INSERT INTO commits (id, number) SELECT 1, {last} WHERE NOT EXISTS (SELECT 1 FROM commits)")


OWN_TABLES = {
    "originals": _originals,
    "deleted_images": _deleted_images,
    "commits": _commits,
    "jobs": _jobs,
    "ledger": _ledger,
}
