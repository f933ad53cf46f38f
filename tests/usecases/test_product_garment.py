"""Which garment of a picture is the product, and the product details that follow from a product."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lookalike.domain.model import Box, Segment
from lookalike.domain.product import Money, Product
from lookalike.usecases.catalog_sync.garment import choose_garment, product_details, product_kinds, sale_status


def segment(row_id: int, label: str | None, height: float = 10, box: bool = True) -> Segment:
    name = f"look_segment_{row_id}"
    area = Box(0, 0, 10, height) if box else None
    return Segment(row_id, name, "p", "t", "look", area, label, 0.5, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"product_type": "Women > Dresses > Maxi"}, ["dress"]),
        ({"product_type": "Coats & Jackets", "title": "Linen shirt dress"}, ["outerwear", "dress"]),
        ({"google_product_category": "Apparel & Accessories > Clothing > Shirts & Tops"}, ["top"]),
        ({"google_product_category": "Apparel & Accessories > Handbags, Wallets & Cases > Handbags"}, ["bag"]),
        ({"google_product_category": "2271"}, ["dress"]),
        ({"google_product_category": " 5598 ", "title": "Parka dress"}, ["outerwear", "dress"]),
        ({"google_product_category": "1604", "title": "Skirt with belt bag"}, ["skirt"]),
        ({"product_type": "Sale", "google_product_category": "187", "title": "Boot"}, ["shoes"]),
        ({"product_type": "Jeans", "title": "Wide jeans"}, ["trousers"]),
        ({"title": "Gift card"}, []),
        ({}, []),
    ],
    ids=str,
)
def test_kinds_of_a_product(fields: dict[str, str], kinds: list[str]) -> None:
    assert [*product_kinds(Product("1", **fields))] == kinds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["top", "skirt", "shoes"], 1),
        (["top", "shoes"], 0),
        (["skirt", "skirt", "top"], 1),
        (["dress", "top", "shoes"], 1),
        (["dress", "hat"], 1),
        ([None], 0),
        (["denim skirt", "top"], 0),
    ],
)
def test_garment_that_fits_is_chosen_before_the_largest(labels: list[str | None], expected: int) -> None:
    """Later segments are larger, but for the shoes."""
    product = Product("1", product_type="Skirts", title="Set of top and skirt")
    segments = [segment(n, label, 5 if label == "shoes" else 10 + n) for n, label in enumerate(labels)]
    found = choose_garment(product, segments)
    assert found and found.row_id == expected


def test_largest_garment_is_chosen_if_none_fits() -> None:
    segments = [segment(1, "top", box=False), segment(2, "top", 20), segment(3, "dress", 20), segment(4, "hat", 1)]
    found = choose_garment(Product("1", title="Scarf"), segments)
    assert found and found.row_id == 2
    assert choose_garment(Product("1"), []) is None


@pytest.mark.parametrize(
    ("price", "reduced", "availability", "status"),
    [
        ("10", "8", "in_stock", "on sale"),
        ("10", "8", None, "on sale"),
        ("10", "8", "out_of_stock", "out of stock"),
        ("10", "10", "in_stock", "in stock"),
        (None, "8", "in_stock", "on sale"),
        ("10", None, "preorder", "preorder"),
        (None, None, None, None),
    ],
)
def test_sale_status(price: str | None, reduced: str | None, availability: str | None, status: str | None) -> None:
    prices = [Money(Decimal(one), "EUR") if one else None for one in (price, reduced)]
    assert sale_status(Product("1", price=prices[0], sale_price=prices[1], availability=availability)) == status


def test_text_that_is_too_long_for_details_is_cut() -> None:
    long = "x" * 20_000
    product = Product(
        "1", title=long, description=long, brand=long, link=f"https://a.example/{long}", extra={"season": long}
    )
    details = product_details(product, "look_segment_0")
    assert len(details.product_name or "") == len(details.brand or "") == 255
    assert len(details.store_description or "") == 16_000 and details.url is None and len(details.season or "") == 50
    assert details.tags is None and details.size is None
