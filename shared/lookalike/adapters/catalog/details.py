"""Product details of garments."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.details_words import write_words
from lookalike.adapters.catalog.tables import image_details
from lookalike.adapters.catalog.upsert import upsert
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
            write_words(tx, batch)
        return len(rows)
