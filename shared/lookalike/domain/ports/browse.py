"""Port of the catalog for browsing: sorted pages of garments and products, and products by the garments that show them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.browse import Position, Sort
from lookalike.domain.facets import MAX_FACET_VALUES
from lookalike.domain.filter import Filter, Value
from lookalike.domain.model import Segment


class BrowseCatalog(Protocol):
    """Lists of the catalog. Each method is one transaction and raises `Unavailable` as those of `Catalog`."""

    def count_segments(self) -> int:
        """Return the number of all garments."""
        ...

    def count_products(self) -> int:
        """Return the number of all products."""
        ...

    def segments_by_name(self, names: Sequence[str]) -> list[Segment]:
        """Return the garments of these names that exist, in the order of their row ids."""
        ...

    def garment_positions(
        self, sort: Sort, after: Position | None, limit: int, among: Sequence[int] | None = None
    ) -> list[Position]:
        """Return the positions of the next `limit` garments after a position, or of the first ones.

        With `among`, only of these rows.
        """
        ...

    def product_positions(
        self, sort: Sort, after: Position | None, limit: int, among: Sequence[str] | None = None
    ) -> list[Position]:
        """Return the positions of the next `limit` products after a position, or of the first ones.

        With `among`, only of these products.
        """
        ...

    def matching_product_ids(self, wanted: Filter) -> list[str]:
        """Return the ids, ascending, of products whose own fields match a filter.

        Its fields are `OWN_PRODUCT_FIELDS` and other columns of feeds.
        """
        ...

    def product_ids_shown_by(self, row_ids: NDArray[np.int64]) -> set[str]:
        """Return the ids of all products that one of the garments shows."""
        ...

    def product_facet_counts(
        self, fields: Sequence[str], product_ids: Sequence[str] | None = None, limit: int = MAX_FACET_VALUES
    ) -> dict[str, list[tuple[Value, int]]]:
        """Return the most frequent values of each field, and the number of products with each.

        Fields are `OWN_PRODUCT_FIELDS`, without `created`, and other columns of feeds. With `product_ids`, only these
        products are counted.
        """
        ...
