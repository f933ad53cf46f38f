"""Edits of products, with the synchronizations that follow."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from lookalike.adapters.product_feeds import read_columns
from lookalike.domain.errors import Conflict, InvalidField, NotFound
from lookalike.domain.model import Caller
from lookalike.domain.product import Money
from lookalike.domain.stored_product import StoredProduct
from lookalike.usecases.edit_product import EditProduct
from tests.contracts.test_api_keys import api_key
from tests.usecases.catalog_sync_harness import SyncHarness

ANNA = Caller("anna", is_admin=True, email="anna@example.com")
EUROS = Money(Decimal("79.99"), "EUR")
FIELDS: dict[str, Any] = {
    "title": "Top of linen",
    "price": EUROS,
    "brand": "Ost",
    "extra": {"fabric": "linen", "drop": "7"},
}


class Shop(SyncHarness):
    """A shop with the product 1, a red top."""

    def __init__(self) -> None:
        super().__init__()
        self.use_case = EditProduct(self.catalog, self.catalog, read_columns, lambda: self.now)
        self.feed = self.product("1", **FIELDS)
        self.sync([self.feed])

    def edit(self, use_feed_value: tuple[str, ...] = (), caller: Caller = ANNA, **columns: Any) -> None:
        self.now += timedelta(minutes=1)
        texts = {name: [value] if isinstance(value, str) else value for name, value in columns.items()}
        self.use_case.edit("1", texts, use_feed_value, caller)

    @property
    def stored(self) -> StoredProduct:
        return self.catalog.products(["1"])["1"]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_edited_fields_are_kept_over_the_feed_until_the_edit_is_removed(shop: Shop) -> None:
    shop.edit(title="Shirt", price="59.90", fabric="silk", brand="", note="new")
    for report in (None, shop.sync([replace(shop.feed, title="Blouse", color="red", extra={"fabric": "wool"})])):
        product = shop.stored.product
        assert (product.title, product.price, product.brand) == ("Shirt", Money(Decimal("59.90"), "EUR"), None)
        assert (product.extra["fabric"], product.extra["note"]) == ("silk", "new")
        details = shop.details("1")
        assert details and (details.product_name, details.brand) == ("Shirt", None)
        assert report is None or (report.changed, product.color, "drop" in product.extra) == (1, "red", False)
    assert {edit.field: edit.feed_value for edit in shop.stored.edits} == {
        "brand": "Ost",
        "fabric": "wool",
        "note": None,
        "price": EUROS,
        "title": "Blouse",
    }
    assert {(edit.editor, edit.editor_name) for edit in shop.stored.edits} == {("anna", "anna@example.com")}
    shop.edit(("title", "brand", "note", "price"))
    product = shop.stored.product
    assert (product.title, product.price, product.brand) == ("Blouse", EUROS, "Ost")
    assert product.extra == {"fabric": "silk"} and [edit.field for edit in shop.stored.edits] == ["fabric"]
    assert shop.sync([replace(shop.feed, title="Blouse", color="red", extra={"fabric": "wool"})]).unchanged == 1


def test_edit_remembers_who_set_the_value_last(shop: Shop) -> None:
    shop.edit(title="First")
    first = shop.stored
    shop.edit(title="First", caller=Caller("bert", email="bert@example.com"))
    assert shop.stored.updated == first.updated, "the same value again changes nothing"
    shop.edit(title="Second", caller=Caller(key=api_key("one")))
    (edit,) = shop.stored.edits
    assert (edit.value, edit.feed_value, edit.at) == ("Second", "Top of linen", shop.now)
    assert (edit.editor, edit.editor_name) == ("key:one", None)


def test_edited_type_chooses_the_garment_that_is_the_product(shop: Shop) -> None:
    top = shop.stored.garments
    shop.edit(product_type="Skirts", title="Red")
    (skirt,) = shop.stored.garments
    assert {skirt} != top and shop.catalog.details([skirt])[skirt].product_name == "Red"
    assert shop.catalog.details(sorted(top)) == {}
    shop.sync([shop.feed])
    assert shop.stored.garments == {skirt}
    shop.edit(("product_type", "title"))
    assert shop.stored.garments == top


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"link": "javascript:alert(1)"}, "link: .* is not an http or https address"),
        ({"price": "cheap"}, "price: .* is not a price"),
        ({"price": "-1 EUR"}, "negative"),
        ({"sale_price": "10 USD"}, "same currency"),
        ({"title": "x" * 1001}, "title: has 1,001 characters; the limit is 1,000"),
        ({"title": ["a", "b"]}, "title: has 2 values"),
        ({"image_link": "https://shop.example/2.png"}, "image_link: cannot be edited"),
        ({"ID": "2"}, "id: cannot be edited"),
        ({"a" * 256: ""}, "a column's name"),
        ({"fabric": "\0"}, "NUL"),
        ({"title": "a", "g:title": "b"}, "two names"),
    ],
)
def test_values_are_checked_as_those_of_feeds(shop: Shop, columns: dict[str, Any], message: str) -> None:
    before = shop.stored
    with pytest.raises(InvalidField, match=message):
        shop.edit(**columns)
    assert shop.stored == before


def test_values_are_read_as_those_of_feeds(shop: Shop) -> None:
    columns: dict[str, Any] = {
        "Sale Price": "1.299,00 EUR",
        "size": ["S", "M"],
        "availability": "In Stock",
        "tags": ["a", "b"],
    }
    shop.edit(**columns, description="<b>Of</b> linen")
    product = shop.stored.product
    assert (product.sale_price, product.size, product.availability, product.description) == (
        Money(Decimal("1299.00"), "EUR"),
        ("S", "M"),
        "in_stock",
        "Of linen",
    )
    assert product.extra["tags"] == '["a", "b"]'


def test_unknown_products_and_edits_are_refused(shop: Shop) -> None:
    with pytest.raises(NotFound):
        shop.use_case.edit("2", {"title": ["x"]}, (), ANNA)
    with pytest.raises(InvalidField, match="'title' is not edited"):
        shop.edit(("title",))
    shop.edit(title="x")
    with pytest.raises(InvalidField, match="'title' has a new value"):
        shop.edit(("title",), title="y")


def test_edit_during_a_synchronization_is_not_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The synchronization has read the product before the edit, and stores it afterwards."""
    save = shop.catalog.save_product
    edited: list[bool] = []

    def edit_first(*arguments: object, **others: object) -> None:
        if not edited:
            edited.append(True)
            shop.edit(title="Edited", product_type="Skirts")
        save(*arguments, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.catalog, "save_product", edit_first)
    report = shop.sync([replace(shop.feed, title="Blouse", price=replace(EUROS, amount=Decimal(5)))])
    product = shop.stored.product
    assert (report.changed, report.failed) == (1, 0)
    assert (product.title, product.price) == ("Edited", Money(Decimal(5), "EUR"))
    assert {edit.field: edit.feed_value for edit in shop.stored.edits} == {"product_type": None, "title": "Blouse"}


def test_product_that_changes_again_and_again_is_a_conflict(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **others: object) -> None:
        raise Conflict("changed")

    monkeypatch.setattr(shop.catalog, "save_product", refuse)
    with pytest.raises(Conflict):
        shop.edit(title="x")


def test_edited_prices_in_another_currency_fail_with_the_line(shop: Shop) -> None:
    shop.edit(price="10 EUR")
    report = shop.sync([replace(shop.feed, price=Money(Decimal(9), "USD"), sale_price=Money(Decimal(8), "USD"))])
    (failure,) = report.failures
    assert failure.reason and "same currency" in failure.reason and shop.stored.product.sale_price is None


def test_product_that_a_feed_deletes_loses_its_edits(shop: Shop) -> None:
    shop.edit(title="x")
    shop.sync([], delete_missing=True, force=True)
    shop.sync([shop.feed])
    assert shop.stored.edits == () and shop.stored.product.title == "Top of linen"
