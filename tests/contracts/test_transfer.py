"""Contract of the port `CatalogTransfer`."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from lookalike.adapters.catalog import SqlCatalog
from lookalike.domain.duplicates import Decision
from lookalike.domain.errors import Conflict, InvalidField
from lookalike.domain.model import Box, Photo, ProductDetails, Segment
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.domain.transfer import TransferCounts, TransferDecision, TransferGarment, TransferPhoto
from tests.contracts.rows import MODEL, World, add_photo, garment, photo
from tests.fakes.catalog import FakeCatalog
from tests.fakes.transfer import FakeTransferCatalog

EARLIER = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
OTHER = "other-model"


@pytest.fixture
def store(world: World) -> FakeTransferCatalog:
    """Typed as the fake: every catalog also implements this port."""
    is_fake = isinstance(world.catalog, FakeCatalog)
    return FakeTransferCatalog() if is_fake else world.catalog  # type: ignore[return-value]


def unit(*numbers: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


def one_photo(name: str, *numbers: int) -> TransferPhoto:
    garments = [
        TransferGarment(
            Segment(
                row_id=1000 - number,
                name=f"{name}_segment_{number}",
                path=f"{name}/segment_{number}.png",
                thumbnail=f"{name}/segment_{number}.thumbnail.jpg",
                photo=name,
                box=Box(0.25, 1, 2.5, 3),
                label="dress",
                score=1 / 3,
                created=EARLIER,
                color=(1 / 7, -20.5, 3.0),
            ),
            MODEL,
            {MODEL: unit(1, number, 2)},
        )
        for number in numbers
    ]
    return TransferPhoto(name, Photo(name, "ab" * 32, 30, 40, f"{name}/original.jpg", "anna"), EARLIER, (*garments,))


def as_values(found: TransferPhoto) -> object:
    garments = [
        (replace(one.segment, row_id=0), one.embedder, {name: vector.tolist() for name, vector in one.vectors.items()})
        for one in found.garments
    ]
    return found.name, found.photo, found.created, garments


def test_photos_are_read_as_they_were_imported(store: FakeTransferCatalog) -> None:
    first, second = one_photo("zebra", 3, 0), one_photo("ant", 1)
    (bare,) = second.garments
    bare = replace(bare, segment=replace(bare.segment, thumbnail=None, box=None, label=None, score=None, color=None))
    second = replace(second, garments=(bare,), photo=replace(second.photo, path=None, owner=None))  # type: ignore[type-var]
    secondary = replace(first.garments[0], vectors={MODEL: unit(1, 2, 0), OTHER: unit(3, 4, 5, 6)})
    first = replace(first, garments=(secondary, *first.garments[1:]))
    store.import_photos([first])
    store.import_photos([second])
    with store.transfer_snapshot() as snapshot:
        assert [as_values(one) for one in snapshot.photos()] == [as_values(first), as_values(second)]
        assert snapshot.counts() == TransferCounts(3, 0, 0, 0, 0)
        assert snapshot.last_commit == store.changes(MODEL, 0).last_commit
    assert len(store.changes(MODEL, 0).row_ids) == 3 and len(store.changes(OTHER, 0).row_ids) == 1


def test_photos_are_ordered_by_their_first_row(store: FakeTransferCatalog) -> None:
    for name in ("b", "a"):
        add_photo(store, name, 2)
    store.add_segment(photo("b"), garment("b", 7), MODEL)
    store.delete_segment("b_segment_0")
    store.delete_segment("b_segment_1")
    with store.transfer_snapshot() as snapshot:
        names = [[one.segment.name for one in found.garments] for found in snapshot.photos()]
    assert names == [["a_segment_0", "a_segment_1"], ["b_segment_7"]]


def test_everything_else_is_read_in_order(store: FakeTransferCatalog) -> None:
    rows = add_photo(store, "look", 3)
    details = [ProductDetails(name, brand="Ost", tags=["a"], rating=4.5) for name in ("a", "look_segment_0", "z")]
    store.put_details(reversed(details))
    pictures = StoredPicture("https://shop.example/1.jpg", "e", None, "ab" * 32, "look", "look_segment_1")
    products = [
        StoredProduct(Product(name, pictures=(pictures.address,)), "shop", (pictures,), gone=EARLIER)
        for name in ("A", "B")
    ]
    for one in reversed(products):
        store.save_product(one)
    store.decide_duplicate(rows[2], rows[0], Decision.REJECTED)
    store.decide_duplicate(rows[0], rows[1], Decision.ACCEPTED)
    with store.transfer_snapshot() as snapshot:
        assert list(snapshot.details()) == details
        assert list(snapshot.products()) == products
        assert list(snapshot.decisions()) == [
            TransferDecision("look_segment_0", "look_segment_1", Decision.ACCEPTED),
            TransferDecision("look_segment_0", "look_segment_2", Decision.REJECTED),
        ]
        assert snapshot.counts() == TransferCounts(3, 0, 3, 2, 2)


def test_many_rows_are_read_completely(store: FakeTransferCatalog) -> None:
    photos = [one_photo(f"p{number:04}", 0) for number in range(1001)]
    store.import_photos(photos)
    store.import_photos([one_photo("many", *range(1100))])
    store.put_details(ProductDetails(f"d{number:04}") for number in range(1001))
    with store.transfer_snapshot() as snapshot:
        found = list(snapshot.photos())
        assert [one.name for one in found] == [*(one.name for one in photos), "many"]
        assert [one.segment.name for one in found[-1].garments] == [f"many_segment_{number}" for number in range(1100)]
        assert len(list(snapshot.details())) == 1001


def test_nothing_is_imported_if_a_name_is_taken_or_a_value_does_not_fit(store: FakeTransferCatalog) -> None:
    add_photo(store, "look")
    other = one_photo("other", 0)
    (taken,) = other.garments
    taken = replace(taken, segment=replace(taken.segment, name="look_segment_0"))
    for wrong in (one_photo("look", 5), replace(other, garments=(taken,))):
        with pytest.raises(Conflict):
            store.import_photos([one_photo("new", 0), wrong])
    long = replace(other, photo=Photo("x" * 256, "", 1, 1))
    with pytest.raises(InvalidField):
        store.import_photos([one_photo("new", 0), long])
    assert store.photo("new") is None and store.segment("new_segment_0") is None
    assert store.count_segments() == 1


def test_snapshot_does_not_change(store: FakeTransferCatalog, world: World) -> None:
    add_photo(store, "look", 2)
    other = world.open_another() if isinstance(store, SqlCatalog) else store
    with store.transfer_snapshot() as snapshot:
        other.delete_segment("look_segment_0")
        add_photo(other, "new")
        assert [len(one.garments) for one in snapshot.photos()] == [2]


def test_rows_of_the_original_system_are_counted_and_left_out(sql: SqlCatalog) -> None:
    add_photo(sql, "look", 2)
    with sql.transaction(writes=True) as tx:
        update = "UPDATE splitted_images SET {} WHERE splitted_image_id = 'look_segment_{}'"
        tx.exec_driver_sql(update.format("vector = '[1, 0]', embedding = NULL, embedder = NULL", 0))
        # adopted, but without a usable vector
        tx.exec_driver_sql(update.format("embedding = NULL, embedder = NULL, thumbnail_path = NULL", 1))
    sql.add_vectors(OTHER, {row_id: unit(1, 2) for row_id in sql.matching_row_ids(None, {}).tolist()})
    with sql.transfer_snapshot() as snapshot:
        assert snapshot.counts().garments == snapshot.counts().legacy_garments == 1
        ((only,),) = [one.garments for one in snapshot.photos()]
    assert (only.segment.name, only.embedder, [*only.vectors]) == ("look_segment_1", None, [OTHER])
    sql.delete_segment("look_segment_0")
    sql.delete_segment("look_segment_1")
    sql.import_photos([TransferPhoto("look", None, None, (only,))])
    assert sql.photo("look") is None and [one.name for one in sql.segments_of_photo("look")] == ["look_segment_1"]
    assert len(sql.changes(OTHER, 0).row_ids) == 1 and len(sql.changes(MODEL, 0).row_ids) == 0
