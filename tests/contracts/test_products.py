"""Contract of the port `Products`, and of filters on products."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.catalog import SqlCatalog
from lookalike.domain.errors import InvalidField
from lookalike.domain.filter import FEED_FIELDS, Condition, Filter, matches_filter
from lookalike.domain.model import ProductDetails
from lookalike.domain.product import Money, Offer, Product
from lookalike.domain.stored_product import (
    LineOutcome,
    LineStatus,
    StoredPicture,
    StoredProduct,
    feed_values,
    product_photo_name,
    text_fingerprint,
)
from tests.contracts.rows import MODEL, World, add_photo, few_examples, garment, photo
from tests.fakes.catalog import FakeCatalog

NOW = datetime(2026, 11, 28, 12, 0, 0, 123456, tzinfo=UTC)
DRESS = Product(
    id="SKU-1 👗",
    title="Linen dress",
    description="Long " * 1000,
    link="https://shop.example/1?a=ä",
    pictures=("https://shop.example/1.jpg", "https://shop.example/1-back.jpg"),
    item_group_id="G1",
    price=Money(Decimal("79.99"), "EUR"),
    sale_price=Money(Decimal("59.9950"), "EUR"),
    availability="in_stock",
    brand="Märlow",
    color="Red/White",
    size=("S", "M"),
    gender="female",
    age_group="adult",
    material="linen",
    pattern="striped",
    google_product_category="2271",
    product_type="Women > Dresses",
    extra={"custom_label_0": "summer", "custom_label_4": "", "gtin": "42", "Größe": "x"},
)


@pytest.fixture
def store(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


def stored(product: Product = DRESS, *garments: str | None, feed: str = "shop", **fields: Any) -> StoredProduct:
    """A product whose pictures show these garments: `look_segment_0` of the photo `look`."""
    pictures = [
        StoredPicture(
            f"https://shop.example/{number}.jpg", '"e"', "now", "ab" * 32, name and name.split("_segment")[0], name
        )
        for number, name in enumerate(garments)
    ]
    product = replace(product, pictures=tuple(picture.address for picture in pictures))
    return StoredProduct(product, feed, tuple(pictures), **fields)


def test_product_is_returned_as_it_was_saved(store: FakeCatalog) -> None:
    add_photo(store, "look", 2)
    for one in (
        stored(DRESS, "look_segment_1", None),
        stored(Product("bare")),
        stored(replace(DRESS, id="3"), gone=NOW),
    ):
        store.save_product(one)
        found = store.products([one.product.id, "unknown", "sku-1 👗", "\ud800"])
        assert {**found} == {one.product.id: replace(one, pictures=found[one.product.id].pictures)}
        assert found[one.product.id].fingerprint == text_fingerprint(one.product)
    first, second = store.products([DRESS.id])[DRESS.id].pictures
    assert first == stored(DRESS, "look_segment_1").pictures[0] and second.photo is None


def test_save_replaces_a_product_and_keeps_the_time_of_its_creation(store: FakeCatalog) -> None:
    store.save_product(stored(DRESS, None, None, None))
    before = store.products([DRESS.id])[DRESS.id]
    changed = stored(replace(DRESS, price=None, size=(), extra={}), None)
    store.save_product(changed)
    after = store.products([DRESS.id])[DRESS.id]
    assert after == replace(changed, pictures=after.pictures) and after.created == before.created
    assert [picture.address for picture in after.pictures] == ["https://shop.example/0.jpg"]
    assert before.updated and after.updated and after.updated > before.updated


def test_pictures_forget_photos_and_garments_that_were_deleted(store: FakeCatalog) -> None:
    add_photo(store, "look", 2)
    store.save_product(stored(DRESS, "look_segment_1"))
    store.delete_segment("look_segment_1")
    (picture,) = store.products([DRESS.id])[DRESS.id].pictures
    assert picture.garment is None and picture.photo == "look" and picture.etag
    store.delete_segment("look_segment_0")
    (picture,) = store.products([DRESS.id])[DRESS.id].pictures
    assert picture == StoredPicture("https://shop.example/0.jpg")


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "x" * 256},
        {"id": "end "},
        {"title": "\ud800"},
        {"description": "x" * 20_000},
        {"extra": {"custom_label_0": "\ud800"}},
        {"price": Money(Decimal("1.00001"), "EUR")},
        {"price": Money(Decimal("-1"), "EUR")},
        {"price": Money(Decimal("1e15"), "EUR")},
        {"price": Money(Decimal("NaN"), "EUR")},
        {"price": Money(Decimal(1), "EUROS")},
        {"sale_price": Money(Decimal(1), "USD")},
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_refused(store: FakeCatalog, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidField):
        store.save_product(stored(replace(DRESS, **fields)), [ProductDetails("look")])
    assert store.product_ids_of_feed("shop") == [] and store.details(["look"]) == {}


@few_examples
@given(ten_thousandths=st.integers(0, 2**63 - 1))
def test_amounts_are_exact(store: FakeCatalog, ten_thousandths: int) -> None:
    price = Money(Decimal(ten_thousandths).scaleb(-4), "JPY")
    store.save_product(stored(replace(DRESS, price=price, sale_price=None)))
    assert store.products([DRESS.id])[DRESS.id].product.price == price


def test_details_are_saved_and_dropped_with_the_product(store: FakeCatalog) -> None:
    add_photo(store, "look", 2)
    store.put_details([ProductDetails("look_segment_1", brand="Oldbrand"), ProductDetails("other", brand="Other")])
    store.save_product(
        stored(DRESS, "look_segment_0"),
        [ProductDetails("look_segment_0", brand="Newbrand")],
        ["look_segment_1", "none"],
    )
    found = store.details(["look_segment_0", "look_segment_1", "other"])
    assert {name: one.brand for name, one in found.items()} == {"look_segment_0": "Newbrand", "other": "Other"}
    assert store.has_text("newbrand") and not store.has_text("oldbrand")
    store.delete_product(DRESS.id, [ProductDetails("other", brand="Third")], ["look_segment_0"])
    assert store.products([DRESS.id]) == {} and store.details(["look_segment_0"]) == {}
    assert not store.has_text("newbrand") and store.has_text("third")
    store.delete_product(DRESS.id)


def test_products_of_a_feed(store: FakeCatalog) -> None:
    for name, feed in (("b", "one"), ("a", "one"), ("B", "one"), ("c", "two"), ("d", "ONE")):
        store.save_product(stored(Product(name), feed=feed))
    store.mark_products_gone(["a", "c", "unknown"], NOW)
    store.mark_products_gone(["a", "B"], NOW + timedelta(days=1))
    assert store.product_ids_of_feed("one") == [("B", True), ("a", True), ("b", False)]
    gone = {name: one.gone for name, one in store.products(["a", "b", "B", "c"]).items()}
    assert gone == {"a": NOW, "b": None, "B": NOW + timedelta(days=1), "c": NOW}


def test_garments_show_products(store: FakeCatalog) -> None:
    add_photo(store, "look", 3)
    # code points, not a language, give the order: é is after z, and both are after the capital letters
    for name, garments in (
        ("é", ["look_segment_1"]),
        ("z", ["look_segment_1"]),
        ("b", ["look_segment_0"]),
        ("a", ["look_segment_0", "look_segment_2"]),
        ("c", [None]),
    ):
        store.save_product(stored(Product(name), *garments))
    names = ["look_segment_0", "look_segment_2", "LOOK_segment_0", "look_segment_3"]
    assert store.product_ids(["look_segment_1"]) == {"look_segment_1": "z"}
    assert store.first_products_showing(names, without="") == {
        "look_segment_0": store.products(["a"])["a"],
        "look_segment_2": store.products(["a"])["a"],
    }
    assert store.first_products_showing(names, without="a") == {"look_segment_0": store.products(["b"])["b"]}
    assert store.product_ids(names) == {"look_segment_0": "a", "look_segment_2": "a"}
    assert store.photos_in_use(["look", "other"]) == {"look"}


def test_offers_are_exact(store: FakeCatalog) -> None:
    price, sale_price = Money(Decimal("79.99"), "EUR"), Money(Decimal("59.5"), "EUR")
    store.save_product(stored(Product("reduced", price=price, sale_price=sale_price, availability="in_stock")))
    store.save_product(stored(Product("unknown")))
    assert store.offers(["reduced", "unknown", "missing"]) == {
        "reduced": Offer("reduced", price, sale_price, "in_stock"),
        "unknown": Offer("unknown"),
    }


def test_unused_photos_of_products(store: FakeCatalog) -> None:
    for number, name in enumerate(("used", "unused", "named by a user")):
        sha256 = f"{number:x}" * 64
        own = product_photo_name(sha256) if number < 2 else product_photo_name("f" * 64)
        store.add_photo(replace(photo(own), sha256=sha256), [garment(own)], MODEL)
        if name == "used":
            store.save_product(stored(DRESS, f"{own}_segment_0"))
    add_photo(store, "look")
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert store.unused_product_photos(later) == ["product-1111111111111111"]
    assert store.unused_product_photos(later - timedelta(hours=1)) == []


def test_price_currencies(store: FakeCatalog) -> None:
    assert store.price_currencies() == []
    for number, currency in enumerate(("USD", "EUR", "EUR")):
        store.save_product(stored(Product(str(number), price=Money(Decimal(1), currency))))
    store.save_product(stored(Product("without")))
    assert store.price_currencies() == ["EUR", "USD"]


def test_outcomes_of_lines(store: FakeCatalog) -> None:
    first = [
        LineOutcome(1, LineStatus.STORED, "a"),
        LineOutcome(2, LineStatus.FAILED, None, "x" * 20_000),
        LineOutcome(3, LineStatus.UNCHANGED, "c"),
    ]
    store.record_lines("shop", first, NOW)
    store.record_lines("other", first[:1], NOW)
    later = NOW + timedelta(seconds=1)
    store.record_lines("shop", [LineOutcome(1, LineStatus.FAILED, "a", "why")], later)
    store.record_lines("shop", [], later)
    reasons = [(one.number, one.status.value, len(one.reason or "")) for one in store.lines("shop")]
    assert reasons[0] == (1, "failed", 3) and reasons[1][:2] == (2, "failed") and reasons[2] == (3, "unchanged", 0)
    assert store.delete_lines("shop", later) == 2
    assert [*store.lines("shop")] == [LineOutcome(1, LineStatus.FAILED, "a", "why")]
    assert [*store.lines("other")] == first[:1] and [*store.lines("none")] == []


def test_interrupted_synchronization_is_found(store: FakeCatalog) -> None:
    day, later = timedelta(days=1), NOW + timedelta(hours=1)
    assert store.begin_sync("shop", NOW, NOW - day) == NOW
    assert store.begin_sync("shop", later, later - day) == NOW and store.begin_sync("SHOP", later, later - day) == later
    assert store.begin_sync("shop", later, later) == later
    outcomes = [
        LineOutcome(1, LineStatus.STORED, "a"),
        LineOutcome(2, LineStatus.FAILED, "b"),
        LineOutcome(3, LineStatus.FAILED),
    ]
    store.record_lines("shop", [*outcomes, LineOutcome(4, LineStatus.UNCHANGED, "d")], NOW)
    store.record_lines("shop", [LineOutcome(5, LineStatus.UNCHANGED, "e")], later)
    assert store.products_done_since("shop", NOW) == {"a", "d", "e"}
    assert store.products_done_since("shop", later) == {"e"} and store.products_done_since("other", NOW) == set()
    store.end_sync("shop")
    assert store.begin_sync("shop", later + day, NOW) == later + day


def between(minimum: float | None, maximum: float | None) -> Condition:
    return Condition((), minimum, maximum)


def one_of(*values: str | float) -> Condition:
    return Condition(values)


@pytest.fixture
def shop(store: FakeCatalog) -> dict[str, int]:
    """Row ids by garment name. Garment 0 shows two products; garment 1 of the same photo shows none."""
    row_ids = dict(zip(("0", "1"), add_photo(store, "look", 2), strict=True))
    row_ids["2"] = add_photo(store, "second", 1)[0]
    cheap = replace(DRESS, id="cheap", price=Money(Decimal("10.10"), "EUR"), sale_price=None, color="blue")
    dear = replace(DRESS, id="dear", price=Money(Decimal("79.99"), "EUR"), color="red")
    dollars = Product("dollars", price=Money(Decimal("79.9901"), "USD"), availability="out_of_stock", color="Red")
    store.save_product(stored(cheap, "look_segment_0"))
    store.save_product(stored(dear, "look_segment_0"), [ProductDetails("look_segment_0", brand="Ost")])
    store.save_product(stored(dollars, "second_segment_0"), [ProductDetails("second", brand="Ost")])
    return row_ids


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"product_id": one_of("cheap")}, "0"),
        ({"product_id": one_of("Cheap")}, ""),
        ({"item_group_id": one_of("G1")}, "0"),
        ({"price": between(None, 80)}, "02"),
        ({"price": between(79.99, 79.99)}, "0"),
        ({"price": between(79.9901, None)}, "2"),
        ({"price": between(79.99005, 79.99015)}, "2"),
        ({"price": between(79.99001, 79.99009)}, ""),
        ({"price": one_of(10.1)}, "0"),
        ({"price": one_of("10.10")}, ""),
        ({"price": between(-1e308, 1e308)}, "02"),
        ({"price": between(20, None), "color_name": one_of("blue")}, ""),
        ({"price": between(None, 20), "color_name": one_of("blue")}, "0"),
        ({"price": between(None, 80), "currency": one_of("USD")}, "2"),
        ({"sale_price": between(0, None)}, "0"),
        ({"color_name": one_of("red", "Red")}, "02"),
        ({"availability": one_of("out_of_stock"), "label": one_of("dress")}, "2"),
        ({"custom_label_0": one_of("summer")}, "0"),
        ({"brand": one_of("Ost"), "currency": one_of("EUR", "USD")}, "02"),
        ({"brand": one_of("Ost"), "product_type": one_of("Women > Dresses")}, "0"),
        ({"custom_label_1": one_of("summer")}, ""),
    ],
    ids=str,
)
def test_filters_on_products(store: FakeCatalog, shop: dict[str, int], wanted: Filter, expected: str) -> None:
    row_ids = store.matching_row_ids(MODEL, wanted).tolist()
    assert "".join(name for name, row_id in shop.items() if row_id in row_ids) == expected
    among = [shop["0"], shop["1"]]
    assert store.matching_row_ids(None, wanted, among).tolist() == [one for one in row_ids if one in among]


TEXTS = st.sampled_from(["red", "Red", "RED ", "réd", "", "x" * 1000, "\U0001f457", "\ud800", "1"])
AMOUNTS = st.sampled_from(["0", "0.0001", "79.99", "79.9901", "100", "922337203685477.5807"]).map(Decimal)
BOUNDS = st.sampled_from([0.0, -1.0, 0.0001, 0.00005, 79.99, 79.9901, 79.990100000000005, 100.0, 1e-9, 9e14, 1e308])
CONDITIONS = st.one_of(
    st.builds(Condition, st.lists(st.one_of(TEXTS, BOUNDS), min_size=1, max_size=3).map(tuple)),
    st.builds(lambda first, second: between(min(first, second), max(first, second)), BOUNDS, BOUNDS),
    st.builds(lambda maximum: between(None, maximum), BOUNDS),
)
STORABLE = TEXTS.filter(lambda text: text != "\ud800")
PRODUCTS = st.builds(
    lambda price, sale, texts, labels: Product(
        "x",
        price=None if price is None else Money(price, "EUR"),
        sale_price=None if sale is None else Money(sale, "EUR"),
        extra={f"custom_label_{number}": text for number, text in enumerate(labels)},
        **texts,
    ),
    st.none() | AMOUNTS,
    st.none() | AMOUNTS,
    st.dictionaries(st.sampled_from(["availability", "color", "material", "product_type"]), STORABLE),
    st.lists(STORABLE, max_size=5),
)


@few_examples
@given(
    shown=st.lists(st.tuples(st.integers(0, 2), PRODUCTS), min_size=1, max_size=4),
    wanted=st.dictionaries(st.sampled_from([*FEED_FIELDS, "label", "brand"]), CONDITIONS, min_size=1, max_size=3),
)
def test_database_agrees_with_brute_force(store: FakeCatalog, shown: list[tuple[int, Product]], wanted: Filter) -> None:
    if not store.segments_of_photo("look"):
        add_photo(store, "look", 3)
        store.put_details([ProductDetails("look_segment_0", brand="red"), ProductDetails("look", brand="1")])
    for product_id, _ in store.product_ids_of_feed("shop"):
        store.delete_product(product_id)
    products = [(number, replace(product, id=f"p{serial}")) for serial, (number, product) in enumerate(shown)]
    for number, product in products:
        store.save_product(stored(product, f"look_segment_{number}"))
    assert store.matching_row_ids(MODEL, wanted).tolist() == brute_force(store, products, wanted)


def brute_force(store: FakeCatalog, products: list[tuple[int, Product]], wanted: Filter) -> list[int]:
    expected = []
    for number, segment in enumerate(store.segments_of_photo("look")):
        details = store.details([segment.name, segment.photo])
        own = details.get(segment.name) or details[segment.photo]
        values: Mapping[str, object] = {"label": segment.label, "brand": own.brand}
        of_products = [feed_values(product) for shown, product in products if shown == number] or [{}]
        if any(matches_filter(wanted, {**values, **one}) for one in of_products):
            expected.append(segment.row_id)
    return expected


def test_another_process_sees_the_product(world: World, store: FakeCatalog) -> None:
    store.save_product(stored())
    other: FakeCatalog = world.open_another()  # type: ignore[assignment]
    assert other.products([DRESS.id]) == store.products([DRESS.id])


def test_many_products_are_read_in_batches(sql: SqlCatalog) -> None:
    ids = [f"p{number:04d}" for number in range(1101)]
    for product_id in itertools.islice(ids, 0, None, 50):
        sql.save_product(stored(Product(product_id)))
    assert [*sql.products(ids)] == ids[::50]
