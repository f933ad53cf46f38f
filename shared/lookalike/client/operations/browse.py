"""Lists of garments and products."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from lookalike.client import models
from lookalike.client.calls import Call, PageCall, listing, operation, quoted
from lookalike.client.operations.common import data, page


class BrowseOptions(TypedDict, total=False):
    """Conditions and order of a list, with the names and meanings of `GET /garments`."""

    filter: Mapping[str, Any]
    """Conditions by field name."""
    color: str
    """Only garments whose mean color is near this one, such as `#8a1c2b`."""
    text: str
    """Words that become conditions."""
    sort: str
    """Field that is sorted by, with `-` in front for the reverse."""
    include: Literal["none", "url"]


class BrowseOperations:
    """Lists of garments and products."""

    @listing
    def garments(self, *, page_size: int = 100, **options: Unpack[BrowseOptions]) -> PageCall[models.BrowsedGarment]:
        """Iterate over stored garments."""
        query = browse_query(page_size, options)
        read = page(models.BrowsedGarment, "data.garments", "data.cursor")
        return lambda cursor: Call("GET", "/garments", read, query={**query, "cursor": cursor})

    @listing
    def products(
        self, *, feed: str | None = None, page_size: int = 100, **options: Unpack[BrowseOptions]
    ) -> PageCall[models.Product]:
        """Iterate over the products of feeds."""
        query = {**browse_query(page_size, options), "feed": feed}
        read = page(models.Product, "data.products", "data.cursor")
        return lambda cursor: Call("GET", "/products", read, query={**query, "cursor": cursor})

    @operation
    def product(self, product_id: str, *, include: Literal["none", "url"] = "none") -> Call[models.Product]:
        """Get a product with all its pictures."""
        return Call("GET", f"/products/{quoted(product_id)}", data(models.Product), query={"include": include})

    @operation
    def edit_product(
        self,
        product_id: str,
        columns: Mapping[str, str | Sequence[str] | None] | None = None,
        *,
        use_feed_value: Sequence[str] = (),
    ) -> Call[models.Product]:
        """Set columns of a product to values that are kept over the feed's, or use the feed's values again.

        Values are written as in a feed: `{"price": "59.99 EUR"}`.
        """
        body = {"columns": dict(columns or {}), "use_feed_value": list(use_feed_value)}
        return Call("PATCH", f"/products/{quoted(product_id)}", data(models.Product), body=body)


def browse_query(page_size: int, options: BrowseOptions) -> dict[str, Any]:
    """Return the parameters of a list. A filter is JSON."""
    conditions = {"filter": json.dumps(options["filter"])} if "filter" in options else {}
    return {"limit": page_size, **options, **conditions}
