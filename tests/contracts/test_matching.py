"""Contract of filters: every catalog returns exactly the rows that `matches_filter` accepts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.filter import FILTERABLE_FIELDS, Condition, Filter, matches_filter
from lookalike.domain.model import ProductDetails
from lookalike.domain.ports import Catalog
from tests.contracts.rows import MODEL, few_examples, garment, photo

CHOICES = st.sampled_from(
    ["Marlow", "marlow", "MARLOW ", "Márlow", "", "sale", "x" * 300, "\ud800", "a\0b", "\U0001f457"]
)
NUMBERS = st.sampled_from([0.0, 3.0, 4.3, 4.5, 5.0, -1.0, 1e308])
CONDITIONS = st.one_of(
    st.builds(Condition, st.lists(st.one_of(CHOICES, NUMBERS), min_size=1, max_size=4).map(tuple)),
    st.builds(lambda first, second: Condition((), min(first, second), max(first, second)), NUMBERS, NUMBERS),
    st.builds(lambda minimum: Condition((), minimum, None), NUMBERS),
)


def equals(**values: Any) -> Filter:
    """Return a filter whose fields equal a value, or one of the values of a tuple."""
    return {name: Condition(value if isinstance(value, tuple) else (value,)) for name, value in values.items()}


@pytest.fixture
def shop(catalog: Catalog) -> dict[str, int]:
    """Row ids by garment name: three photos with two garments each. Photo `c` has no details.

    A fourth photo has a vector of another embedder.
    """
    row_ids: dict[str, int] = {}
    labels = {"a": ("dress", "top"), "b": ("dress", "Dress"), "c": (None, "hat")}
    for name, (first, second) in labels.items():
        garments = [replace(garment(name, 0), label=first), replace(garment(name, 1), label=second, score=None)]
        row_ids |= {segment.name: segment.row_id for segment in catalog.add_photo(photo(name), garments, MODEL)}
    catalog.add_photo(photo("other"), [garment("other")], "other-1")
    catalog.put_details(
        [
            ProductDetails("a", brand="Marlow", rating=4.3, tags=["summer", "linen"], season="summer", size=["M"]),
            ProductDetails("a_segment_1", brand="marlow", rating=4.5, tags=[], sale_status="sale"),
            ProductDetails("b", brand="Márlow", rating=3.0, tags=["summer"]),
            ProductDetails("other", brand="Marlow"),
            ProductDetails("unknown", brand="Marlow"),
        ]
    )
    return row_ids


def test_matching_among_some_rows_equals_their_intersection(catalog: Catalog, shop: dict[str, int]) -> None:
    for wanted in ({}, equals(brand="Marlow"), equals(label="dress"), equals(tags="summer", label="dress")):
        for embedder in (MODEL, None):
            matching = set(catalog.matching_row_ids(embedder, wanted).tolist())
            for among in ([], [shop["a_segment_0"]], sorted(shop.values(), reverse=True)[:3], [10_000, 0, -1, 2**70]):
                found = catalog.matching_row_ids(embedder, wanted, among).tolist()
                assert found == sorted(matching & set(among))


def matching_names(catalog: Catalog, shop: dict[str, int], wanted: Filter) -> list[str]:
    row_ids = catalog.matching_row_ids(MODEL, wanted).tolist()
    assert row_ids == sorted(row_ids)
    return [name for name, row_id in shop.items() if row_id in row_ids]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (equals(label="dress"), ["a_segment_0", "b_segment_0"]),
        (equals(label=("dress", "hat")), ["a_segment_0", "b_segment_0", "c_segment_1"]),
        (equals(brand="Marlow"), ["a_segment_0"]),
        (equals(brand="marlow"), ["a_segment_1"]),
        (equals(brand="Márlow"), ["b_segment_0", "b_segment_1"]),
        (equals(tags="summer"), ["a_segment_0", "b_segment_0", "b_segment_1"]),
        (equals(tags=("linen", "wool")), ["a_segment_0"]),
        (equals(size="M", season="summer"), ["a_segment_0"]),
        (equals(tags="summer", label="Dress"), ["b_segment_1"]),
        (equals(rating=4.3), ["a_segment_0"]),
        (equals(brand="unknown"), []),
        (equals(rating="4.3"), []),
        ({"rating": Condition((), 4.3, None)}, ["a_segment_0", "a_segment_1"]),
        ({"rating": Condition((), None, 4.3)}, ["a_segment_0", "b_segment_0", "b_segment_1"]),
        ({"rating": Condition((), 4.31, 4.49)}, []),
        ({"score": Condition((), 0.75, 0.75)}, ["a_segment_0", "b_segment_0", "c_segment_0"]),
        ({"brand": Condition((), 0, 9)}, []),
    ],
    ids=str,
)
def test_matching_rows_are_returned(
    catalog: Catalog, shop: dict[str, int], wanted: Filter, expected: list[str]
) -> None:
    assert matching_names(catalog, shop, wanted) == expected


def test_empty_filter_matches_all_rows_of_the_embedder(catalog: Catalog, shop: dict[str, int]) -> None:
    assert matching_names(catalog, shop, {}) == list(shop)
    assert catalog.matching_row_ids("other-1", equals(brand="Marlow")).size == 1
    assert catalog.matching_row_ids("nothing-1", {}).size == 0


def test_filter_follows_deletions_and_updates(catalog: Catalog, shop: dict[str, int]) -> None:
    catalog.delete_segment("a_segment_0")
    catalog.update_segment("c_segment_1", {"label": "dress"})
    assert matching_names(catalog, shop, equals(label="dress")) == ["b_segment_0", "c_segment_1"]
    catalog.put_details([ProductDetails("c", brand="Marlow")])
    assert matching_names(catalog, shop, equals(brand="Marlow")) == ["c_segment_0", "c_segment_1"]


@few_examples
@given(wanted=st.dictionaries(st.sampled_from(FILTERABLE_FIELDS), CONDITIONS, min_size=1, max_size=3))
def test_database_agrees_with_matches_filter(catalog: Catalog, wanted: Filter) -> None:
    if not catalog.segments_of_photo("a"):
        catalog.add_photo(photo("a"), [garment("a", 0), replace(garment("a", 1), label="Marlow")], MODEL)
        catalog.add_photo(photo("b"), [replace(garment("b", 0), label="\U0001f457", score=4.3)], MODEL)
        catalog.put_details([ProductDetails("a", "sale", "Marlow", rating=4.5, tags=["Marlow", "sale"], season="")])
        catalog.put_details([ProductDetails("a_segment_1", brand="MARLOW ", product_name="\U0001f457", rating=0.0)])
    expected = []
    for segment in [*catalog.segments_of_photo("a"), *catalog.segments_of_photo("b")]:
        # Details of the garment itself have priority over those of its photo.
        by_image = catalog.details([segment.name, segment.photo])
        details = by_image.get(segment.name) or by_image.get(segment.photo)
        values = {name: getattr(details, name, None) for name in FILTERABLE_FIELDS}
        own = {"label": segment.label, "score": segment.score, "photo": segment.photo}
        if matches_filter(wanted, values | own | {"created": segment.created.timestamp()}):
            expected.append(segment.row_id)
    assert catalog.matching_row_ids(MODEL, wanted).tolist() == expected


def test_rows_are_found_by_the_hash_of_their_photo(catalog: Catalog) -> None:
    for name, sha256 in (("a", "aa" * 32), ("b", "bb" * 32), ("c", "aa" * 32)):
        catalog.add_photo(replace(photo(name), sha256=sha256), [garment(name, 0), garment(name, 1)], MODEL)
    expected = {segment.row_id for name in "ac" for segment in catalog.segments_of_photo(name)}
    assert (
        catalog.row_ids_of_photo_hash("aa" * 32) == expected and catalog.row_ids_of_photo_hash("cc" * 32) == frozenset()
    )
