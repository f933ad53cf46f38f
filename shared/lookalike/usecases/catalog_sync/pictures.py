"""Fetches and stores the pictures of a product."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, DeadlineExceeded, LookalikeError
from lookalike.domain.ports import Catalog
from lookalike.domain.ports.pictures import FetchedPicture, PictureFetcher, Validators
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct, product_photo_name, stored_photo_name
from lookalike.usecases.catalog_sync.garment import choose_garment
from lookalike.usecases.ingest import TRANSIENT_ERRORS, Ingest
from lookalike.usecases.upload import sha256_hex


@dataclass(frozen=True)
class ProductPictures:
    """Keeps the stored pictures of products up to date. Safe to use from several threads.

    `load_ingest` returns the use case that stores photos. It is called only if there is a photo to store, because it
    loads the models.
    """

    catalog: Catalog
    fetcher: PictureFetcher
    load_ingest: Callable[[], Ingest]
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def update(
        self, product: Product, previous: StoredProduct | None, is_text_new: bool, cancel: CancelToken
    ) -> tuple[StoredPicture, ...]:
        """Return the pictures of the product after fetching and storing the changed ones.

        Pictures that fail have a reason. Raises `TRANSIENT_ERRORS` if photos cannot be stored at present.
        """
        known = {picture.address: picture for picture in previous.pictures} if previous else {}
        pictures = []
        for address in product.pictures:
            cancel.check()
            before = known.get(address, StoredPicture(address))
            after = self._update_file(before, cancel)
            is_chosen = stored_photo_name(address) is not None and after.garment is not None
            if after.photo and not is_chosen and (is_text_new or after.photo != before.photo or after.garment is None):
                after = replace(after, garment=find_garment(self.catalog, product, after.photo))
            pictures.append(after)
        return tuple(pictures)

    def check(self, product: Product, previous: StoredProduct | None, cancel: CancelToken) -> tuple[StoredPicture, ...]:
        """Return the pictures as `update` would, as far as that is known without storing anything.

        Pictures at new addresses are not fetched. A changed picture has its new SHA-256 and still the old photo.
        """
        known = {picture.address: picture for picture in previous.pictures if picture.photo} if previous else {}
        return tuple(
            self._check_file(known[address], cancel) if address in known else StoredPicture(address)
            for address in product.pictures
        )

    def _check_file(self, before: StoredPicture, cancel: CancelToken) -> StoredPicture:
        cancel.check()
        if not before.has_own_photo:
            return before
        fetched = self._fetch(before, cancel)
        return replace(before, sha256=sha256_hex(fetched.data)) if isinstance(fetched, FetchedPicture) else fetched

    def _update_file(self, before: StoredPicture, cancel: CancelToken) -> StoredPicture:
        """Return the picture with the photo of its present file. If that fails, with its previous photo and a reason."""
        if (name := stored_photo_name(before.address)) is not None:
            return self._link(before.address, name)
        fetched = self._fetch(before, cancel)
        if isinstance(fetched, StoredPicture):
            return fetched
        try:
            return self._store(before, fetched, cancel)
        except TRANSIENT_ERRORS:
            raise
        except LookalikeError as error:
            return replace(before, reason=error.message)

    def _link(self, address: str, name: str) -> StoredPicture:
        """Return the picture that is a stored photo, or the photo of a stored garment."""
        segment = self.catalog.segment(name) if self.catalog.photo(name) is None else None
        photo = self.catalog.photo(segment.photo if segment else name)
        if photo is None:
            return StoredPicture(address, reason=f"no photo or garment {name[:255]!r} is stored")
        return StoredPicture(address, sha256=photo.sha256, photo=photo.name, garment=segment.name if segment else None)

    def _fetch(self, before: StoredPicture, cancel: CancelToken) -> FetchedPicture | StoredPicture:
        """Return the present file, or the picture if its file has not changed or cannot be fetched."""
        # without the photo, the file is needed even if it has not changed
        known = Validators(before.etag, before.last_modified) if before.photo else Validators()
        try:
            fetched = self.fetcher.fetch(before.address, known, cancel)
        except (Cancelled, DeadlineExceeded):
            raise
        except LookalikeError as error:
            return replace(before, reason=error.message)
        return replace(before, reason=None) if fetched is None else fetched

    def _store(self, before: StoredPicture, fetched: FetchedPicture, cancel: CancelToken) -> StoredPicture:
        sha256 = sha256_hex(fetched.data)
        validators = fetched.validators.etag, fetched.validators.last_modified
        if sha256 == before.sha256 and before.photo:
            return replace(before, etag=validators[0], last_modified=validators[1], reason=None)
        # the name says which file it is: the same picture at another address, or of another product, is stored once
        name = product_photo_name(sha256)
        stored = self.catalog.photo(name)
        if stored is None or stored.sha256 != sha256:
            with self._admission:
                # threads that waited for the models would go on for long
                cancel.check()
                self.load_ingest().store_photo(name, fetched.data)
        return StoredPicture(before.address, *validators, sha256, name)

    @cached_property
    def _semaphore(self) -> threading.BoundedSemaphore:
        models = self.load_ingest().upload.models
        # more calls than may wait for the models would be refused as busy
        return threading.BoundedSemaphore(max(1, min(models.max_concurrency + 1, models.max_waiting)))

    @property
    def _admission(self) -> AbstractContextManager[object]:
        with self._lock:
            return self._semaphore


def find_garment(catalog: Catalog, product: Product, photo: str) -> str | None:
    """Return the name of the segment of a stored photo that shows the product, `None` if it has no segments."""
    garment = choose_garment(product, catalog.segments_of_photo(photo))
    return garment.name if garment else None


def choose_garments(catalog: Catalog, product: Product, pictures: Sequence[StoredPicture]) -> tuple[StoredPicture, ...]:
    """Return the pictures of a product whose text has changed, with the segments that show it now."""
    return tuple(
        one
        # the shop itself has chosen a garment that it names
        if one.photo is None or (one.garment and stored_photo_name(one.address) == one.garment)
        else replace(one, garment=find_garment(catalog, product, one.photo))
        for one in pictures
    )
