"""Shopify's product CSV."""

import csv
import io
from decimal import Decimal

import pytest

from lookalike.adapters.product_feeds import shopify
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine, Money, Product
from tests.adapters.product_feeds.feeds import parse, problems, products

CDN = "https://cdn.shop.example/files"
FEED = f"""Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,\
Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,\
Variant Inventory Policy,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Image Position,\
Image Alt Text,Google Shopping / Gender,Google Shopping / Custom Label 0,Variant Image,Status
wool-coat,Wool coat,<p>Warm.</p><p>Long.</p>,Ost,Apparel & Accessories > Clothing,Coats,"wool, winter",TRUE,Colour,Camel,\
Size,38,'1001,1500,shopify,3,deny,299.00,399.00,'400001,{CDN}/coat-back.jpg,3,Back,female,winter,{CDN}/coat-camel.jpg,active
wool-coat,,,,,,,,,Black,,40,,1500,shopify,0,deny,299.00,0.00,,{CDN}/coat-camel.jpg,1,,,,{CDN}/coat-black.jpg,
wool-coat,,,,,,,,,,,,,,,,,,,,{CDN}/coat-black.jpg,2,,,,,
linen-shirt,Linen shirt,,Ost,,,,TRUE,Title,Default Title,,,,,,0,deny,59.5,,,{CDN}/shirt.jpg,1,,,,,active
"""
NEW_FEED = """Title,URL handle,Description,Vendor,Type,Published on online store,Status,SKU,Option1 name,Option1 value,\
Price,Compare-at price,Inventory tracker,Inventory quantity,Continue selling when out of stock,Product image URL,\
Image position,Variant image URL,Google Shopping / Google product category
Wool coat,wool-coat,Warm,Ost,Coats,TRUE,Active,C-1,Length,Long,299.00,,shopify,0,TRUE,https://cdn.shop.example/1.jpg,1,,5598
"""


def feed(*rows: dict[str, str]) -> str:
    """A feed with a header that has the columns of all rows."""
    buffer = io.StringIO()
    names = {name: None for row in ({"Handle": "", "Title": "", "Variant Price": ""}, *rows) for name in row}
    writer = csv.DictWriter(buffer, list(names))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def test_variants_and_pictures_of_a_product() -> None:
    camel, black, shirt = parse(FEED, currency="EUR")
    assert camel == FeedLine(
        2,
        Product(
            id="1001",
            item_group_id="wool-coat",
            title="Wool coat",
            description="Warm.\nLong.",
            brand="Ost",
            product_type="Coats",
            pictures=(f"{CDN}/coat-camel.jpg", f"{CDN}/coat-back.jpg"),
            price=Money(Decimal(399), "EUR"),
            sale_price=Money(Decimal(299), "EUR"),
            availability="in_stock",
            color="Camel",
            size=("38",),
            gender="female",
            extra={
                "Product Category": "Apparel & Accessories > Clothing",
                "Tags": "wool, winter",
                "Variant Grams": "1500",
                "Variant Barcode": "'400001",
                "Image Alt Text": "Back",
                "custom_label_0": "winter",
            },
        ),
    )
    assert isinstance(black, FeedLine) and black.number == 3
    assert black.product.id == "wool-coat/Black/40" and black.product.title == "Wool coat"
    assert black.product.pictures == (f"{CDN}/coat-black.jpg", f"{CDN}/coat-back.jpg")
    assert black.product.price == Money(Decimal(299), "EUR") and black.product.sale_price is None
    assert black.product.availability == "out_of_stock"
    assert black.product.extra.keys() == {"Product Category", "Tags", "Variant Grams", "custom_label_0"}
    assert isinstance(shirt, FeedLine) and shirt.number == 5
    assert shirt.product.id == "linen-shirt" and shirt.product.pictures == (f"{CDN}/shirt.jpg",)
    assert shirt.product.availability == "in_stock", "quantities that are not tracked do not count"


def test_newer_column_names() -> None:
    found = products(NEW_FEED, currency="EUR")["C-1"]
    assert found.item_group_id == "wool-coat" and found.description == "Warm" and found.brand == "Ost"
    assert found.price == Money(Decimal(299), "EUR") and found.availability == "backorder"
    assert found.google_product_category == "5598" and found.pictures == ("https://cdn.shop.example/1.jpg",)
    assert found.extra == {"Length": "Long"}


def test_currency_is_needed_for_prices() -> None:
    with pytest.raises(BadRequest, match="does not name the currency of its prices; give a currency, such as EUR"):
        parse(FEED)
    assert list(products("Handle,Title,Vendor\na,Coat,Ost\n")) == ["a"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"Status": "draft"}, 'Status: is "draft"; only active products are read'),
        ({"Status": "Archived"}, 'Status: is "archived"; only active products are read'),
        ({"Published": "FALSE"}, 'Published: is "false"; only published products are read'),
        ({"Title": ""}, 'Title: is missing on the first line of the product "a"'),
    ],
)
def test_all_lines_of_a_product_that_is_not_for_sale(row: dict[str, str], problem: str) -> None:
    rows = [{"Handle": "a", "Title": "Coat", "Variant SKU": "1", "Vendor": "Ost"} | row, {"Handle": "a"}]
    found = parse(feed(*rows, {"Handle": "b", "Title": "Hat"}), currency="EUR")
    assert found[:2] == [InvalidFeedLine(2, problem, "1"), InvalidFeedLine(3, problem)]
    assert isinstance(found[2], FeedLine) and found[2].product.id == "b"


def test_handles_that_come_back_or_are_missing() -> None:
    rows = [{"Handle": handle, "Title": "Coat"} for handle in ("a", "b", "a", "")]
    assert problems(feed(*rows), currency="EUR") == {
        4: 'handle: "a" had lines further up; sort the feed by handle',
        5: "handle: is missing",
    }


def test_sku_of_several_variants() -> None:
    rows = [{"Handle": "a", "Title": "Coat", "Variant SKU": "1"}, {"Handle": "a", "Variant SKU": "'1"}]
    found = problems(feed(*rows), currency="EUR")
    assert found == dict.fromkeys([2, 3], 'Variant SKU: "1" belongs to several variants')


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"Variant Inventory Qty": "0"}, "out_of_stock"),
        ({"Variant Inventory Qty": "-2", "Variant Inventory Policy": "continue"}, "backorder"),
        ({"Variant Inventory Qty": "7"}, "in_stock"),
        ({"Variant Inventory Qty": ""}, None),
        ({"Variant Inventory Qty": "0", "Variant Inventory Tracker": ""}, "in_stock"),
        ({"Variant Inventory Qty": "0", "Variant Inventory Tracker": "shopify"}, "out_of_stock"),
    ],
)
def test_availability(columns: dict[str, str], expected: str | None) -> None:
    found = products(feed({"Handle": "a", "Title": "Coat", "Variant Price": "1"} | columns), currency="EUR")
    assert found["a"].availability == expected


def test_pictures_without_those_of_variants_follow_their_position() -> None:
    rows = [("9", "c"), ("10", "d"), ("", "e"), ("1", "a"), ("x", "f")]
    lines = [{"Handle": "a", "Image Position": place, "Image Src": f"https://a.example/{name}"} for place, name in rows]
    lines[0]["Title"] = "Coat"
    found = products(feed(*lines), currency="EUR")["a"]
    assert "".join(address[-1] for address in found.pictures) == "acdef"


def test_columns_with_names_of_the_specification_do_not_replace_values() -> None:
    found = products(feed({"Handle": "a", "Title": "Coat", "ID": "99", "Brand": "x", "Vendor": "Ost"}), currency="EUR")
    assert found["a"].brand == "Ost" and found["a"].extra == {"Shopify ID": "99", "Shopify Brand": "x"}


def test_invalid_price_of_one_variant() -> None:
    rows = [
        {"Handle": "a", "Title": "Coat", "Variant SKU": sku, "Variant Price": sku} for sku in ("12", "free", "15.5")
    ]
    found = parse(feed(*rows), currency="EUR")
    assert found[1] == InvalidFeedLine(3, 'price: "free" is not a price; write it like 15.00 USD', "free")
    assert [type(line) for line in found] == [FeedLine, InvalidFeedLine, FeedLine]


def test_names_of_this_format() -> None:
    assert shopify.is_header(FEED.splitlines()[0].split(","))
    assert not shopify.is_header(["id", "title", "handle"])
