"""Searches of callers that may see a part of the garments only."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.domain.errors import InvalidField, NotFound
from lookalike.domain.filter import Condition, Filter
from lookalike.domain.model import ProductDetails
from lookalike.domain.product import Money, Offer, Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases.search import GarmentExample, Include, PhotoExample, SearchRequest, TextExample
from lookalike.usecases.search.request import Example
from tests.usecases.search.harness import SearchHarness, encode_stripes, photo_names

OST: Filter = {"brand": Condition(("Ost",))}
BRANDS = {"red": "Ost", "orange": "Ost", "green": "Marlow", "blue": "Marlow", "purple": None}
COLORS = {"orange": "#ff8000", "purple": "#ff0080"}


@pytest.fixture
def shop(harness: SearchHarness) -> SearchHarness:
    """Five photos of two brands. One has no details, and one garment has another brand than its photo."""
    for name, color in COLORS.items():
        harness.add_photo(name, color)
    details = [ProductDetails(name, brand=brand, season="summer") for name, brand in BRANDS.items() if brand]
    harness.catalog.put_details([*details, ProductDetails("mixed", brand="Marlow", store_name="Secret Outlet")])
    harness.add_photo("mixed", "#ff2000")
    harness.catalog.put_details([ProductDetails("mixed_segment_0", brand="Ost")])
    return harness


def scoped(*examples: Example, scope: Filter = OST, limit: int = 10, **fields: object) -> SearchRequest:
    request = SearchRequest(examples, limit, include=Include.NONE, scope=scope)
    return replace(request, **fields)  # type: ignore[arg-type]


def names(harness: SearchHarness, request: SearchRequest) -> list[str]:
    return photo_names(harness.run(request))[0]


def test_only_visible_garments_are_found(shop: SearchHarness) -> None:
    for color in ("blue", "red"):
        assert set(names(shop, scoped(PhotoExample(encode_stripes(color))))) == {"red", "orange", "mixed"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["brand", "season", "label"]),
        st.lists(st.sampled_from(["Ost", "Marlow", "summer", "dress"]), min_size=1).map(
            lambda values: Condition(tuple(values))
        ),
    )
)
def test_no_filter_of_the_request_widens_the_scope(shop: SearchHarness, wanted: Filter) -> None:
    request = scoped(GarmentExample("red_segment_0"), filter=wanted)
    visible = set(names(shop, scoped(GarmentExample("red_segment_0"))))
    unscoped = set(names(shop, replace(request, scope={})))
    assert set(names(shop, request)) == visible & unscoped


@pytest.mark.parametrize("weight", [1.0, -0.5])
def test_garment_outside_the_scope_is_unknown_as_an_example(shop: SearchHarness, weight: float) -> None:
    hidden = GarmentExample("green_segment_0", weight, "query[1].")
    with pytest.raises(NotFound) as caught:
        names(shop, scoped(GarmentExample("red_segment_0"), hidden))
    unknown = GarmentExample("other_segment_0", weight, "query[1].")
    with pytest.raises(NotFound) as expected:
        names(shop, scoped(GarmentExample("red_segment_0"), unknown))
    assert caught.value.message == expected.value.message.replace("other", "green")


def test_facets_and_listings_count_visible_garments(shop: SearchHarness) -> None:
    result = shop.run(scoped(facets=("brand", "season"), filter={"season": Condition(("summer",))}))
    assert set(photo_names(result)[0]) == {"red", "orange"}
    assert [(one.value, one.count) for one in result.facets["brand"]] == [("Ost", 2)]
    result = shop.run(scoped(GarmentExample("red_segment_0"), facets=("brand",)))
    assert [(one.value, one.count) for one in result.facets["brand"]] == [("Ost", 3)]


def test_pages_contain_visible_garments_and_belong_to_the_scope(shop: SearchHarness) -> None:
    request, pages = scoped(GarmentExample("red_segment_0"), limit=1), []
    while True:
        result = shop.run(request)
        pages += photo_names(result)[0]
        if result.next_cursor is None:
            break
        request = replace(request, cursor=result.next_cursor)
        with pytest.raises(InvalidField, match="another request"):
            shop.run(replace(request, scope={"brand": Condition(("Marlow",))}))
        with pytest.raises(InvalidField, match="another request"):
            shop.run(replace(request, scope={}))
    assert sorted(pages) == ["mixed", "orange", "red"]


def test_upload_outside_the_scope_explains_nothing(shop: SearchHarness) -> None:
    data = encode_stripes("green")
    shop.upload_photo("hidden", data)
    shop.catalog.put_details([ProductDetails("hidden", brand="Marlow", season="summer")])
    matches = shop.run(scoped(PhotoExample(data))).groups[0].matches
    assert all(match.explanation.shared_details is None for match in matches)
    shop.catalog.put_details([ProductDetails("hidden", brand="Ost", season="summer")])
    matches = shop.run(scoped(PhotoExample(data))).groups[0].matches
    assert any(match.explanation.shared_details for match in matches)


def test_words_of_hidden_garments_are_not_understood(shop: SearchHarness) -> None:
    def search_words(text: str, scope: Filter) -> list[tuple[str, str]]:
        result = shop.run(scoped(TextExample(text), scope=scope, words_as_conditions=True))
        return [(one.field, one.value) for one in result.understood]

    assert search_words("Marlow", {}) == [("brand", "Marlow")] and search_words("Ost", OST) == [("brand", "Ost")]
    for hidden in ("Marlow", "Secret Outlet", "outlet"):
        assert search_words(hidden, {})
        with pytest.raises(InvalidField, match="understood"):
            search_words(hidden, OST)


def test_offers_are_those_of_visible_products(shop: SearchHarness) -> None:
    picture = StoredPicture("https://shop.example/red", photo="red", garment="red_segment_0")
    for name, amount, availability in (("a", "80", "out_of_stock"), ("b", "59.90", "in_stock")):
        product = Product(name, price=Money(Decimal(amount), "EUR"), availability=availability)
        shop.catalog.save_product(StoredProduct(product, "feed", (picture,)))

    def offers(scope: Filter, include_details: bool = True) -> dict[str, Offer | None]:
        request = scoped(GarmentExample("red_segment_0"), scope=scope, include_details=include_details)
        return {match.segment.name: match.offer for match in shop.run(request).groups[0].matches}

    first = Offer("a", Money(Decimal(80), "EUR"), None, "out_of_stock")
    found = offers({})
    assert found.pop("red_segment_0") == first and set(found.values()) == {None}
    in_stock: Filter = {"availability": Condition(("in_stock",))}
    second = Offer("b", Money(Decimal("59.90"), "EUR"), None, "in_stock")
    assert offers(in_stock) == {"red_segment_0": second}
    assert set(offers({}, include_details=False).values()) == {None}
