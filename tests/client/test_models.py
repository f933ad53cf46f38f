"""The client's results have the fields of the API's documentation."""

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


@pytest.mark.parametrize(
    "model",
    [
        model
        for name, model in vars(models).items()
        if isinstance(model, type) and issubclass(model, models.Result) and name not in WITHOUT_SCHEMA
    ],
)
def test_model_has_the_documented_fields(model: type[models.Result]) -> None:
    documented = set(SCHEMAS[NAMES.get(model.__name__, model.__name__)]["properties"])
    fields = {field.alias or name for name, field in model.model_fields.items()}
    assert fields - ENVELOPE == documented - ENVELOPE


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
