"""Contract of the full-text search: every catalog finds exactly the rows whose details contain the words."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.catalog import SqlCatalog, downgrade, open_catalog, upgrade
from lookalike.domain.model import ProductDetails
from lookalike.domain.ports import Catalog
from lookalike.domain.words import MAX_FIELD_VALUES, TEXT_FIELDS, VALUE_FIELDS, details_contain, field_values, fold
from tests.contracts.databases import DATABASE_KINDS, execute, temporary_database
from tests.contracts.rows import MODEL, World, few_examples, garment, photo

DETAILS = (
    ProductDetails("a", brand="Marlow", tags=["summer", "linen"], store_description="A shirt of the finest LINEN."),
    ProductDetails("a_segment_1", brand="Levi's & Co", product_name="T-Shirt, crème", size=["M", "L"]),
    ProductDetails("b", brand="Ärmel", season="Sommer", product_name="Straße to be", tags=["夏", "лето"]),
    ProductDetails("other", brand="Marlow"),
    ProductDetails("unknown", product_name="unworn"),
)
"""Photo `a` has details of its own, and so has its second garment. Photo `c` has none."""


@pytest.fixture
def shop(catalog: Catalog) -> dict[str, int]:
    """Row ids by garment name: three photos with two garments each, and one with a vector of another embedder."""
    row_ids: dict[str, int] = {}
    for name in "abc":
        stored = catalog.add_photo(photo(name), [garment(name, 0), garment(name, 1)], MODEL)
        row_ids |= {segment.name: segment.row_id for segment in stored}
    catalog.add_photo(photo("other"), [garment("other")], "other-1")
    catalog.put_details(DETAILS)
    return row_ids


def names_with_text(catalog: Catalog, shop: dict[str, int], text: str) -> list[str]:
    row_ids = catalog.row_ids_with_text(MODEL, text).tolist()
    assert row_ids == sorted(row_ids)
    return [name for name, row_id in shop.items() if row_id in row_ids]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("marlow", ["a_segment_0"]),
        ("MARLOW  Linen", ["a_segment_0"]),
        ("marlow shirt summer", ["a_segment_0"]),
        ("marlow sommer", []),
        ("shirt", ["a_segment_0", "a_segment_1"]),
        ("t-shirt", ["a_segment_1"]),
        ("m", ["a_segment_1"]),
        ("of the", ["a_segment_0"]),
        ("to be", ["b_segment_0", "b_segment_1"]),
        ("a", ["a_segment_0"]),
        ("line", []),
        ("linens", []),
        ("creme", ["a_segment_1"]),
        ("CRÈME", ["a_segment_1"]),
        ("strasse armel", ["b_segment_0", "b_segment_1"]),
        ("夏", ["b_segment_0", "b_segment_1"]),
        ("Лето", ["b_segment_0", "b_segment_1"]),
        ("u00e8me", []),
        ("levi's", ["a_segment_1"]),
        ("nothing", []),
        ("marlow nothing", []),
        ("", []),
        (" -&! ", []),
        ("a_segment_1", []),
    ],
)
def test_rows_with_all_words_are_returned(
    catalog: Catalog, shop: dict[str, int], text: str, expected: list[str]
) -> None:
    assert names_with_text(catalog, shop, text) == expected


@pytest.mark.parametrize(
    "text",
    ['"', "linen*", "linen OR nothing", "NOT linen", "words : linen", "+linen -linen", "(linen", "lin' OR 1=1 --"],
)
def test_operators_of_the_query_languages_are_only_words(catalog: Catalog, shop: dict[str, int], text: str) -> None:
    words = {word.strip('"*+-(:=').lower() for word in text.split()} - {""}
    assert bool(names_with_text(catalog, shop, text)) == (words == {"linen"})
    assert catalog.details_fields_with_value(text) == []


def test_rows_of_other_embedders_are_returned_without_an_embedder_only(catalog: Catalog, shop: dict[str, int]) -> None:
    other = catalog.row_ids_with_text("other-1", "marlow").tolist()
    assert len(other) == 1
    assert catalog.row_ids_with_text(None, "marlow").tolist() == [shop["a_segment_0"], *other]
    assert catalog.row_ids_with_text("nothing-1", "marlow").tolist() == []


def test_full_text_follows_changes_and_deletions(catalog: Catalog, shop: dict[str, int]) -> None:
    catalog.put_details([ProductDetails("a", brand="Ost"), ProductDetails("c_segment_0", tags=["Marlow"])])
    assert names_with_text(catalog, shop, "linen") == []
    assert names_with_text(catalog, shop, "ost") == ["a_segment_0"]
    assert names_with_text(catalog, shop, "marlow") == ["c_segment_0"]
    assert catalog.details_fields_with_value("marlow") == [("brand", "Marlow"), ("tags", "Marlow")]
    assert catalog.details_fields_with_value("linen") == []
    catalog.delete_segment("c_segment_0")
    assert names_with_text(catalog, shop, "marlow") == []


def test_has_text(catalog: Catalog, shop: dict[str, int]) -> None:
    assert catalog.has_text("the LINEN")
    assert catalog.has_text("unworn")
    assert not catalog.has_text("the nothing")
    assert not catalog.has_text("linen unworn")
    assert not catalog.has_text("?")


def test_whole_values_are_found_in_all_spellings(catalog: Catalog) -> None:
    catalog.put_details(
        [
            ProductDetails("a", brand="Marlow Knit", store_name="marlow knit", season="Marlow"),
            ProductDetails("b", brand=" MARLOW  KNIT", tags=["Marlow Knit", "Marlow knit", "knit"]),
            ProductDetails("c", brand="Märlow Knit", size=["Marlow Knit"], store_description="Marlow Knit"),
            ProductDetails("d", brand="Marlow Knits", url="Marlow Knit", product_name="The Marlow Knit"),
            ProductDetails("e", brand="Marlow Knit"),
        ]
    )
    assert catalog.details_fields_with_value("  marlow KNIT ") == [
        ("brand", " MARLOW  KNIT"),
        ("brand", "Marlow Knit"),
        ("brand", "Märlow Knit"),
        ("store_name", "marlow knit"),
        ("size", "Marlow Knit"),
        ("tags", "Marlow Knit"),
        ("tags", "Marlow knit"),
    ]
    assert catalog.details_fields_with_value("marlow") == [("season", "Marlow")]
    assert catalog.details_fields_with_value("") == []


def test_number_of_values_is_limited(catalog: Catalog) -> None:
    spellings = [
        f"{first}{second}" for first in ("mar", "MAR", "Mar", "mAR") for second in ("low", "LOW", "Low", "loW")
    ]
    catalog.put_details([ProductDetails(f"a{i}", brand=value, tags=[value]) for i, value in enumerate(spellings)])
    pairs = catalog.details_fields_with_value("marlow")
    assert len(pairs) == len(set(pairs)) == MAX_FIELD_VALUES
    assert [value for name, value in pairs if name == "brand"] == sorted(spellings)


WORDS = st.sampled_from(
    ["a", "the", "Linen", "linen", "LÏNEN", "x" * 90, "in", "42", "Straße", "夏", "été", "e", "\U0001f457"]
)
TEXTS = st.lists(WORDS, max_size=3).map(" ".join)


@st.composite
def product_details(draw: st.DrawFn, image_id: str) -> ProductDetails:
    texts: dict[str, Any] = {name: draw(st.none() | TEXTS.filter(lambda text: len(text) <= 50)) for name in TEXT_FIELDS}
    lists = {name: draw(st.none() | st.lists(TEXTS, max_size=2)) for name in ("tags", "size")}
    return ProductDetails(image_id, **texts | lists)


@few_examples
@given(
    stored=st.tuples(*(product_details(name) for name in ("a", "a_segment_1", "b"))),
    text=TEXTS,
    is_removed=st.booleans(),
)
def test_database_agrees_with_details_contain(
    catalog: Catalog, stored: Sequence[ProductDetails], text: str, is_removed: bool
) -> None:
    for name in "ab":
        if not catalog.segments_of_photo(name):
            catalog.add_photo(photo(name), [garment(name, 0), garment(name, 1)], MODEL)
    catalog.put_details(stored)
    by_name = {details.image_id: details for details in stored}
    expected = [
        segment.row_id
        for name in "ab"
        for segment in catalog.segments_of_photo(name)
        if details_contain(by_name.get(segment.name) or by_name[segment.photo], text)
    ]
    assert catalog.row_ids_with_text(MODEL, text).tolist() == expected
    assert catalog.has_text(text) == any(details_contain(details, text) for details in stored)
    pairs = {pair for details in stored for pair in field_values(details, VALUE_FIELDS) if fold(pair[1]) == fold(text)}
    assert set(catalog.details_fields_with_value(text)) == pairs


def test_fields_of_product_details_are_all_considered() -> None:
    not_searched = {"image_id", "url", "rating"}
    assert {field.name for field in fields(ProductDetails)} - not_searched == set(TEXT_FIELDS)
    assert set(TEXT_FIELDS) - {"store_description"} == set(VALUE_FIELDS)


def test_details_deleted_by_other_programs_are_not_found(sql: SqlCatalog, shop: dict[str, int], world: World) -> None:
    assert world.url is not None
    execute(world.url, "DELETE FROM image_details WHERE image_id = 'a'")
    assert names_with_text(sql, shop, "marlow") == []
    assert not sql.has_text("linen")
    sql.put_details([replace(DETAILS[0], brand="Ost")])
    assert names_with_text(sql, shop, "linen ost") == ["a_segment_0"]


@pytest.mark.parametrize("kind", DATABASE_KINDS)
def test_upgrade_indexes_existing_details_and_those_of_other_programs(kind: str, tmp_path: Path) -> None:
    with temporary_database(kind, tmp_path) as url:
        upgrade(url, "0006")
        row = "INSERT INTO image_details (image_id, brand, tags, update_time) VALUES"
        # JSON text with escapes, whose backslashes MySQL's literals escape again
        tags = r'["\u00e9t\u00e9"]'.replace("\\", r"\\" if kind == "mysql" else "\\")
        execute(url, f"{row} ('old', 'Marlow', '{tags}', '2024-05-06 07:08:09'), ('none', NULL, NULL, NULL)")
        upgrade(url)
        with closing(open_catalog(url)) as catalog:
            assert catalog.details_fields_with_value("ete") == [("tags", "été")]
            catalog.put_details([ProductDetails("new", brand="Ost")])
            execute(
                url,
                f"{row} ('added', 'Nord', NULL, NULL)",
                "UPDATE image_details SET brand = 'Sud', update_time = '2024-05-06 07:08:10' WHERE image_id = 'old'",
            )
            upgrade(url)
            assert catalog.has_text("nord")
            assert catalog.details_fields_with_value("sud") == [("brand", "Sud")]
            assert catalog.details_fields_with_value("ost") == [("brand", "Ost")]
            assert not catalog.has_text("marlow")
            catalog.close()
            downgrade(url, "0006")
            upgrade(url)
            assert catalog.has_text("nord")
