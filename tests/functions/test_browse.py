"""Garments and products over HTTP: pages, filters, facets, and what search keys may see."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from lookalike.bootstrap import Services
from lookalike.domain.browse import GARMENT_SORTS, PRODUCT_SORTS
from lookalike.domain.model import ProductDetails
from lookalike.domain.product import Money, Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases.api_keys import KeyRequest
from tests.functions.harness import OWNED_PHOTOS, Client, upload_photo

DRESS = Product(
    "A/1",
    title="Linen dress",
    price=Money(Decimal("79.99"), "EUR"),
    brand="Ost",
    material="linen",
    size=("S", "M"),
    extra={"custom_label_0": "summer", "gtin": "42", "drop": "7"},
)
SHIRT = replace(
    DRESS, id="B-2", title="Shirt", price=Money(Decimal("20"), "EUR"), material="cotton", extra={"drop": "8"}
)


def stored(product: Product, *garments: str, feed: str = "shop") -> StoredProduct:
    pictures = [
        StoredPicture(
            f"https://shop.example/{name}.jpg", sha256="ab" * 32, photo=name.partition("_segment")[0], garment=name
        )
        for name in garments
    ]
    return StoredProduct(replace(product, pictures=tuple(one.address for one in pictures)), feed, tuple(pictures))


@pytest.fixture
def detail(client: Client, admin: dict[str, str], real: Services) -> FlaskClient:
    """Photos "one" and "two", which show a dress of Ost and a shirt, and "three" without a product."""
    for name, photo in OWNED_PHOTOS.items():
        assert upload_photo(client, admin, photo, image_name=name).status_code == 200
    products = real.browse.products
    products.save_product(stored(DRESS, "one_segment_0"), [ProductDetails("one_segment_0", brand="Ost")])
    products.save_product(stored(SHIRT, "two_segment_0"), [ProductDetails("two_segment_0", brand="Nord")])
    products.save_product(stored(replace(SHIRT, id="C", price=None, extra={}), feed="other"))
    return client("detail")


def get(detail: FlaskClient, path: str, query: Mapping[str, Any] | None = None, key: Any = None) -> dict[str, Any]:
    """Return the data of a response. `key` are headers with an API key."""
    response = detail.get(path, query_string={**(query or {})}, headers=key)
    assert response.status_code == 200, response.get_data(as_text=True)
    data: dict[str, Any] = response.get_json()["data"]
    return data


def pages(detail: FlaskClient, path: str, kind: str, query: Mapping[str, Any]) -> Iterator[Any]:
    cursor: dict[str, Any] = {}
    while True:
        data = get(detail, path, {**query, **cursor})
        yield from data[kind]
        if data["cursor"] is None:
            return
        cursor = {"cursor": data["cursor"]}


def test_garments_have_product_and_details(detail: FlaskClient, real: Services) -> None:
    data = get(detail, "/garments", {"limit": 200, "facets": "label,material,feed.drop,color"})
    by_name = {one["name"]: one for one in data["garments"]}
    assert data["total"] == len(by_name) and data["cursor"] is None
    dress = by_name["one_segment_0"]
    assert (dress["product"], dress["details"]["brand"], dress["photo"]) == ("A/1", "Ost", "one")
    assert detail.get(dress["thumbnail"]).status_code == 200 and dress["color"].startswith("#")
    assert data["facets"]["material"] == [{"value": "cotton", "count": 1}, {"value": "linen", "count": 1}]
    assert data["facets"]["feed.drop"] == [{"value": "7", "count": 1}, {"value": "8", "count": 1}]


def test_pages_have_each_row_once(detail: FlaskClient) -> None:
    for path, sorts in (("/garments", GARMENT_SORTS), ("/products", PRODUCT_SORTS)):
        for sort in (*sorts, *(f"-{name}" for name in sorts)):
            kind = path.removeprefix("/")
            whole = [one["id"] for one in get(detail, path, {"sort": sort, "limit": 200})[kind]]
            assert [one["id"] for one in pages(detail, path, kind, {"sort": sort, "limit": 1})] == whole
            assert len(set(whole)) == len(whole) == 3


def names(data: dict[str, Any]) -> list[str]:
    """Return names of garments, or ids of products."""
    found = [one["name"] for one in data.get("garments", [])] or [one["id"] for one in data.get("products", [])]
    assert data["total"] == len(found)
    return found


GARMENT_CONDITIONS: tuple[tuple[dict[str, str], list[str]], ...] = (
    ({"brand": "Ost"}, ["one"]),
    ({"brand": '["Ost", "Nord"]'}, ["one", "two"]),
    ({"price": '{"max": 79.98}'}, ["two"]),
    ({"price": "79.99"}, ["one"]),
    ({"filter": '{"price": {"min": 20}}', "material": "linen"}, ["one"]),
    ({"photo": "three"}, ["three"]),
    ({"product_id": "A/1"}, ["one"]),
    ({"custom_label_0": "summer"}, ["one"]),
    ({"feed.gtin": "42"}, ["one"]),
    ({"feed.gtin": "42.0"}, []),
    ({"filter": '{"feed.drop": 8}'}, ["two"]),
    ({"feed.drop": '{"min": 7, "max": 7.5}'}, ["one"]),
    ({"created": "2020-01-01"}, []),
    ({"created": '{"min": "2020-01-01"}'}, ["one", "two", "three"]),
    ({"text": "ost"}, ["one"]),
    ({"color": '{"near": "#000", "within": 100}'}, ["one", "two", "three"]),
)


def test_conditions_on_garments(detail: FlaskClient) -> None:
    assert get(detail, "/garments", {"brand": ["Ost", "Nord"], "price": [20, 79.99]})["total"] == 2
    assert detail.get("/garments?limit=1&limit=2").status_code == 422
    for query, expected in GARMENT_CONDITIONS:
        data = get(detail, "/garments", query)
        assert [name.partition("_")[0] for name in names(data)] == expected, query
        assert ("understood" in data) == ("text" in query)


PRODUCT_CONDITIONS: tuple[tuple[dict[str, str], list[str]], ...] = (
    ({}, ["A/1", "B-2", "C"]),
    ({"sort": "-price"}, ["A/1", "B-2", "C"]),
    ({"sort": "price"}, ["B-2", "A/1", "C"]),
    ({"feed": "other"}, ["C"]),
    ({"material": "cotton"}, ["B-2", "C"]),
    ({"brand": "Ost", "size": "M"}, ["A/1", "B-2", "C"]),
    ({"feed.drop": "8"}, ["B-2"]),
    ({"photo": '["one", "two"]', "price": '{"min": 50}'}, ["A/1"]),
    ({"text": "nord"}, ["B-2"]),
    ({"score": '{"min": 2}'}, []),
)


def test_conditions_on_products(detail: FlaskClient) -> None:
    for query, expected in PRODUCT_CONDITIONS:
        data = get(detail, "/products", {"facets": "brand,size,feed", **query})
        assert names(data) == expected, query
        assert data["facets"]["brand"] == ([{"value": "Ost", "count": len(expected)}] if expected else [])


def test_product_has_all_views(detail: FlaskClient, real: Services, admin: dict[str, str], client: Client) -> None:
    photo = real.browse.catalog.photo("one")
    assert photo
    extra = real.segments.list_segments_of_photo("one")
    product = get(detail, "/products/A%2F1", {"include": "url"})
    (view,) = product["views"]
    assert product["price"] == {"amount": "79.99", "currency": "EUR"} and product["size"] == ["S", "M"]
    assert product["columns"] == {"custom_label_0": "summer", "gtin": "42", "drop": "7"} and product["gone"] is None
    assert (view["photo"], view["garment"]["name"], view["reason"]) == ("one", "one_segment_0", None)
    assert [one["name"] for one in view["worn_with"]] == [one.name for one in extra[1:]]
    assert view["garment"]["thumbnail_url"]
    assert detail.get("/products/A").status_code == 404
    listed = get(detail, "/products")["products"][0]
    assert "worn_with" not in listed["views"][0] and listed["views"][0]["garment"]["name"] == "one_segment_0"


ERRORS: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/garments", {"filter": '{"brnad": "x"}'}, "there is no field 'brnad' to filter by"),
    ("/garments", {"feed.gtn": "42"}, "no product has the column 'gtn'; columns are custom_label_0, drop, gtin"),
    ("/garments", {"facets": "feed.gtn"}, "facets: no product has the column 'gtn'"),
    ("/garments", {"facets": "bust"}, "there is no field 'bust' to count"),
    ("/products", {"facets": "label"}, "there is no field 'label' to count"),
    ("/garments", {"price": "cheap"}, "price must be a number"),
    ("/garments", {"price": '{"min": "x"}'}, "the range of price must have numbers"),
    ("/garments", {"created": "yesterday"}, "created must be a day"),
    ("/garments", {"brand": "x", "filter": '{"brand": "y"}'}, "brand is in filter and a parameter"),
    ("/garments", {"sort": "size"}, "sort: "),
    ("/garments", {"limit": "201"}, "limit: "),
    ("/garments", {"cursor": "x"}, "cursor: not a cursor of this server"),
    ("/garments", {"text": "zzz"}, "nothing of 'zzz' is understood"),
    ("/garments", {"color": "reddish"}, "color"),
)


def test_errors_say_what_to_do(detail: FlaskClient) -> None:
    for path, query, message in ERRORS:
        response = detail.get(path, query_string=query)
        assert response.status_code == 422 and message in response.get_json()["message"], query


def test_cursor_belongs_to_its_request(detail: FlaskClient) -> None:
    cursor = get(detail, "/garments", {"limit": 1})["cursor"]
    assert get(detail, "/garments", {"limit": 2, "cursor": cursor, "facets": "label"})["garments"]
    for path, query in (("/garments", {"sort": "-id"}), ("/garments", {"label": "dress"}), ("/products", {})):
        assert detail.get(path, query_string={**query, "cursor": cursor}).status_code == 422


class TestSearchKeys:
    @pytest.fixture(params=[{"brand": "Ost"}, {"material": "linen"}, {"feed.gtin": "42", "photo": "one"}], ids=str)
    def key(self, request: pytest.FixtureRequest, real: Services) -> dict[str, str]:
        """A key for the garment of "one" alone, by conditions on details, on products, or on columns and the garment."""
        return {"Authorization": f"Bearer {real.api_keys.create(KeyRequest(filter=request.param))[1]}"}

    def test_lists_and_products(self, detail: FlaskClient, key: dict[str, str], real: Services) -> None:
        # the garment also shows a product that the key's filter may exclude
        products = real.browse.products
        products.save_product(stored(replace(SHIRT, id="A", material="silk", extra={"secret": "x"}), "one_segment_0"))
        hides_product = detail.get("/products/A", headers=key).status_code == 404
        data = get(detail, "/garments", {"facets": "label,brand,photo,material"}, key)
        assert names(data) == ["one_segment_0"] and data["garments"][0]["product"] == ("A/1" if hides_product else "A")
        assert [one["value"] for one in data["facets"]["photo"]] == ["one"]
        assert ("silk" in str(data["facets"]["material"])) != hides_product
        listed = get(detail, "/products", {"facets": "brand,material,feed"}, key)
        assert names(listed) == (["A/1"] if hides_product else ["A", "A/1"])
        assert ("silk" in str(listed)) != hides_product and "B-2" not in str(listed)
        assert get(detail, "/products/A%2F1", key=key)["views"][0]["garment"]["name"] == "one_segment_0"

    def test_others_do_not_exist(self, detail: FlaskClient, key: dict[str, str]) -> None:
        for product in ("B-2", "C", "D"):
            assert detail.get(f"/products/{product}", headers=key).status_code == 404
        for query in ({"photo": "two"}, {"brand": "Nord"}, {"material": "cotton"}, {"feed.drop": "8"}):
            for path in ("/garments", "/products"):
                data = get(detail, path, query, key)
                assert data["total"] == 0 and names(data) == []

    def test_columns_of_others_are_unknown(self, detail: FlaskClient, key: dict[str, str], real: Services) -> None:
        real.browse.products.save_product(stored(replace(SHIRT, extra={"secret": "x"}), "two_segment_0"))
        queries: list[tuple[dict[str, str], dict[str, str]]] = [
            ({"feed.secret": "x"}, {"feed.none": "x"}),
            ({"facets": "feed.secret"}, {"facets": "feed.none"}),
        ]
        for query, unknown in queries:
            answers = [
                detail.get("/garments", query_string=query, headers=key),
                detail.get("/garments", query_string=unknown, headers=key),
            ]
            texts = [one.get_json()["message"].replace("none", "secret") for one in answers]
            assert [one.status_code for one in answers] == [422, 422] and texts[0] == texts[1]
        assert get(detail, "/garments", {"feed.secret": "x"})["total"] == 1

    def test_cursor_of_another_caller_is_refused(self, detail: FlaskClient, key: dict[str, str]) -> None:
        cursor = get(detail, "/garments", {"limit": 1})["cursor"]
        assert detail.get("/garments", query_string={"cursor": cursor}, headers=key).status_code == 422


def test_key_with_conditions_on_products_cannot_sort_garments_by_price(detail: FlaskClient, real: Services) -> None:
    key = {"Authorization": f"Bearer {real.api_keys.create(KeyRequest(filter={'material': 'linen'}))[1]}"}
    assert detail.get("/garments?sort=price", headers=key).status_code == 422
    assert names(get(detail, "/products", {"sort": "price"}, key)) == ["A/1"]


def found_by(client: Client, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    """Return the response of a search without examples."""
    response = client("relay").post("/search", json={"include": "none", **body}, headers=headers)
    assert response.status_code == 200, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def test_search_knows_the_fields_and_columns_of_feeds(
    detail: FlaskClient, client: Client, real: Services, admin: dict[str, str]
) -> None:
    real.reindex.build()
    # the garment of "one" also shows a product that a key with conditions on products does not
    real.browse.products.save_product(stored(replace(SHIRT, id="A", material="silk", extra={}), "one_segment_0"))
    fields = ["feed.drop", "material", "availability"]
    found = found_by(client, {}, filter={"feed.drop": {"min": 7}}, facets=fields)
    assert [one["original_image_id"] for one in found["results"]] == ["one", "two"]
    assert [one["value"] for one in found["facets"]["material"]] == ["cotton", "linen", "silk"]
    assert found["facets"]["availability"] == []
    key = {"Authorization": f"Bearer {real.api_keys.create(KeyRequest(filter={'material': 'linen'}))[1]}"}
    scoped = found_by(client, key, filter={"score": {"min": 0}}, facets=fields, group_by="product")
    assert scoped["facets"]["material"] == [{"value": "linen", "count": 1}]
    assert [one["group"]["key"] for one in scoped["results"]] == ["A/1"]
    for body in ({"filter": {"feed.none": "x"}}, {"filter": {"label": "x"}, "facets": ["feed.none"]}):
        response = client("relay").post("/search", json=body)
        assert response.status_code == 422 and "no product has the column 'none'" in response.get_json()["message"]
    erased = detail.post("/erase", json={"filter": {"feed.none": "x"}}, headers=admin)
    assert erased.status_code == 422
    erased = detail.post("/erase", json={"filter": {"feed.gtin": 42}, "dry_run": True}, headers=admin)
    assert erased.get_json()["data"]["segments"] == ["one_segment_0"]
