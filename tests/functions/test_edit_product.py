"""Edits of products over HTTP: searches, filters and exports have the edited values, and only administrators see them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lookalike.batch.export_lines import ProductLines
from lookalike.bootstrap import Services
from lookalike.domain.model import ProductDetails
from tests.functions.harness import PHOTO, Client, upload_photo
from tests.functions.test_browse import DRESS, stored

Admin = dict[str, str]


@pytest.fixture(autouse=True)
def shop(client: Client, admin: Admin, real: Services) -> None:
    """A photo "one" that shows the dress "A/1"."""
    assert upload_photo(client, admin, PHOTO, image_name="one").status_code == 200
    real.browse.products.save_product(stored(DRESS, "one_segment_0"), [ProductDetails("one_segment_0", brand="Ost")])


def edit(client: Client, headers: Admin, status: int = 200, **body: Any) -> dict[str, Any]:
    response = client("detail").patch("/products/A/1", json=body, headers=headers)
    assert response.status_code == status, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def test_everything_uses_the_edited_values(client: Client, admin: Admin) -> None:
    columns = {"price": "12.50", "brand": "Wickfield", "size": ["L"], "season_code": "42", "material": None}
    data = edit(client, admin, columns=columns)["data"]
    assert (data["price"], data["brand"], data["size"]) == ({"amount": "12.50", "currency": "EUR"}, "Wickfield", ["L"])
    edits = {one["field"]: one for one in data["edits"]}
    assert edits.keys() == columns.keys() and edits["price"]["feed_value"] == {"amount": "79.99", "currency": "EUR"}
    assert edits["size"]["feed_value"] == ["S", "M"] and edits["season_code"]["feed_value"] is None
    assert {one["by_name"] for one in edits.values()} == {"anna@example.org"} and edits["brand"]["by"]
    detail = client("detail")
    for path in ("/products", "/garments"):
        for query in ("price=12.5", "brand=Wickfield", "size=L", "feed.season_code=42"):
            assert detail.get(f"{path}?{query}").get_json()["data"]["total"] == 1, (path, query)
        assert detail.get(f"{path}?material=linen").get_json()["data"]["total"] == 0
    facets = detail.get("/products?facets=brand,feed.season_code").get_json()["data"]["facets"]
    assert facets == {"brand": [{"value": "Wickfield", "count": 1}], "feed.season_code": [{"value": "42", "count": 1}]}
    body = {"include": "none", "include_details": True, "filter": {"price": {"max": 20}}}
    (found,) = client("relay").post("/search", json=body).get_json()["results"]
    assert found["offer"]["price"]["amount"] == "12.50" and found["details"]["brand"] == "Wickfield"
    restored = edit(client, admin, use_feed_value=["price", "material"])["data"]
    assert restored["price"]["amount"] == "79.99" and len(restored["edits"]) == 3
    assert detail.get("/products?material=linen").get_json()["data"]["total"] == 1


def test_edits_are_shown_to_administrators_only(client: Client, admin: Admin) -> None:
    edit(client, admin, columns={"title": "Dress"})
    detail = client("detail")
    assert "edits" not in detail.get("/products/A/1").get_json()["data"]
    assert "anna@example.org" not in detail.get("/products").get_data(as_text=True)
    (listed,) = detail.get("/products", headers=admin).get_json()["data"]["products"]
    assert [one["field"] for one in listed["edits"]] == ["title"]
    assert detail.get("/products/A/1", headers=admin).get_json()["data"]["edits"] == listed["edits"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"columns": {"link": "shop.example"}}, "columns"),
        ({"columns": {"price": 12}}, "columns"),
        ({"columns": {"sale_price": "1 USD"}}, "sale_price"),
        ({"use_feed_value": ["title"]}, "use_feed_value"),
        ({"columns": dict.fromkeys(map(str, range(101)))}, "columns"),
    ],
)
def test_wrong_edits_are_explained(client: Client, admin: Admin, body: dict[str, Any], field: str) -> None:
    error = edit(client, admin, 422, **body)
    assert error["error"]["details"]["field"].startswith(field) and error["message"]
    assert client("detail").patch("/products/B", json={"columns": {"title": "x"}}, headers=admin).status_code == 404


def test_exported_lines_have_value_and_edit(client: Client, admin: Admin, real: Services, tmp_path: Path) -> None:
    edit(client, admin, columns={"price": "12.50", "size": ["L"], "title": None})
    found = real.browse.products.products(["A/1"])["A/1"]
    lines = ProductLines()
    line = lines.encode(found)
    assert json.loads(line)["product"]["price"]["amount"] == "12.50"
    (tmp_path / lines.name).write_bytes(line)
    (read,) = lines.read(tmp_path)
    assert read == found and len(read.edits) == 3
    # an export of a version that knew no edits
    (tmp_path / lines.name).write_bytes(lines.encode(replace(found, edits=())).replace(b',"edits":[]', b""))
    assert next(lines.read(tmp_path)).edits == ()
