"""Port of the transfer of a whole catalog to another one."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from lookalike.domain.model import ProductDetails
from lookalike.domain.stored_product import StoredProduct
from lookalike.domain.transfer import TransferCounts, TransferDecision, TransferPhoto


class TransferSnapshot(Protocol):
    """Everything in a catalog as of one commit. Iterators read in pages, so that memory does not grow with the rows."""

    @property
    def last_commit(self) -> int:
        """Number of the last commit that the snapshot contains."""
        ...

    def counts(self) -> TransferCounts:
        """Return the number of rows."""
        ...

    def photos(self) -> Iterator[TransferPhoto]:
        """Yield the photos, ordered by the first row of each, without garments that were not adopted."""
        ...

    def details(self) -> Iterator[ProductDetails]:
        """Yield all product details, ordered by name."""
        ...

    def products(self) -> Iterator[StoredProduct]:
        """Yield all products of feeds, ordered by id, with their pictures as `Products.products` returns them."""
        ...

    def decisions(self) -> Iterator[TransferDecision]:
        """Yield all decisions about duplicates, ordered by the rows of the garments."""
        ...


class CatalogTransfer(Protocol):
    """Reads a whole catalog, and stores photos as another catalog had them."""

    def transfer_snapshot(self) -> AbstractContextManager[TransferSnapshot]:
        """Return a consistent view of the catalog. It is valid inside the context and in the thread that opened it."""
        ...

    def import_photos(self, photos: Sequence[TransferPhoto]) -> None:
        """Store photos with their garments and vectors, in one transaction. Rows get new ids, in the given order.

        Raises `Conflict` if a photo or garment with one of the names exists, and `InvalidField` for a value that cannot
        be stored. Nothing is stored then.
        """
        ...
