"""The API documentation that functions serve."""

import re
from xml.etree import ElementTree

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from lookalike.bootstrap import services
from lookalike.http.docs import render_page
from lookalike.http.openapi import build_openapi
from lookalike.http.routes import ROUTES, Role
from lookalike.local.gateway import FUNCTION_NAMES
from tests.functions.harness import Client


@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_function_serves_docs_of_its_routes(client: Client, function: str) -> None:
    function_client = client(function)
    document = function_client.get("/openapi.json").get_json()
    assert document == build_openapi(function)
    tags = {operation["tags"][0] for path in document["paths"].values() for operation in path.values()}
    assert tags == {function}
    page = function_client.get("/docs")
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert all(f"<code>{path}</code>" in text for path in document["paths"])


@pytest.mark.parametrize("function", ["relay", "auth"])
def test_function_behind_a_public_address_serves_docs_of_the_whole_api(
    client: Client, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://shop.example/")
    services.cache_clear()
    function_client = client(function)
    document = function_client.get("/openapi.json").get_json()
    OpenAPIV31SpecValidator(document).validate()
    assert [server["url"] for server in document["servers"]] == ["https://shop.example"]
    documented = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    reachable = {
        (route.method, re.sub("<(.+?)>", r"{\1}", route.path)) for route in ROUTES if route.role is not Role.PLATFORM
    }
    assert documented == reachable | {("GET", "/healthz"), ("GET", "/readyz")}
    assert "Address: <code>https://shop.example</code>" in function_client.get("/docs").get_data(as_text=True)


def test_page_has_no_scripts_and_loads_nothing(client: Client) -> None:
    page = client("relay").get("/docs")
    text = page.get_data(as_text=True)
    assert "<script" not in text and "http://" not in text and "https://" not in text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_page_shows_every_field_and_has_no_broken_links() -> None:
    page = render_page()
    body = re.sub(r"(?s).*<body>(.*)</body>.*", r"<body>\1</body>", page)
    sections = {element.get("id"): element for element in ElementTree.fromstring(body).iter("div")}
    for link in re.findall(r'href="#(\w+)"', page):
        assert link in sections
    for name, schema in build_openapi()["components"]["schemas"].items():
        cells = {"".join(cell.itertext()).removesuffix(" *") for cell in sections[name].iter("td")}
        assert schema.get("properties", {}).keys() <= cells, name


def test_page_shows_limits_types_and_descriptions() -> None:
    page = render_page()
    section = page[page.index('<div id="RelayRequest">') :].partition("</div>")[0]
    assert "integer (≥ 1, ≤ 100)" in section and "by label, score" in section and "image_base64" in section
    assert "Minimum cosine similarity of a match." in section
