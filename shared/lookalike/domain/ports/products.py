"""Port of the products of feeds, their pictures, and the outcomes of the lines of each feed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from lookalike.domain.model import ProductDetails
from lookalike.domain.stored_product import LineOutcome, StoredProduct


class Products(Protocol):
    """Products in the database. Each method is one transaction and raises `Unavailable` as those of `Catalog`."""

    def products(self, product_ids: Sequence[str]) -> dict[str, StoredProduct]:
        """Return products by id. Products that do not exist are missing.

        A picture whose photo was deleted is returned as one that was never fetched, and one whose garment was deleted
        without a garment.
        """
        ...

    def product_ids_of_feed(self, feed: str) -> list[tuple[str, bool]]:
        """Return the ids of the products of a feed, ascending, and whether each is marked as gone."""
        ...

    def first_products_showing(self, garments: Sequence[str], without: str) -> dict[str, StoredProduct]:
        """Return the product that each garment shows, the first by id of several. The product `without` does not count.

        Garments that show no other product are missing.
        """
        ...

    def save_product(
        self,
        stored: StoredProduct,
        details: Sequence[ProductDetails] = (),
        dropped: Sequence[str] = (),
        previous: StoredProduct | None = None,
    ) -> None:
        """Insert or replace a product with its pictures, edits and product details, and delete the details `dropped`.

        `create_time` of an existing product is kept. Raises `InvalidField` for a value that cannot be stored, such as
        prices in two currencies or with more than four decimals. With `previous`, the product as it was read before,
        raises `Conflict` if it was changed or deleted since.
        """
        ...

    def mark_products_gone(self, product_ids: Sequence[str], moment: datetime) -> None:
        """Mark products as gone, unless they are marked already."""
        ...

    def delete_product(
        self, product_id: str, details: Sequence[ProductDetails] = (), dropped: Sequence[str] = ()
    ) -> None:
        """Delete a product with its pictures, if it exists, and change product details as `save_product`."""
        ...

    def photos_in_use(self, photos: Sequence[str]) -> set[str]:
        """Return those of the photos that a picture of any product was stored as."""
        ...

    def unused_product_photos(self, before: datetime) -> list[str]:
        """Return the photos uploaded before that time that were stored for products and belong to none any more.

        Their name is `product_photo_name` of their own SHA-256.
        """
        ...

    def begin_sync(self, feed: str, moment: datetime, oldest: datetime) -> datetime:
        """Record that a synchronization of a feed begins, and return its start: the moment.

        If one was interrupted that began after `oldest`, returns the start of that one, which is not changed.
        """
        ...

    def end_sync(self, feed: str) -> None:
        """Record that the synchronization of a feed is complete."""
        ...

    def products_done_since(self, feed: str, moment: datetime) -> set[str]:
        """Return the ids of products whose line was recorded since that time and did not fail."""
        ...

    def record_lines(self, feed: str, outcomes: Sequence[LineOutcome], moment: datetime) -> None:
        """Insert or replace the outcomes of lines of a feed."""
        ...

    def delete_lines(self, feed: str, before: datetime) -> int:
        """Delete the outcomes of lines that were recorded before that time. Returns their number."""
        ...

    def lines(self, feed: str) -> Iterator[LineOutcome]:
        """Return the outcomes of all lines of a feed, in their order."""
        ...
