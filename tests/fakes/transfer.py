"""Transfer of the catalog in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lookalike.adapters.catalog.values import box_text, photo_row, to_box
from lookalike.domain.errors import Conflict
from lookalike.domain.model import ProductDetails
from lookalike.domain.stored_product import StoredProduct
from lookalike.domain.transfer import TransferCounts, TransferDecision, TransferGarment, TransferPhoto
from tests.fakes.catalog import FakeCatalog, Row
from tests.fakes.database import transaction


@dataclass(frozen=True)
class FakeTransferSnapshot:
    """Lists that were made when the snapshot was opened."""

    last_commit: int
    photo_list: list[TransferPhoto]
    details_list: list[ProductDetails]
    product_list: list[StoredProduct]
    decision_list: list[TransferDecision]

    def counts(self) -> TransferCounts:
        garments = sum(len(photo.garments) for photo in self.photo_list)
        return TransferCounts(garments, 0, len(self.details_list), len(self.product_list), len(self.decision_list))

    def photos(self) -> Iterator[TransferPhoto]:
        return iter(self.photo_list)

    def details(self) -> Iterator[ProductDetails]:
        return iter(self.details_list)

    def products(self) -> Iterator[StoredProduct]:
        return iter(self.product_list)

    def decisions(self) -> Iterator[TransferDecision]:
        return iter(self.decision_list)


class FakeTransferCatalog(FakeCatalog):
    """The catalog in memory with the port `CatalogTransfer`."""

    def __init__(self) -> None:
        super().__init__()
        self._created: dict[str, datetime] = {}

    @contextmanager
    def transfer_snapshot(self) -> Iterator[FakeTransferSnapshot]:
        yield self._transfer_snapshot()

    @transaction
    def _transfer_snapshot(self) -> FakeTransferSnapshot:
        names = dict.fromkeys(row.segment.photo for _, row in sorted(self._rows.items()))
        decisions = [
            TransferDecision(self._rows[first].segment.name, self._rows[second].segment.name, decision)
            for (first, second), decision in sorted(self._decisions.items())
        ]
        details = [one for _, one in sorted(self._details.items())]
        products = [self._existing(one) for _, one in sorted(self._products.items())]
        return FakeTransferSnapshot(self._commit, [*map(self._transfer_photo, names)], details, products, decisions)

    def _transfer_photo(self, name: str) -> TransferPhoto:
        rows = {key: row for key, row in sorted(self._rows.items()) if row.segment.photo == name}
        garments = []
        for row_id, row in rows.items():
            others = {one: found[row_id].vector for one, found in self._secondary.items() if row_id in found}
            garments.append(TransferGarment(row.segment, row.embedder or None, others | {row.embedder: row.vector}))
        created = self._created.get(name, datetime.now(UTC).replace(microsecond=0))
        return TransferPhoto(name, self._photos.get(name), created if name in self._photos else None, tuple(garments))

    @transaction
    def import_photos(self, photos: Sequence[TransferPhoto]) -> None:
        names = [one.segment.name for photo in photos for one in photo.garments]
        taken = {segment.name for segment in self._segments()}
        if taken & {*names} or len(names) > len({*names}) or self._photos.keys() & {one.name for one in photos}:
            raise Conflict("An entry with this name exists already")
        for photo in photos:
            if photo.photo:
                photo_row(photo.photo)
        self._commit += 1
        for photo in photos:
            if photo.photo:
                self._photos[photo.name] = photo.photo
                self._created[photo.name] = photo.created or datetime.now(UTC).replace(microsecond=0)
            for one in photo.garments:
                self._import_garment(photo.name, one)

    def _import_garment(self, photo: str, garment: TransferGarment) -> None:
        row_id, box = next(self._ids), garment.segment.box
        segment = replace(garment.segment, row_id=row_id, photo=photo, box=to_box(box_text(box)) if box else None)
        own = garment.embedder or ""
        self._rows[row_id] = Row(segment, garment.vectors[own], own, self._commit)
        for embedder, vector in garment.vectors.items():
            if embedder != own:
                self._secondary.setdefault(embedder, {})[row_id] = Row(segment, vector, embedder, self._commit)
