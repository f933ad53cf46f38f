"""Transfer of a whole catalog: reads everything in one transaction, and stores photos as another catalog had them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, exists, func, insert, or_, select, update

from lookalike.adapters.catalog.commits import next_commit_number, select_last_commit
from lookalike.adapters.catalog.database import Database, write_transaction
from lookalike.adapters.catalog.products import select_products
from lookalike.adapters.catalog.tables import (
    duplicate_decisions,
    image_details,
    originals,
    other_embeddings,
    products,
    splitted_images,
)
from lookalike.adapters.catalog.values import (
    BATCH_SIZE,
    batches,
    box_text,
    name_in,
    photo_row,
    row_id_in,
    to_aware_utc,
    to_details,
    to_naive_utc,
    to_photo,
    to_segment,
    utc_now_seconds,
    validated,
    vector_bytes,
)
from lookalike.domain.duplicates import Decision
from lookalike.domain.model import ProductDetails
from lookalike.domain.stored_product import StoredProduct
from lookalike.domain.transfer import TransferCounts, TransferDecision, TransferGarment, TransferPhoto

_rows, _secondary = splitted_images.c, other_embeddings.c
_COLUMNS = [column for column in splitted_images.c if column.name not in ("vector", "splitted_image_data")]
Rows = dict[str, object]


class TransferQueries(Database):
    """Queries of the port `CatalogTransfer`."""

    @contextmanager
    def transfer_snapshot(self) -> Iterator["SqlTransferSnapshot"]:
        """Open a consistent view of the catalog, valid inside the context and in one thread."""
        with self.transaction() as tx:
            yield SqlTransferSnapshot(tx)

    def import_photos(self, photos: Sequence[TransferPhoto]) -> None:
        """Store photos with their garments and vectors, in one transaction. Raises `Conflict` and `InvalidField`."""
        garments = [(photo.name, one) for photo in photos for one in photo.garments]
        rows = [_garment_row(name, one) for name, one in garments]
        self._import([_photo_row(photo) for photo in photos if photo.photo], rows, [one for _, one in garments])

    @write_transaction
    def _import(
        self, tx: Connection, photos: Sequence[Rows], rows: Sequence[Rows], garments: Sequence[TransferGarment]
    ) -> None:
        for batch in batches(photos):
            tx.execute(insert(originals), batch)
        row_ids: dict[str, int] = {}
        for batch in batches(rows):
            tx.execute(insert(splitted_images), batch)
            is_new = name_in(_rows.splitted_image_id, *(str(row["splitted_image_id"]) for row in batch))
            stored = tx.execute(select(_rows.splitted_image_id, _rows.id).where(is_new))
            row_ids.update((row[0], row[1]) for row in stored)
        number = next_commit_number(tx)
        for ids in batches([*row_ids.values()]):
            tx.execute(update(splitted_images).where(row_id_in(ids)).values(commit_number=number))
        secondary = [row for one in garments for row in _secondary_rows(one, row_ids[one.segment.name], number)]
        for batch in batches(secondary):
            tx.execute(insert(other_embeddings), batch)


class SqlTransferSnapshot:
    """SQL implementation of the port `TransferSnapshot`, bound to one open transaction.

    Reads in pages by key. A server-side cursor would block the connection meanwhile.
    """

    def __init__(self, tx: Connection) -> None:
        self._tx = tx
        # the first query of a transaction begins its snapshot
        self.last_commit = select_last_commit(tx)

    def counts(self) -> TransferCounts:
        """Return the number of rows."""
        garments = self._count(splitted_images, ~_is_legacy(splitted_images))
        return TransferCounts(
            garments,
            self._count(splitted_images) - garments,
            self._count(image_details),
            self._count(products),
            self._count(duplicate_decisions),
        )

    def _count(self, table: Table, *conditions: ColumnElement[bool]) -> int:
        count: int = self._tx.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
        return count

    def photos(self) -> Iterator[TransferPhoto]:
        """Yield the photos, ordered by the first row of each."""
        earlier = splitted_images.alias()
        is_earlier = earlier.c.original_image_id == _rows.original_image_id, earlier.c.id < _rows.id
        is_first = ~exists().where(*is_earlier, ~_is_legacy(earlier)).correlate(splitted_images)
        query = select(_rows.id, _rows.original_image_id).where(~_is_legacy(splitted_images), is_first)
        for page in self._pages(query, _rows.id):
            yield from self._read_photos([row["original_image_id"] for row in page])

    def _read_photos(self, names: Sequence[str]) -> Iterator[TransferPhoto]:
        found = self._tx.execute(select(originals).where(originals.c.name.in_(names))).mappings()
        photos = {row["name"]: row for row in found}
        garments: dict[str, list[TransferGarment]] = {name: [] for name in names}
        is_of_photos = _rows.original_image_id.in_(names), ~_is_legacy(splitted_images)
        for page in self._pages(select(*_COLUMNS).where(*is_of_photos), _rows.id):
            vectors = self._secondary_vectors([row["id"] for row in page])
            for row in page:
                garments[row["original_image_id"]].append(_to_garment(row, vectors.get(row["id"], {})))
        for name in names:
            own = photos.get(name)
            photo, created = (to_photo(own), to_aware_utc(own["create_time"])) if own else (None, None)
            yield TransferPhoto(name, photo, created, tuple(garments[name]))

    def _secondary_vectors(self, row_ids: Sequence[int]) -> dict[int, dict[str, NDArray[np.float32]]]:
        found: dict[int, dict[str, NDArray[np.float32]]] = {}
        query = select(_secondary.row_id, _secondary.embedder, _secondary.embedding)
        for row in self._tx.execute(query.where(row_id_in(row_ids, _secondary.row_id))):
            found.setdefault(row.row_id, {})[row.embedder] = _to_vector(row.embedding)
        return found

    def details(self) -> Iterator[ProductDetails]:
        """Yield all product details, ordered by name."""
        for page in self._pages(select(image_details), image_details.c.image_id):
            yield from map(to_details, page)

    def products(self) -> Iterator[StoredProduct]:
        """Yield all products, ordered by id."""
        for page in self._pages(select(products.c.id), products.c.id):
            found = select_products(self._tx, [row["id"] for row in page])
            yield from (found[row["id"]] for row in page)

    def decisions(self) -> Iterator[TransferDecision]:
        """Yield all decisions about duplicates, ordered by the rows of the garments."""
        first, second, found = splitted_images.alias(), splitted_images.alias(), duplicate_decisions.c
        names = first.c.splitted_image_id.label("first"), second.c.splitted_image_id.label("second")
        query = select(found.first_id, found.second_id, *names, found.decision).select_from(duplicate_decisions)
        query = query.join(first, first.c.id == found.first_id).join(second, second.c.id == found.second_id)
        query = query.order_by(found.first_id, found.second_id).limit(BATCH_SIZE)
        page = self._tx.execute(query).mappings().all()
        while page:
            yield from (TransferDecision(row["first"], row["second"], Decision(row["decision"])) for row in page)
            last = page[-1]
            is_next = found.first_id > last["first_id"]
            is_next |= and_(found.first_id == last["first_id"], found.second_id > last["second_id"])
            page = self._tx.execute(query.where(is_next)).mappings().all()

    def _pages(self, query: Any, key: ColumnElement[Any]) -> Iterator[Sequence[RowMapping]]:
        """Yield the rows of a query in pages, ordered by a unique column that the query selects."""
        ordered = query.order_by(key).limit(BATCH_SIZE)
        page = self._tx.execute(ordered).mappings().all()
        while page:
            yield page
            page = self._tx.execute(ordered.where(key > page[-1][key])).mappings().all()


def _is_legacy(table: Any) -> ColumnElement[bool]:
    """Match rows of the original system that were not adopted."""
    return or_(table.c.vector.is_not(None), table.c.splitted_image_data.is_not(None))


def _to_garment(row: RowMapping, secondary: dict[str, NDArray[np.float32]]) -> TransferGarment:
    has_vector = row["embedder"] is not None and row["embedding"] is not None
    own = {row["embedder"]: _to_vector(row["embedding"])} if has_vector else {}
    return TransferGarment(to_segment(row), row["embedder"] if has_vector else None, secondary | own)


def _to_vector(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4").astype(np.float32)


def _photo_row(photo: TransferPhoto) -> Rows:
    """Return the column values of a photo. Raises `InvalidField`."""
    assert photo.photo is not None, "called for photos with a row only"
    return photo_row(photo.photo) | {"create_time": _stored_time(photo.created)}


def _garment_row(photo: str, garment: TransferGarment) -> Rows:
    """Return the column values of a garment, without id and commit number. Raises `InvalidField`."""
    segment, own = garment.segment, garment.vectors[garment.embedder] if garment.embedder else None
    created = _stored_time(segment.created)
    return validated(
        splitted_images,
        splitted_image_id=segment.name,
        splitted_image_path=segment.path,
        thumbnail_path=segment.thumbnail,
        original_image_id=photo,
        bounding_box=box_text(segment.box) if segment.box else None,
        label=segment.label,
        score=segment.score,
        embedder=garment.embedder,
        embedding=None if own is None else vector_bytes(own),
        colour=json.dumps(segment.color) if segment.color else None,
        create_time=created,
        update_time=created,
    )


def _secondary_rows(garment: TransferGarment, row_id: int, number: int) -> Iterator[Rows]:
    for embedder, vector in garment.vectors.items():
        if embedder != garment.embedder:
            values = {"embedder": embedder, "embedding": vector_bytes(vector), "commit_number": number}
            yield validated(other_embeddings, row_id=row_id, **values)


def _stored_time(moment: datetime | None) -> datetime:
    return to_naive_utc(moment).replace(microsecond=0) if moment else utc_now_seconds()
