"""Fixtures for all tests: an empty home, services with real adapters, clients of the functions."""

import functools
import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from PIL import Image
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

import lookalike
from lookalike.adapters import onnx
from lookalike.adapters.catalog import upgrade
from lookalike.bootstrap import Services, services
from lookalike.domain.model import User
from lookalike.http.openapi import build_openapi
from lookalike.http.routes import gateway_url_map
from lookalike.local.gateway import load_function
from tests.skip_summary import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

FUNCTIONS_FOLDER = Path(lookalike.__file__).parents[2] / "functions"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option of `tests/e2e/test_screenshots.py`."""
    parser.addoption("--screenshots", type=Path, help="folder for the images of the documentation")


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """Restore what functions-framework changes, environment and import path, and the logger that services configure."""
    environment, import_path, logger = dict(os.environ), list(sys.path), logging.getLogger("lookalike")
    logging_state = logger.level, logger.propagate, logger.handlers
    yield
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = import_path
    logger.level, logger.propagate, logger.handlers = logging_state


@pytest.fixture(autouse=True)
def silent_exporters() -> Iterator[None]:
    """Silence exporter threads that outlive their test: they would log to the closed output of another one."""
    yield
    exporters = logging.getLogger("opentelemetry")
    if exporters.handlers:
        exporters.handlers = [logging.NullHandler()]


@pytest.fixture(scope="session", autouse=True)
def _opened_once() -> Iterator[None]:
    """Open each file of the built-in models once in a process, which takes longer than many tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "open_session", functools.cache(onnx.open_session))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty LOOKALIKE_HOME in an empty working directory, so that no other settings apply."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    services.cache_clear()
    return tmp_path / "home"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, without rows."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def real(home: Path, empty_database: Path) -> Iterator[Services]:
    """Services with the real adapters, in a home without rows and files."""
    home.mkdir(exist_ok=True)
    # a copy takes a fifth of the time of creating the tables
    shutil.copy(empty_database, home / "lookalike.db")
    yield services()
    services.cache_clear()


@pytest.fixture
def client(real: Services) -> Callable[[str], FlaskClient]:
    """Return a function that creates a test client of one function; it checks each response against the API document."""

    load = functools.cache(load_function)

    def create(name: str) -> FlaskClient:
        application = load(name, FUNCTIONS_FOLDER)
        application.test_client_class = SchemaCheckingClient
        test_client: FlaskClient = application.test_client()
        return test_client

    return create


class SchemaCheckingClient(FlaskClient):
    """Validates every JSON response against its schema in the OpenAPI document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        schema = documented_schema(response.request.method, response.request.path, response.status_code)
        if schema is not None:
            Draft202012Validator(schema).validate(response.get_json())
        return response


def documented_schema(method: str, path: str, status: int) -> dict[str, Any] | None:
    """Return a response's schema, or None if there is no such route or the response is not JSON. Fails for undocumented statuses."""
    spec = build_openapi()
    try:
        route, _ = gateway_url_map().bind("").match(path, method, return_rule=True)
    except HTTPException:
        return None
    responses = spec["paths"][route.rule.replace("<path:", "<").replace("<id>", "{id}")][method.lower()]["responses"]
    assert status >= 500 or str(status) in responses, f"{method} {path} returned {status}, which is not documented"
    content = responses.get(str(status), {}).get("content", {})
    return (
        {**content["application/json"]["schema"], "components": spec["components"]}
        if "application/json" in content
        else None
    )


@pytest.fixture
def admin(real: Services) -> dict[str, str]:
    return bearer_header(real, User("anna", "anna@example.org", "admin"))


def bearer_header(real: Services, user: User, seconds: int = 600) -> dict[str, str]:
    from lookalike.adapters.local_auth import LocalAuth

    assert isinstance(real.auth, LocalAuth)
    return {"Authorization": f"Bearer {real.auth.issue(user, seconds)}"}


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
