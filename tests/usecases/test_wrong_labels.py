"""Likely wrong labels, by products and by neighbors."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lookalike.domain.model import ProductDetails, Segment
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases.wrong_labels import label_against_neighbors, label_against_product, labels_against_products
from tests.contracts.rows import add_photo
from tests.fakes.catalog import FakeCatalog


def labeled(label: str | None) -> Segment:
    return Segment(1, "look_segment_0", "path", None, "look", None, label, 0.5, datetime.now(UTC))


@pytest.mark.parametrize(
    ("own", "neighbors", "expected"),
    [
        ("hat", ["top"] * 9 + ["hat"], ("top", 0.9)),
        ("hat", ["top"] * 7 + ["hat"] * 3, None),
        ("top", ["top"] * 10, None),
        ("hat", ["top"] * 4 + [None] * 6, None),
        ("hat", ["top"] * 5 + [None] * 5, ("top", 1.0)),
        (None, ["top"] * 10, None),
    ],
)
def test_neighbors_must_agree(own: str | None, neighbors: list[str | None], expected: tuple[str, float] | None) -> None:
    found = label_against_neighbors(labeled(own), neighbors)
    assert (found and (found.expected, found.agreement)) == expected


@pytest.mark.parametrize(
    ("own", "fields", "reason"),
    [
        ("hat", {"product_type": "Women > Dresses"}, "product type of product A: Women > Dresses"),
        ("hat", {"google_product_category": "2271", "title": "Summer"}, "category of product A: 2271"),
        ("hat", {"title": "Skirt with belt bag"}, "title of product A: Skirt with belt bag"),
        ("skirt", {"title": "Skirt with belt bag"}, None),
        # one of the fields names the kind
        ("dress", {"product_type": "Women > Tops", "title": "Linen dress"}, None),
        # a label of another detector
        ("denim jeans", {"product_type": "Trousers"}, None),
        ("hat", {"title": "Summer"}, None),
        ("unknown thing", {"product_type": "Dresses"}, None),
        (None, {"product_type": "Dresses"}, None),
    ],
)
def test_product_names_another_kind(own: str | None, fields: dict[str, Any], reason: str | None) -> None:
    found = label_against_product(labeled(own), Product("A", **fields))
    assert (found.product_reason if found else None) == reason


def test_product_of_a_garment_is_that_of_a_feed_or_of_its_own_details() -> None:
    catalog = FakeCatalog()
    rows = add_photo(catalog, "look", 4)
    pictures = (StoredPicture("https://shop.example/1.jpg", photo="look", garment="look_segment_0"),)
    catalog.save_product(StoredProduct(Product("A", product_type="Skirts"), "shop", pictures))
    catalog.put_details(
        [
            ProductDetails("look_segment_0", product_name="Hat"),
            ProductDetails("look_segment_1", product_name="Hat"),
            ProductDetails("look_segment_2", product_name="Linen dress"),
            # about another garment of the photo, perhaps
            ProductDetails("look", product_name="Hat"),
        ]
    )
    segments = list(catalog.segments(rows).values())
    found = [
        (one.segment.name, one.expected, *one.reasons) for one in labels_against_products(segments, catalog, catalog)
    ]
    assert found == [
        ("look_segment_0", "skirt", "product type of product A: Skirts"),
        ("look_segment_1", "hat", "product name in its details: Hat"),
    ]
