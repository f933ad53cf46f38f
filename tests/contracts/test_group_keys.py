"""The values by which results are grouped, on every catalog."""

import pytest

from lookalike.domain.model import ProductDetails
from lookalike.domain.ports import Catalog
from lookalike.usecases.search import grouping
from lookalike.usecases.search.grouping import load_group_keys
from tests.contracts.rows import add_photo


@pytest.mark.parametrize("rows_per_query", [4096, 2])
def test_group_keys_are_values_of_existing_rows(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, rows_per_query: int
) -> None:
    monkeypatch.setattr(grouping, "ROWS_PER_QUERY", rows_per_query)
    first, second, third, deleted = add_photo(catalog, count=4)
    of_photo = ProductDetails("look", store_name="Shop", brand="Nord", product_name="Coat", rating=0.0)
    of_garment = ProductDetails("look_segment_1", brand="", url="https://shop.example/1", product_name="Hat")
    catalog.put_details([of_photo, of_garment])
    catalog.delete_segment("look_segment_3")

    def keys(field: str) -> dict[int, object]:
        return dict(load_group_keys(catalog, field, {}, [third, second, first, deleted]))

    assert keys("brand") == {first: "Nord", second: None, third: "Nord"}
    assert keys("rating") == {first: 0.0, second: None, third: 0.0}
    assert keys("photo") == dict.fromkeys((first, second, third), "look")
    assert keys("product") == {
        first: "Shop / Nord / Coat",
        second: "https://shop.example/1",
        third: "Shop / Nord / Coat",
    }
    assert load_group_keys(catalog, "product", {}, []) == {}
