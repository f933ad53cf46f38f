"""The OpenAPI document. `tests/conftest.py` also validates the responses of all function tests against it."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from lookalike.http.openapi import build_openapi
from lookalike.http.response_schemas import DataResponse
from lookalike.http.routes import ROUTES, Role
from lookalike.local.gateway import FUNCTION_NAMES


@pytest.mark.parametrize("function", [None, *FUNCTION_NAMES])
def test_document_is_valid(function: str | None) -> None:
    OpenAPIV31SpecValidator(build_openapi(function)).validate()


def test_server_with_all_functions_documents_every_route_at_its_public_address() -> None:
    document = build_openapi(None, "https://shop.example")
    assert document["servers"][0]["url"] == "https://shop.example"
    assert document["paths"] == build_openapi()["paths"]


def test_document_has_every_route_with_its_role_and_errors() -> None:
    paths = build_openapi()["paths"]
    for route in ROUTES:
        operation = paths[route.path.replace("<id>", "{id}")][route.method.lower()]
        assert operation["summary"] and operation["description"] and str(route.status) in operation["responses"]
        schemes = operation["security"]
        assert ({} in schemes or schemes == []) == (route.role not in (Role.USER, Role.ADMIN))
        assert ({"key": []} in schemes) == (route.role not in (Role.USER, Role.OPEN))
        assert ({"token": []} in schemes) == ("403" in operation["responses"]) == (route.role is not Role.OPEN)
        assert {"400", "401", "413", "503"} <= operation["responses"].keys()


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for path in build_openapi()["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids) == len(ROUTES)


def test_photo_is_accepted_as_json_form_and_body() -> None:
    content = build_openapi()["paths"]["/relay_image"]["post"]["requestBody"]["content"]
    assert {"application/json", "multipart/form-data", "image/jpeg"} <= content.keys()


def test_body_is_required_except_where_every_field_has_a_default() -> None:
    paths = build_openapi()["paths"]
    optional = {
        (path, method)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if not operation.get("requestBody", {"required": True})["required"]
    }
    assert optional >= {("/reindex", "post"), ("/cleanup_requests", "post"), ("/ingestions/retry", "post")}
    assert {method for _, method in optional} == {"post"}, "PUT replaces what is stored"


def test_event_is_documented_in_both_modes() -> None:
    operation = build_openapi("ingest")["paths"]["/"]["post"]
    assert operation["requestBody"]["content"].keys() == {"application/json", "application/cloudevents+json"}
    headers = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
    assert headers == {"ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"}


def test_every_schema_has_a_description() -> None:
    for name, schema in build_openapi()["components"]["schemas"].items():
        # pydantic does not give the description of a generic class to its specializations
        assert schema.get("description") or name.startswith("DataResponse_"), name


def test_described_fields_of_responses_have_their_descriptions() -> None:
    """A subclass of `DataResponse` must ask for them."""
    missing = [
        f"{schema.__name__}.{field}"
        for schema in _subclasses(DataResponse)
        for field, text in _field_docstrings(schema).items()
        if schema.model_fields[field].description != text
    ]
    assert missing == []


def _subclasses(schema: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in schema.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _field_docstrings(schema: type[BaseModel]) -> dict[str, str]:
    if "[" in schema.__name__:  # a parameterized class has no source
        return {}
    (tree,) = ast.parse(inspect.getsource(schema)).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
