"""The document of the API: valid, whole, served everywhere, and true of every answer."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from lookalike.http.docs import render_page
from lookalike.http.openapi import build_openapi
from lookalike.http.routes import ROUTES, Role
from lookalike.local.gateway import FUNCTION_NAMES

Client = Callable[[str], FlaskClient]


@pytest.mark.parametrize("function", [None, *FUNCTION_NAMES])
def test_it_is_valid(function: str | None) -> None:
    OpenAPIV31SpecValidator(build_openapi(function)).validate()


def test_it_has_every_route_with_its_role_and_errors() -> None:
    told = build_openapi()["paths"]
    for route in ROUTES:
        one = told[route.path.replace("<id>", "{id}")][route.method.lower()]
        assert one["summary"] and one["description"] and str(route.status) in one["responses"]
        needs_token = one.get("security") == [{"token": []}]
        assert needs_token == (route.role in (Role.USER, Role.ADMIN, Role.PLATFORM))
        assert ("403" in one["responses"]) == (route.role in (Role.ADMIN, Role.PLATFORM))
        assert {"400", "401", "413", "503"} <= one["responses"].keys()
    operations = [one["operationId"] for some in told.values() for one in some.values()]
    assert len(set(operations)) == len(operations) == len(ROUTES)


@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_every_function_serves_its_own(client: Client, function: str) -> None:
    call = client(function)
    found = call.get("/openapi.json").get_json()
    assert found == build_openapi(function) and {
        one["tags"][0] for some in found["paths"].values() for one in some.values()
    } == {function}
    said = call.get("/docs")
    text = said.get_data(as_text=True)
    assert said.status_code == 200 and "<script" not in text and "http://" not in text and "https://" not in text
    assert "default-src 'none'" in said.headers["Content-Security-Policy"]
    assert all(f"<code>{path}</code>" in text for path in found["paths"])


def test_the_page_shows_every_field_and_its_links_lead_somewhere() -> None:
    text = render_page()
    body = re.sub(r"(?s).*<body>(.*)</body>.*", r"<body>\1</body>", text)
    shown = {one.get("id"): one for one in ElementTree.fromstring(body).iter("div")}
    for link in re.findall(r'href="#(\w+)"', text):
        assert link in shown
    for name, schema in build_openapi()["components"]["schemas"].items():
        cells = ["".join(cell.itertext()).removesuffix(" *") for cell in shown[name].iter("td")]
        assert schema.get("properties", {}).keys() <= set(cells), name
    limits = "".join(shown["RelayBody"].itertext())
    assert "integer (≥ 1, ≤ 100)" in limits and "by label, score" in limits and "image_base64" in limits


def test_photos_may_come_in_three_ways() -> None:
    content = build_openapi()["paths"]["/relay_image"]["post"]["requestBody"]["content"]
    assert {"application/json", "multipart/form-data", "image/jpeg"} <= content.keys()
