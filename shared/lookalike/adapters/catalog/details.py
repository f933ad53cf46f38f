"""Product details of garments."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import mysql, sqlite

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import image_details
from lookalike.adapters.catalog.values import batches, details_row, name_in, to_details, utc_now_seconds
from lookalike.domain.model import ProductDetails


class DetailQueries(Database):
    """Queries of the port `Catalog` about product details."""

    @read_transaction
    def details(self, tx: Connection, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        """Return the existing product details by image id."""
        details: dict[str, ProductDetails] = {}
        for batch in batches(image_ids):
            rows = tx.execute(select(image_details).where(name_in(image_details.c.image_id, *batch)))
            details.update((row["image_id"], to_details(row)) for row in rows.mappings())
        return details

    def put_details(self, details: Iterable[ProductDetails]) -> int:
        """Insert or replace product details in one transaction. Returns their number. Raises `InvalidField`."""
        moment = utc_now_seconds()
        times = {"create_time": moment, "update_time": moment}
        # Validated before the transaction starts, which then writes all rows or none.
        return self._put_rows([details_row(entry) | times for entry in details])

    @write_transaction
    def _put_rows(self, tx: Connection, rows: Sequence[Mapping[str, object]]) -> int:
        for batch in batches(rows):
            upsert(tx, image_details, batch)
        return len(rows)


def upsert(tx: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows or replace those with the same primary key. `create_time` of a replaced row is kept."""
    keys = [column.name for column in table.primary_key]
    replaced = [name for name in rows[0] if name not in {*keys, "create_time"}]
    statement: Any
    if tx.dialect.name == "sqlite":
        statement = sqlite.insert(table)
        statement = statement.on_conflict_do_update(keys, set_={name: statement.excluded[name] for name in replaced})
    else:
        statement = mysql.insert(table)
        statement = statement.on_duplicate_key_update({name: statement.inserted[name] for name in replaced})
    tx.execute(statement, rows)
