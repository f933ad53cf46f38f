"""JSON Lines with the specification's columns and with those of the original's product details."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from lookalike.domain.product import FeedLine, Money, Product
from tests.adapters.product_feeds.feeds import parse, problems, products

ORIGINAL = {
    "image_id": "look-1",
    "store_name": "Ost Graz",
    "brand": "Ost",
    "product_name": "Wool coat",
    "store_description": "<p>Warm</p>",
    "url": "https://ost.example/1",
    "rating": 4.50,
    "tags": ["wool", "winter"],
    "sale_status": "sale",
    "size": ["S", "M"],
    "waist_type": None,
    "season": "winter",
}


def read_one(row: dict[str, Any], currency: str | None = None) -> Product:
    return next(iter(products(json.dumps(row), currency=currency).values()))


def test_original_columns() -> None:
    assert read_one(ORIGINAL) == Product(
        "look-1",
        "Wool coat",
        "Warm",
        "https://ost.example/1",
        brand="Ost",
        size=("S", "M"),
        extra={
            "image_id": "look-1",
            "store_name": "Ost Graz",
            "rating": "4.5",
            "tags": '["wool", "winter"]',
            "sale_status": "sale",
            "season": "winter",
        },
    )


def test_columns_of_the_specification() -> None:
    row = {"id": 1001, "image_link": "https://a.example/1.jpg", "image_id": "look-1", "url": "x", "title": "Coat"}
    row |= {
        "additional_image_link": ["https://a.example/2.jpg", "https://a.example/3,https://x.jpg"],
        "Custom Label 0": "w",
    }
    row |= {"link": None, "is_bundle": False, "details": {"lining": ["silk", 2.50]}, "size": "S;M"}
    found = read_one(row)
    assert found.id == "1001" and found.title == "Coat" and found.link is None and found.size == ("S", "M")
    assert len(found.pictures) == 4
    assert found.extra == {
        "image_id": "look-1",
        "url": "x",
        "custom_label_0": "w",
        "is_bundle": "false",
        "details": '{"lining": ["silk", 2.5]}',
    }


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ('"15.00 EUR"', "15"),
        ("15.10", "15.1"),
        ("99999999999.9999", "99999999999.9999"),
        ("15", "15"),
        ('{"value": "15.00", "currency": "EUR"}', "15"),
        ('{"value": 15.5, "currency": "EUR"}', "15.5"),
    ],
)
def test_prices_are_exact(text: str, amount: str) -> None:
    found = products(f'{{"id": "1", "price": {text}}}', currency="EUR")
    assert found["1"].price == Money(Decimal(amount), "EUR")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"id": "1", "id": "2"}', "not valid JSON: an object has a field twice"),
        ('{"id": "1", "rating": NaN}', "not valid JSON: NaN is not a JSON number"),
        ('{"id": "1", "title": ["a"]}', "title: must be text or a number"),
        ('{"id": true}', "id: must be text or a number"),
        ('{"id": "1", "size": [["S"]]}', "size: must be text or a number"),
        ('{"id": "1", "price": {"amount": 1}}', "price: .* must have value and currency"),
        ('{"id": "1", "price": 1e99}', "price: .*"),
        ('{"id": "1", "title": "\\ud800"}', "title: contains NUL or is not valid Unicode"),
        ('{"id": "1", "x": "a\\u0000"}', "x: contains NUL or is not valid Unicode"),
        ('{"id": "1", "size": "[\\"\\\\ud800\\"]"}', "size: contains NUL or is not valid Unicode"),
        ('{"id": "1", "\\ud800": "x"}', r"\?: contains NUL or is not valid Unicode"),
        ('{"id": "1", "": "x"}', "a column's name must have 1 to 255 characters"),
        ('{"id": "1", "title": "a", "Title": "b"}', "title: has 2 values"),
        ("{" + '"a":{' * 100_000, "not valid JSON"),
    ],
)
def test_invalid_line_stops_nothing(line: str, problem: str) -> None:
    feed = f'{{"id": "0"}}\n{line}\n\n{{"id": "2"}}\n'
    found = problems(feed)
    assert list(found) == [2]
    assert re.match(problem, found[2])
    assert parse(feed)[2] == FeedLine(4, Product("2"))


def test_invalid_utf8_costs_one_line() -> None:
    assert problems(b'{"id": "1"}\n{"id": "2\xff"}\n{"id": "3"}\n') == {2: "not valid UTF-8; save the feed as UTF-8"}
