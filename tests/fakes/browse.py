"""Browsing of the catalog in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.catalog.values import EPOCH
from lookalike.domain.browse import Position, Sort, in_order
from lookalike.domain.facets import MAX_FACET_VALUES, most_frequent
from lookalike.domain.feed_columns import column_values
from lookalike.domain.filter import Filter, Value, matches_filter
from lookalike.domain.model import Segment
from lookalike.domain.product import Money
from lookalike.domain.stored_product import MONEY_SCALE, StoredProduct
from tests.fakes.database import transaction
from tests.fakes.facets import facet_items
from tests.fakes.products import FakeProducts, own_values


class FakeBrowse(FakeProducts):
    """Implementation of the port `BrowseCatalog`, without `count_segments`."""

    @transaction
    def count_products(self) -> int:
        return len(self._products)

    @transaction
    def segments_by_name(self, names: Sequence[str]) -> list[Segment]:
        return sorted((one for one in self._segments() if one.name in names), key=lambda segment: segment.row_id)

    @transaction
    def garment_positions(
        self, sort: Sort, after: Position | None, limit: int, among: Sequence[int] | None = None
    ) -> list[Position]:
        rows = [one for one in self._segments() if among is None or one.row_id in among]
        return in_order((Position(one.row_id, self._garment_value(one, sort)) for one in rows), sort, after, limit)

    def _garment_value(self, segment: Segment, sort: Sort) -> int | float | None:
        prices = [to_stored(stored.product.price) for stored in self._showing(segment.name)]
        values = {
            "created": to_microseconds(segment.created),
            "score": segment.score,
            "price": min((price for price in prices if price is not None), default=None),
        }
        return values.get(sort.field)

    @transaction
    def product_positions(
        self, sort: Sort, after: Position | None, limit: int, among: Sequence[str] | None = None
    ) -> list[Position]:
        rows = [one for one in self._products.values() if among is None or one.product.id in among]
        return in_order((Position(one.product.id, product_value(one, sort)) for one in rows), sort, after, limit)

    @transaction
    def matching_product_ids(self, wanted: Filter) -> list[str]:
        return sorted(name for name, one in self._products.items() if matches_filter(wanted, own_values(one)))

    @transaction
    def product_ids_shown_by(self, row_ids: NDArray[np.int64]) -> set[str]:
        names = {segment.name for segment in self._segments() if segment.row_id in row_ids.tolist()}
        return {name for name, stored in self._products.items() if stored.garments & names}

    @transaction
    def product_facet_counts(
        self, fields: Sequence[str], product_ids: Sequence[str] | None = None, limit: int = MAX_FACET_VALUES
    ) -> dict[str, list[tuple[Value, int]]]:
        rows = [one for name, one in self._products.items() if product_ids is None or name in product_ids]
        counted = {
            name: Counter(item for one in rows for item in {*facet_items(name, own_values(one).get(name))})
            for name in fields
        }
        return {name: most_frequent(counts.items(), limit) for name, counts in counted.items()}

    @transaction
    def feed_columns(self, names: Sequence[str] | None = None, limit: int = 100) -> list[str]:
        return [name for name in sorted({*self._column_names()}) if names is None or name in names][:limit]

    def _column_names(self) -> Iterator[str]:
        for stored in self._products.values():
            yield from (name for name, _, _ in column_values(stored.product.extra))


def product_value(stored: StoredProduct, sort: Sort) -> int | None:
    """Return the value of a product that is sorted by."""
    if sort.field == "price":
        return to_stored(stored.product.price)
    moment = {"created": stored.created, "updated": stored.updated}.get(sort.field)
    return None if moment is None else to_microseconds(moment)


def to_stored(price: Money | None) -> int | None:
    """Return a price in ten-thousandths."""
    return None if price is None else int(price.amount * MONEY_SCALE)


def to_microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
