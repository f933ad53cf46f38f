"""The contract of filters, run on every catalogue: what the database finds is what the definition says."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.filter import FILTERABLE_FIELDS, Condition, Filter, matches_filter
from lookalike.domain.model import ProductDetails
from lookalike.domain.ports import Catalog
from tests.contracts.rows import MODEL, few, garment, photo

CHOICES = st.sampled_from(
    ["Marlow", "marlow", "MARLOW ", "Márlow", "", "sale", "x" * 300, "\ud800", "a\0b", "\U0001f457"]
)
NUMBERS = st.sampled_from([0.0, 3.0, 4.3, 4.5, 5.0, -1.0, 1e308])
CONDITIONS = st.one_of(
    st.builds(Condition, st.lists(st.one_of(CHOICES, NUMBERS), min_size=1, max_size=4).map(tuple)),
    st.builds(lambda one, other: Condition((), min(one, other), max(one, other)), NUMBERS, NUMBERS),
    st.builds(lambda least: Condition((), least, None), NUMBERS),
)


def only(**values: Any) -> Filter:
    return {name: Condition(value if isinstance(value, tuple) else (value,)) for name, value in values.items()}


@pytest.fixture
def shop(catalogue: Catalog) -> dict[str, int]:
    """Row numbers by garment: two of each of three photos, of which one has no details, and another model's row."""
    found: dict[str, int] = {}
    labels = {"a": ("dress", "top"), "b": ("dress", "Dress"), "c": (None, "hat")}
    for name, (first, second) in labels.items():
        garments = [replace(garment(name, 0), label=first), replace(garment(name, 1), label=second, score=None)]
        found |= {one.name: one.row_id for one in catalogue.add_photo(photo(name), garments, MODEL)}
    catalogue.add_photo(photo("other"), [garment("other")], "other-1")
    catalogue.put_details(
        [
            ProductDetails("a", brand="Marlow", rating=4.3, tags=["summer", "linen"], season="summer", size=["M"]),
            ProductDetails("a_segment_1", brand="marlow", rating=4.5, tags=[], sale_status="sale"),
            ProductDetails("b", brand="Márlow", rating=3.0, tags=["summer"]),
            ProductDetails("other", brand="Marlow"),
            ProductDetails("nobody", brand="Marlow"),
        ]
    )
    return found


def names(catalogue: Catalog, shop: dict[str, int], wanted: Filter) -> list[str]:
    found = catalogue.matching_row_ids(MODEL, wanted).tolist()
    assert found == sorted(found)
    return [name for name, row_id in shop.items() if row_id in found]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (only(label="dress"), ["a_segment_0", "b_segment_0"]),
        (only(label=("dress", "hat")), ["a_segment_0", "b_segment_0", "c_segment_1"]),
        (only(brand="Marlow"), ["a_segment_0"]),
        (only(brand="marlow"), ["a_segment_1"]),
        (only(brand="Márlow"), ["b_segment_0", "b_segment_1"]),
        (only(tags="summer"), ["a_segment_0", "b_segment_0", "b_segment_1"]),
        (only(tags=("linen", "wool")), ["a_segment_0"]),
        (only(size="M", season="summer"), ["a_segment_0"]),
        (only(tags="summer", label="Dress"), ["b_segment_1"]),
        (only(rating=4.3), ["a_segment_0"]),
        (only(brand="nobody's"), []),
        (only(rating="4.3"), []),
        ({"rating": Condition((), 4.3, None)}, ["a_segment_0", "a_segment_1"]),
        ({"rating": Condition((), None, 4.3)}, ["a_segment_0", "b_segment_0", "b_segment_1"]),
        ({"rating": Condition((), 4.31, 4.49)}, []),
        ({"score": Condition((), 0.75, 0.75)}, ["a_segment_0", "b_segment_0", "c_segment_0"]),
        ({"brand": Condition((), 0, 9)}, []),
    ],
    ids=str,
)
def test_rows_that_fulfil_it_are_found(
    catalogue: Catalog, shop: dict[str, int], wanted: Filter, found: list[str]
) -> None:
    assert names(catalogue, shop, wanted) == found


def test_without_conditions_all_rows_of_the_embedder_are_found(catalogue: Catalog, shop: dict[str, int]) -> None:
    assert names(catalogue, shop, {}) == list(shop)
    assert catalogue.matching_row_ids("other-1", only(brand="Marlow")).size == 1
    assert catalogue.matching_row_ids("nothing-1", {}).size == 0


def test_what_is_deleted_or_described_anew_counts_at_once(catalogue: Catalog, shop: dict[str, int]) -> None:
    catalogue.delete_segment("a_segment_0")
    catalogue.update_segment("c_segment_1", {"label": "dress"})
    assert names(catalogue, shop, only(label="dress")) == ["b_segment_0", "c_segment_1"]
    catalogue.put_details([ProductDetails("c", brand="Marlow")])
    assert names(catalogue, shop, only(brand="Marlow")) == ["c_segment_0", "c_segment_1"]


@few
@given(wanted=st.dictionaries(st.sampled_from(FILTERABLE_FIELDS), CONDITIONS, min_size=1, max_size=3))
def test_the_database_finds_what_the_definition_says(catalogue: Catalog, wanted: Filter) -> None:
    if not catalogue.segments_of_photo("a"):
        catalogue.add_photo(photo("a"), [garment("a", 0), replace(garment("a", 1), label="Marlow")], MODEL)
        catalogue.add_photo(photo("b"), [replace(garment("b", 0), label="\U0001f457", score=4.3)], MODEL)
        catalogue.put_details([ProductDetails("a", "sale", "Marlow", rating=4.5, tags=["Marlow", "sale"], season="")])
        catalogue.put_details([ProductDetails("a_segment_1", brand="MARLOW ", product_name="\U0001f457", rating=0.0)])
    expected = []
    for one in [*catalogue.segments_of_photo("a"), *catalogue.segments_of_photo("b")]:
        details = catalogue.details([one.name]).get(one.name) or catalogue.details([one.photo]).get(one.photo)
        values = {name: getattr(details, name, None) for name in FILTERABLE_FIELDS} | {
            "label": one.label,
            "score": one.score,
        }
        if matches_filter(wanted, values):
            expected.append(one.row_id)
    assert catalogue.matching_row_ids(MODEL, wanted).tolist() == expected


def test_rows_are_found_by_the_bytes_of_their_photo(catalogue: Catalog) -> None:
    for name, sha256 in (("a", "aa" * 32), ("b", "bb" * 32), ("c", "aa" * 32)):
        catalogue.add_photo(replace(photo(name), sha256=sha256), [garment(name, 0), garment(name, 1)], MODEL)
    found = {one.row_id for name in "ac" for one in catalogue.segments_of_photo(name)}
    assert (
        catalogue.row_ids_of_photo_hash("aa" * 32) == found
        and catalogue.row_ids_of_photo_hash("cc" * 32) == frozenset()
    )
