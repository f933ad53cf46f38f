"""Products of feeds of the catalog in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lookalike.adapters.catalog.feed_lines import line_row
from lookalike.adapters.catalog.product_edits import edit_row
from lookalike.adapters.catalog.products import picture_row, product_row
from lookalike.domain.errors import Conflict
from lookalike.domain.filter import NO_CONDITIONS, Filter, matches_filter
from lookalike.domain.model import Photo, ProductDetails, Segment
from lookalike.domain.product import Offer
from lookalike.domain.product_edits import ProductEdit
from lookalike.domain.stored_product import (
    LineOutcome,
    LineStatus,
    StoredPicture,
    StoredProduct,
    feed_values,
    product_photo_name,
)
from tests.fakes.database import transaction
from tests.fakes.facets import FakeFacets


def own_values(stored: StoredProduct) -> dict[str, object]:
    """Return the values of a product's own fields."""
    product, created = stored.product, stored.created
    own = {"brand": product.brand, "size": [*product.size], "feed": stored.feed}
    return {**feed_values(product), **own, "created": created and created.timestamp()}


class FakeProducts(FakeFacets):
    """Implementation of the port `Products`."""

    def __init__(self) -> None:
        super().__init__()
        self._photos: dict[str, Photo] = {}
        self._products: dict[str, StoredProduct] = {}
        self._lines: dict[tuple[str, int], tuple[LineOutcome, datetime]] = {}
        self._syncs: dict[str, datetime] = {}

    def _segments(self) -> Iterator[Segment]:
        """Return all segments."""
        raise NotImplementedError

    def put_details(self, details: Sequence[ProductDetails]) -> int:
        raise NotImplementedError

    @transaction
    def products(self, product_ids: Sequence[str]) -> dict[str, StoredProduct]:
        return {name: self._existing(self._products[name]) for name in product_ids if name in self._products}

    def _existing(self, stored: StoredProduct) -> StoredProduct:
        names = {segment.name for segment in self._segments()}
        pictures = []
        for picture in stored.pictures:
            if picture.photo not in self._photos:
                picture = StoredPicture(picture.address, reason=picture.reason)
            pictures.append(picture if picture.garment in names else replace(picture, garment=None))
        return replace(stored, pictures=tuple(pictures))

    @transaction
    def product_ids_of_feed(self, feed: str) -> list[tuple[str, bool]]:
        own = [stored for stored in self._products.values() if stored.feed == feed]
        return sorted((stored.product.id, stored.gone is not None) for stored in own)

    @transaction
    def first_products_showing(self, garments: Sequence[str], without: str) -> dict[str, StoredProduct]:
        shown = {garment: [one for one in self._showing(garment) if one.product.id != without] for garment in garments}
        return {garment: self._existing(found[0]) for garment, found in shown.items() if found}

    @transaction
    def product_ids(self, garments: Sequence[str], wanted: Filter = NO_CONDITIONS) -> dict[str, str]:
        matching = {
            garment: [one.product.id for one in self._showing(garment) if matches_filter(wanted, own_values(one))]
            for garment in garments
        }
        return {garment: found[0] for garment, found in matching.items() if found}

    @transaction
    def offers(self, product_ids: Sequence[str]) -> dict[str, Offer]:
        found = [self._products[name].product for name in product_ids if name in self._products]
        return {one.id: Offer(one.id, one.price, one.sale_price, one.availability) for one in found}

    def _shown_values(self, garment: str) -> list[dict[str, object]]:
        return [feed_values(stored.product) for stored in self._showing(garment)]

    def _showing(self, garment: str) -> list[StoredProduct]:
        return [stored for _, stored in sorted(self._products.items()) if garment in stored.garments]

    @transaction
    def price_currencies(self) -> list[str]:
        return sorted({one.product.price.currency for one in self._products.values() if one.product.price})

    @transaction
    def save_product(
        self,
        stored: StoredProduct,
        details: Sequence[ProductDetails] = (),
        dropped: Sequence[str] = (),
        previous: StoredProduct | None = None,
    ) -> None:
        known = self._products.get(stored.product.id)
        if previous and (known is None or (known.updated, known.gone) != (previous.updated, previous.gone)):
            raise Conflict("The product was changed meanwhile: try again")
        product_row(stored)
        for edit in stored.edits:
            edit_row(stored.product.id, edit)
        for number, picture in enumerate(stored.pictures):
            picture_row(stored.product.id, number, picture)
        self._change_details(details, dropped)
        moment = datetime.now(UTC)
        created = known.created if known else moment
        self._products[stored.product.id] = replace(stored, created=created, updated=moment)

    def _change_details(self, details: Sequence[ProductDetails], dropped: Sequence[str]) -> None:
        self.put_details(details)
        for name in dropped:
            self._details.pop(name, None)

    @transaction
    def mark_products_gone(self, product_ids: Sequence[str], moment: datetime) -> None:
        for name in product_ids:
            stored = self._products.get(name)
            if stored and stored.gone is None:
                self._products[name] = replace(stored, gone=moment)

    @transaction
    def delete_product(
        self, product_id: str, details: Sequence[ProductDetails] = (), dropped: Sequence[str] = ()
    ) -> None:
        self._change_details(details, dropped)
        self._products.pop(product_id, None)

    @transaction
    def edits_of_editor(self, editor: str) -> list[tuple[str, ProductEdit]]:
        return [
            (name, one)
            for name, stored in sorted(self._products.items())
            for one in stored.edits
            if one.editor == editor
        ]

    @transaction
    def forget_editor(self, editor: str) -> int:
        own = [(name, one) for name, stored in self._products.items() for one in stored.edits if one.editor == editor]
        for name in {name for name, _ in own}:
            stored = self._products[name]
            edits = (
                replace(one, editor=None, editor_name=None) if one.editor == editor else one for one in stored.edits
            )
            self._products[name] = replace(stored, edits=tuple(edits), updated=datetime.now(UTC))
        return len(own)

    @transaction
    def photos_in_use(self, photos: Sequence[str]) -> set[str]:
        return set(photos) & self._product_photos()

    def _product_photos(self) -> set[str]:
        return {photo for stored in self._products.values() for photo in stored.photos}

    @transaction
    def unused_product_photos(self, before: datetime) -> list[str]:
        first = {segment.photo: segment.created for segment in self._segments()}
        return sorted(
            photo.name
            for photo in self._photos.values()
            if photo.name == product_photo_name(photo.sha256) and first[photo.name] < before
            if photo.name not in self._product_photos()
        )

    @transaction
    def begin_sync(self, feed: str, moment: datetime, oldest: datetime) -> datetime:
        if feed not in self._syncs or self._syncs[feed] < oldest:
            self._syncs[feed] = moment
        return self._syncs[feed]

    @transaction
    def end_sync(self, feed: str) -> None:
        self._syncs.pop(feed, None)

    @transaction
    def products_done_since(self, feed: str, moment: datetime) -> set[str]:
        recent = [one for (name, _), (one, recorded) in self._lines.items() if name == feed and recorded >= moment]
        return {one.product_id for one in recent if one.product_id and one.status is not LineStatus.FAILED}

    @transaction
    def record_lines(self, feed: str, outcomes: Sequence[LineOutcome], moment: datetime) -> None:
        for outcome in outcomes:
            line_row(feed, outcome, moment)
        self._lines.update(((feed, outcome.number), (outcome, moment)) for outcome in outcomes)

    @transaction
    def delete_lines(self, feed: str, before: datetime) -> int:
        old = [key for key, (_, moment) in self._lines.items() if key[0] == feed and moment < before]
        for key in old:
            del self._lines[key]
        return len(old)

    @transaction
    def lines(self, feed: str) -> Iterator[LineOutcome]:
        return iter([outcome for (name, _), (outcome, _) in sorted(self._lines.items()) if name == feed])
