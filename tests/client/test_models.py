"""The client's results have the fields and types of the API's documentation."""

import subprocess
import sys
from typing import Any

import pytest

from lookalike.client import models
from lookalike.http.openapi import build_openapi

SCHEMAS: dict[str, Any] = build_openapi()["components"]["schemas"]
NAMES = {
    "StoredGarment": "Segment",
    "Match": "SearchMatch",
    "MatchGroup": "SearchMatchGroup",
    "SearchResult": "SearchResponse",
    "Job": "JobResponse",
    "TokenSession": "Session",
}
"""Names in the documentation that differ."""
WITHOUT_SCHEMA = {"Result", "Garment", "SplitPhoto"}
"""Base classes, and a result that leaves out a level."""
ENVELOPE = {"success", "message", "request_id"}
MODELS = [
    model
    for name, model in vars(models).items()
    if isinstance(model, type) and issubclass(model, models.Result) and name not in WITHOUT_SCHEMA
]


def documented_schema(model: type[models.Result]) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMAS[NAMES.get(model.__name__, model.__name__)]
    return schema


def json_types(schema: Any, known: dict[str, Any]) -> set[str]:
    """Return the JSON types of a schema. Types of the items of a list have `[]` in front, and so on inwards."""
    if not schema or schema is True:
        return {"any"}
    if "$ref" in schema:
        return json_types(known[schema["$ref"].rpartition("/")[2]], known)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return set().union(*(json_types(one, known) for one in options))
    named = schema.get("type") or [type(value).__name__ for value in schema.get("enum", [schema.get("const")])]
    names = {"string" if name == "str" else name for name in ([named] if isinstance(named, str) else named)}
    if "array" not in names:
        return names
    items = schema.get("items") or schema["prefixItems"][0]
    return names - {"array"} | {f"[]{name}" for name in json_types(items, known)}


@pytest.mark.parametrize("model", MODELS)
def test_model_has_the_documented_fields(model: type[models.Result]) -> None:
    documented = set(documented_schema(model)["properties"])
    fields = {field.alias or name for name, field in model.model_fields.items()}
    assert fields - ENVELOPE == documented - ENVELOPE


@pytest.mark.parametrize("model", MODELS)
def test_model_accepts_the_documented_types(model: type[models.Result]) -> None:
    """A field that can be missing has a default, and is `None` at most in addition to its documented types."""
    documented, own = documented_schema(model), model.model_json_schema(mode="serialization")
    can_be_missing = set(documented["properties"]) - set(documented.get("required", ()))
    for name, field in model.model_fields.items():
        key = field.alias or name
        expected = json_types(documented["properties"][key], SCHEMAS)
        accepted = json_types(own["properties"][key], own.get("$defs", {}))
        assert accepted - {"null"} == expected - {"null"} and accepted >= expected, (key, accepted, expected)
        assert not (key in can_be_missing and field.is_required()), key


def test_import_needs_nothing_of_the_server() -> None:
    script = "import sys, lookalike.client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    own = {name for name in loaded if name.startswith("lookalike.")}
    assert all(name.split(".")[1] == "client" for name in own)
    assert not {"numpy", "PIL", "flask", "sqlalchemy", "werkzeug"} & set(loaded)


def test_missing_library_is_named() -> None:
    script = "import sys; sys.modules['httpx'] = None; import lookalike.client"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stderr
    assert "pip install 'lookalike[client]'" in output
