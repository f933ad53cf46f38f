"""Table definitions. `migrations` creates the tables; a test checks that both agree.

Names such as `splitted_images` and `colour` are kept from the original system or from stored data.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

REVISION = "0015"
"""The Alembic revision that creates these tables."""
VERSION_TABLE = "lookalike_version"
"""Alembic's version table, under a name that does not clash with other applications in the same database."""

NAME = String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
"""Names and keys. The binary collation compares bytes: MySQL's default ones ignore case."""
MOMENT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
"""Times with microseconds. MySQL's plain DATETIME rounds to seconds."""
LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
"""Text of more than 64 KB."""
BLOB = LargeBinary(65_535)
"""An embedding: up to 16,383 float32 values."""

metadata = MetaData()

splitted_images = Table(
    "splitted_images",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("splitted_image_id", NAME, nullable=False),
    Column("splitted_image_path", NAME, nullable=False),
    Column("original_image_id", NAME, nullable=False),
    Column("bounding_box", Text),
    Column("create_time", DateTime),
    Column("update_time", DateTime),
    Column("vector", JSON(none_as_null=True)),
    Column("splitted_image_data", LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")),
    Column("thumbnail_path", NAME),
    Column("label", String(255)),
    Column("score", Double),
    Column("embedder", NAME),
    Column("embedding", BLOB),
    Column("commit_number", Integer),
    Column("colour", String(64)),
    UniqueConstraint("splitted_image_id", name="splitted_image_id"),
    Index("fk_original_image", "original_image_id"),
    Index("ix_splitted_images_commit", "embedder", "commit_number"),
    Index("ix_splitted_images_colour", "embedder", "colour"),
    Index("ix_splitted_images_create", "create_time", "id"),
    Index("ix_splitted_images_label", "embedder", "label"),
    Index("ix_splitted_images_path", "splitted_image_path"),
    Index("ix_splitted_images_score", "score", "id"),
    Index("ix_splitted_images_thumbnail", "thumbnail_path"),
    sqlite_autoincrement=True,
)

image_details = Table(
    "image_details",
    metadata,
    Column("image_id", NAME, primary_key=True),
    Column("store_name", String(255)),
    Column("brand", String(255)),
    Column("product_name", String(255)),
    Column("store_description", Text),
    Column("url", String(255)),
    Column("rating", Float),
    Column("tags", JSON(none_as_null=True)),
    Column("sale_status", String(50)),
    Column("size", JSON(none_as_null=True)),
    Column("waist_type", String(50)),
    Column("listing_season", String(50)),
    Column("season", String(50)),
    Column("create_time", DateTime),
    Column("update_time", DateTime),
)

details_words = Table(
    "details_words",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("image_id", NAME, nullable=False),
    Column("update_time", DateTime),
    Column("words", LONG_TEXT, nullable=False),
    UniqueConstraint("image_id", name="uq_details_words_image"),
)
"""Full-text index of `image_details`, see `details_words.py`. `update_time` is that of the details it was made from.

`details_words_index` is a FULLTEXT index on MySQL, and a FTS5 table with triggers on SQLite.
"""

originals = Table(
    "originals",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("path", NAME),
    Column("owner", NAME),
    Column("create_time", DateTime, nullable=False),
    Index("ix_originals_path", "path"),
    Index("ix_originals_sha256", "sha256"),
)

other_embeddings = Table(
    "other_embeddings",
    metadata,
    Column("row_id", Integer, primary_key=True, autoincrement=False),
    Column("embedder", NAME, primary_key=True),
    Column("embedding", BLOB, nullable=False),
    Column("commit_number", Integer),
    Index("ix_other_embeddings_commit", "embedder", "commit_number"),
)
"""Secondary vectors: those of embedders other than the row's own."""

deleted_images = Table(
    "deleted_images",
    metadata,
    Column("row_id", Integer, primary_key=True, autoincrement=False),
    Column("embedder", NAME),
    Column("commit_number", Integer, nullable=False),
    Index("ix_deleted_images_commit", "embedder", "commit_number"),
)
"""Tombstones of deleted rows; `embedder` is NULL where indexes of several embedders may contain the row."""

commits = Table(
    "commits",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)
"""One row with the last commit number."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("kind", String(50), nullable=False),
    Column("owner", NAME),
    Column("address", NAME, nullable=False),
    Column("status", String(20), nullable=False),
    Column("stage", String(255), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("create_time", MOMENT, nullable=False),
    Column("update_time", MOMENT, nullable=False),
    Column("finish_time", MOMENT),
    Column("error", String(50)),
    Index("ix_jobs_owner", "owner", "create_time"),
    Index("ix_jobs_address", "address", "create_time"),
    Index("ix_jobs_update", "update_time"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("object_key", String(64), primary_key=True),
    Column("generation", NAME, primary_key=True),
    Column("bucket", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("photo", NAME),
    Column("reason", Text),
    Column("update_time", DateTime, nullable=False),
    Index("ix_ledger_photo", "photo"),
    Index("ix_ledger_update", "update_time"),
    Index("ix_ledger_status", "status", "update_time"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("create_time", MOMENT, nullable=False),
    Index("ix_attempts_create", "create_time"),
)
"""Rate limit counters since `create_time`. Keys are hexadecimal SHA-256, so that they do not reveal accounts."""

revocations = Table(
    "revocations",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("revoke_time", MOMENT, nullable=False),
)
"""Users whose access tokens are refused if they were issued before `revoke_time`. Keys are hexadecimal SHA-256."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("role", String(20), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("filter", Text, nullable=False),
    Column("requests_per_minute", Integer, nullable=False),
    Column("requests_per_address", Integer, nullable=False),
    Column("origins", Text, nullable=False),
    Column("signature", String(64), nullable=False),
    Column("create_time", MOMENT, nullable=False),
    Column("expire_time", MOMENT),
    Column("revoke_time", MOMENT),
    Column("use_time", MOMENT),
)
"""API keys without their secrets. `filter` is JSON text, not a JSON column: the signature covers its exact bytes."""

products = Table(
    "products",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("feed", NAME, nullable=False),
    Column("item_group_id", NAME),
    Column("title", Text),
    Column("description", Text),
    Column("link", Text),
    Column("price", BigInteger),
    Column("sale_price", BigInteger),
    Column("currency", String(3)),
    Column("availability", Text),
    Column("brand", Text),
    Column("color", Text),
    Column("size", JSON(none_as_null=True)),
    Column("gender", Text),
    Column("age_group", Text),
    Column("material", Text),
    Column("pattern", Text),
    Column("google_product_category", Text),
    Column("product_type", Text),
    *(Column(f"custom_label_{number}", Text) for number in range(5)),
    Column("extra", JSON(none_as_null=True)),
    Column("fingerprint", String(64), nullable=False),
    Column("gone_time", MOMENT),
    Column("create_time", MOMENT, nullable=False),
    Column("update_time", MOMENT, nullable=False),
    Index("ix_products_amount", "price", "id"),
    Index("ix_products_create", "create_time", "id"),
    Index("ix_products_feed", "feed"),
    Index("ix_products_group", "item_group_id"),
    Index("ix_products_price", "currency", "price"),
    Index("ix_products_update", "update_time", "id"),
)
"""Products of feeds. Prices are whole ten-thousandths of `currency`. `extra` has all columns that have none here."""

product_values = Table(
    "product_values",
    metadata,
    Column("product", NAME, primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    Index("ix_product_values_value", "name", "value", mysql_length={"value": 100}),
)
"""Values of the columns `extra` and `custom_label_…` of products, a row for each, so that filters find them."""

product_pictures = Table(
    "product_pictures",
    metadata,
    Column("product", NAME, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("address", Text, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("sha256", String(64)),
    Column("photo", NAME),
    Column("garment", NAME),
    Column("status", String(20), nullable=False),
    Column("reason", Text),
    Index("ix_product_pictures_photo", "photo"),
    Index("ix_product_pictures_garment", "garment"),
)
"""Pictures of products, the main one at position 0. `garment` is the segment of `photo` that shows the product."""

product_edits = Table(
    "product_edits",
    metadata,
    Column("product", NAME, primary_key=True),
    Column("field", NAME, primary_key=True),
    Column("value", LONG_TEXT, nullable=False),
    Column("feed_value", LONG_TEXT, nullable=False),
    Column("editor", NAME),
    Column("editor_name", String(255)),
    Column("edit_time", MOMENT, nullable=False),
    Index("ix_product_edits_editor", "editor"),
)
"""Values of fields that administrators set instead of the feed's. Both are JSON text. `products` has the edited value."""

feed_lines = Table(
    "feed_lines",
    metadata,
    Column("feed", NAME, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("product", NAME),
    Column("status", String(20), nullable=False),
    Column("reason", Text),
    Column("update_time", MOMENT, nullable=False),
    Index("ix_feed_lines_update", "feed", "update_time"),
)
"""Outcome of each line of a feed at its last synchronization."""

feed_syncs = Table(
    "feed_syncs",
    metadata,
    Column("feed", NAME, primary_key=True),
    Column("start_time", MOMENT, nullable=False),
)
"""Synchronizations that have not finished: they are running, or were interrupted."""

duplicate_decisions = Table(
    "duplicate_decisions",
    metadata,
    Column("first_id", Integer, primary_key=True, autoincrement=False),
    Column("second_id", Integer, primary_key=True, autoincrement=False),
    Column("decision", String(20), nullable=False),
    Column("create_time", MOMENT, nullable=False),
    Column("update_time", MOMENT, nullable=False),
    Index("ix_duplicate_decisions_second", "second_id"),
)
"""Decisions of operators about pairs of rows of `splitted_images`. `first_id` is the smaller id."""

searches = Table(
    "searches",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("id", NAME, primary_key=True),
    Column("question", JSON, nullable=False),
    Column("create_time", MOMENT, nullable=False),
    Index("ix_searches_create", "owner", "create_time"),
)

search_hits = Table(
    "search_hits",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("search_id", NAME, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("garment", Integer, nullable=False),
    Column("row_id", Integer, nullable=False),
    Column("similarity", Double, nullable=False),
    Index("ix_search_hits_row", "row_id"),
)

search_choices = Table(
    "search_choices",
    metadata,
    Column("owner", NAME, primary_key=True),
    Column("search_id", NAME, primary_key=True),
    Column("row_id", Integer, primary_key=True, autoincrement=False),
    Column("create_time", MOMENT, nullable=False),
    Index("ix_search_choices_row", "row_id"),
)
"""The hits that users chose."""
