"""Contract of browsing: sorted pages while rows come and go, fields of products, and other columns of feeds."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.browse import GARMENT_SORTS, OWN_PRODUCT_FIELDS, PRODUCT_SORTS, Sort
from lookalike.domain.feed_columns import comparable
from lookalike.domain.filter import Condition, Filter, matches_filter
from lookalike.domain.model import ProductDetails
from lookalike.domain.product import Money, Product
from lookalike.usecases.browse import Browse, BrowseRequest, pages
from tests.contracts.rows import MODEL, World, add_photo, few_examples, garment, photo, serial
from tests.contracts.test_products import stored
from tests.fakes.catalog import FakeCatalog
from tests.fakes.products import own_values


@pytest.fixture
def store(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


@pytest.fixture(params=["by id", "in chunks"])
def browse(request: pytest.FixtureRequest, store: FakeCatalog, monkeypatch: pytest.MonkeyPatch) -> Browse:
    """Browsing that sorts selected rows by their ids, or reads the rows of the catalog in chunks."""
    if request.param == "in chunks":
        monkeypatch.setattr(pages, "MAX_IDS", 0)
        monkeypatch.setattr(pages, "CHUNK", 2)
    return Browse(store, store, store, b"k" * 32)


def add_row(store: FakeCatalog, score: float | None, price: int | None) -> str:
    """Store a photo with one garment of that score and, if it has a price, a product that it shows. Returns its name."""
    name = f"row{next(serial):06d}"
    store.add_photo(photo(name), [replace(garment(name), score=score)], MODEL)
    if price is not None:
        money = Money(Decimal(price), "EUR")
        store.save_product(stored(Product(name, price=money if price else None), f"{name}_segment_0"))
    return name


def remove_row(store: FakeCatalog, name: str) -> None:
    store.delete_segment(f"{name}_segment_0")
    store.delete_product(name)


SORTS = st.builds(Sort, st.sampled_from(sorted({*GARMENT_SORTS, *PRODUCT_SORTS})), st.booleans())
VALUES = st.tuples(st.sampled_from([None, 0.1, 0.25, 0.5, 1 / 3]), st.sampled_from([None, 0, 1, 2]))
CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 9), VALUES), max_size=8)


@few_examples
@given(
    rows=st.lists(VALUES, max_size=8), changes=CHANGES, sort=SORTS, limit=st.integers(1, 3), is_filtered=st.booleans()
)
def test_pages_show_each_row_that_stays_once(
    store: FakeCatalog,
    browse: Browse,
    rows: list[tuple[float | None, int | None]],
    changes: list[tuple[bool, int, tuple[float | None, int | None]]],
    sort: Sort,
    limit: int,
    is_filtered: bool,
) -> None:
    """Between two pages, a row is added or deleted."""
    alive = [add_row(store, *values) for values in rows]
    own_field = "label" if sort.field in GARMENT_SORTS else "feed"
    wanted = {own_field: Condition(("dress",) if own_field == "label" else ("shop",))} if is_filtered else {}
    throughout, remaining, seen, cursor = set(alive), list(changes), list[str](), None
    while True:
        request = BrowseRequest(filter=wanted, sort=sort, limit=limit, cursor=cursor)
        if own_field == "label":
            garments = browse.list_garments(request)
            seen, cursor = seen + [one.segment.photo for one in garments.garments], garments.cursor
        else:
            products = browse.list_products(request)
            seen, cursor = seen + [one.stored.product.id for one in products.products], products.cursor
        assert len(set(seen)) == len(seen)
        if cursor is None:
            break
        if remaining:
            is_new, number, values = remaining.pop()
            if is_new:
                alive.append(add_row(store, *values))
            elif alive:
                throughout.discard(gone := alive.pop(number % len(alive)))
                remove_row(store, gone)
    with_product = {*store.products(sorted(throughout))}
    assert set(seen) >= (throughout if own_field == "label" else with_product)
    for name in alive:
        remove_row(store, name)


def test_order_and_total(store: FakeCatalog, browse: Browse) -> None:
    names = [add_row(store, score, price) for score, price in ((0.5, 2), (None, None), (0.25, 0), (0.5, 1))]
    for field, expected in (("score", [2, 0, 3, 1]), ("price", [3, 0, 1, 2]), ("id", [0, 1, 2, 3])):
        page = browse.list_garments(BrowseRequest(sort=Sort(field)))
        assert ([one.segment.photo for one in page.garments], page.total) == ([names[one] for one in expected], 4)
    down = browse.list_garments(BrowseRequest(sort=Sort("score", is_descending=True)))
    assert [one.segment.photo for one in down.garments] == [names[one] for one in (3, 0, 2, 1)]
    products = browse.list_products(BrowseRequest(sort=Sort("price", is_descending=True)))
    assert ([one.stored.product.id for one in products.products], products.total) == ([names[0], names[3], names[2]], 3)


TEXTS = st.sampled_from(
    ["red", "Red", "red ", "42", "42.0", "-1.5", "", "réd", '["42", "red"]', "[1.5, 2]", "[oops", "\U0001f457"]
)
BOUNDS = st.sampled_from([42.0, -1.5, 1.5, 0.0, 79.99])
CONDITIONS = st.one_of(
    st.builds(Condition, st.lists(st.one_of(TEXTS, BOUNDS), min_size=1, max_size=3).map(tuple)),
    st.builds(lambda first, second: Condition((), min(first, second), max(first, second)), BOUNDS, BOUNDS),
)
COLUMNS = ("gtin", "Größe", 'a "quoted" % column', "custom_label_0")
FIELDS = [*(f"feed.{name}" for name in COLUMNS), "material", "price", "brand", "size"]
PRODUCTS = st.builds(
    lambda price, texts, extra: Product(
        "x", price=price and Money(price, "EUR"), size=("red", "42"), extra=extra, **texts
    ),
    st.none() | st.sampled_from(["79.99", "42", "1.5"]).map(Decimal),
    st.dictionaries(st.sampled_from(["material", "brand"]), TEXTS),
    st.dictionaries(st.sampled_from(COLUMNS), TEXTS),
)


@few_examples
@given(products=st.lists(PRODUCTS, max_size=4), wanted=st.dictionaries(st.sampled_from(FIELDS), CONDITIONS, max_size=3))
def test_database_agrees_with_brute_force(store: FakeCatalog, products: list[Product], wanted: Filter) -> None:
    if not store.segments_of_photo("look"):
        add_photo(store, "look", 2)
    for product_id, _ in store.product_ids_of_feed("shop"):
        store.delete_product(product_id)
    for number, product in enumerate(products):
        store.save_product(stored(replace(product, id=f"p{number}"), f"look_segment_{number % 2}"))
    values = {name: own_values(one) for name, one in store.products([f"p{number}" for number in range(4)]).items()}
    matching = [name for name, of_product in values.items() if matches_filter(wanted, of_product)]
    assert store.matching_product_ids(wanted) == matching
    first = {f"look_segment_{int(name[1]) % 2}": name for name in reversed(matching)}
    assert store.product_ids(["look_segment_0", "look_segment_1", "none"], wanted) == first
    columns = {name: condition for name, condition in wanted.items() if name.startswith("feed.")}
    shown = {int(name[1]) % 2 for name in values if matches_filter(columns, values[name])}
    row_ids = [one.row_id for one in store.segments_of_photo("look")]
    expected = [row_ids[number] for number in sorted(shown)] if columns else row_ids
    assert store.matching_row_ids(None, columns).tolist() == expected
    assert store.product_facet_counts(["feed.gtin", "material"]) == facets_of(values, ["feed.gtin", "material"])


def facets_of(values: Mapping[str, Mapping[str, Any]], names: list[str]) -> dict[str, list[tuple[str, int]]]:
    counted = {}
    for name in names:
        found = [values[one].get(name) for one in values]
        items = [
            {text for text in ([one] if isinstance(one, str) else one or ()) if isinstance(text, str)} for one in found
        ]
        texts = sorted({text for one in items for text in one})
        counted[name] = sorted(
            ((text, sum(text in one for one in items)) for text in texts), key=lambda pair: (-pair[1], pair[0])
        )
    return counted


def test_columns_of_feeds(store: FakeCatalog) -> None:
    assert store.feed_columns() == store.feed_columns(["gtin"]) == []
    extra = {"gtin": "42", "b": '["x", "y"]', " odd": "1", "x" * 300: "1", "long": "z" * 20_000, "custom_label_3": "1"}
    store.save_product(stored(Product("1", extra=extra)))
    store.save_product(stored(Product("2", extra={"Gtin": "7"})))
    assert store.feed_columns() == ["Gtin", "b", "custom_label_3", "gtin"]
    assert store.feed_columns(limit=2) == ["Gtin", "b"] and store.feed_columns(["gtin", "none", "GTIN"]) == ["gtin"]
    store.save_product(stored(Product("1", extra={"gtin": "43"})))
    assert store.feed_columns() == ["Gtin", "gtin"]
    assert store.matching_product_ids({"feed.gtin": Condition(("42",))}) == []
    store.delete_product("1")
    assert store.feed_columns() == ["Gtin"]


def test_facets_of_products_that_garments_show(store: FakeCatalog) -> None:
    row_ids = np.array(add_photo(store, "look", 2), np.int64)
    store.put_details([ProductDetails("look", brand="Ost")])
    for number, (color, drop) in enumerate((("red", "1"), ("blue", "2"), ("red", '["1", "3"]'))):
        price = Money(Decimal("9.50"), "EUR")
        one = Product(f"p{number}", color=color, price=price, extra={"drop": drop}, size=("S", "M"))
        store.save_product(stored(one, "look_segment_0"))
    fields = ["color_name", "feed.drop", "price", "brand"]
    assert store.facet_counts(None, fields, row_ids) == {
        "color_name": [("blue", 1), ("red", 1)],
        "feed.drop": [("1", 1), ("2", 1), ("3", 1)],
        "price": [(9.5, 1)],
        "brand": [("Ost", 2)],
    }
    red = {"color_name": Condition(("red",)), "feed.drop": Condition((3.0,))}
    shown = store.facet_counts(MODEL, fields, row_ids, shown=red)
    assert shown["color_name"] == [("red", 1)] and shown["feed.drop"] == [("1", 1), ("3", 1)]
    assert store.facet_counts(None, ["feed.drop"], row_ids[1:]) == {"feed.drop": []}
    assert store.product_facet_counts(["size", "feed", "price"], ["p0", "p1"]) == {
        "size": [("M", 2), ("S", 2)],
        "feed": [("shop", 2)],
        "price": [(9.5, 2)],
    }
    countable = [name for name in OWN_PRODUCT_FIELDS if name != "created"]
    assert [*store.product_facet_counts(countable)] == countable
    assert store.product_ids_shown_by(row_ids) == {"p0", "p1", "p2"} and not store.product_ids_shown_by(row_ids[1:])
    found = store.segments_by_name(["look_segment_1", "look_segment_0", "none"])
    assert [one.name for one in found] == ["look_segment_0", "look_segment_1"]


def test_numbers_of_columns() -> None:
    assert comparable("042.50") == ("042.50", Decimal("42.5"))
    for text in ("", "1e5", "NaN", "Infinity", "1_000", "٤٢", "42 cm", "9" * 31, "0x10"):
        assert comparable(text) == (text,)
