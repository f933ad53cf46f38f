"""What tests share: an empty home, the functions as functions-framework makes them, drawn photographs."""

import io
import logging
import os
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
from lookalike.bootstrap import Services, services
from lookalike.domain.model import User
from lookalike.http.openapi import build_openapi
from lookalike.http.routes import functions
from lookalike.local.closet import draw_scene
from lookalike.local.gateway import load

FUNCTIONS = Path(lookalike.__file__).parents[2] / "functions"


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """functions-framework writes to it, and starting the services sets up the log."""
    before, log = dict(os.environ), logging.getLogger("lookalike")
    logged = log.level, log.propagate, log.handlers
    yield
    os.environ.clear()
    os.environ.update(before)
    log.level, log.propagate, log.handlers = logged


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, in which settings are read from nowhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    services.cache_clear()
    return tmp_path / "home"


@pytest.fixture
def real(home: Path) -> Iterator[Services]:
    """The real services of an empty home."""
    yield services()
    services.cache_clear()


@pytest.fixture
def client(real: Services) -> Callable[[str], FlaskClient]:
    """A client of one function, that holds every answer to the document of the API."""

    def made(name: str) -> FlaskClient:
        application = load(name, FUNCTIONS)
        application.test_client_class = Truthful
        found: FlaskClient = application.test_client()
        return found

    return made


class Truthful(FlaskClient):
    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        said = super().open(*args, **kwargs)
        schema = promised(said.request.method, said.request.path, said.status_code)
        if schema is not None:
            Draft202012Validator(schema).validate(said.get_json())
        return said


def promised(method: str, path: str, status: int) -> dict[str, Any] | None:
    """The schema of that answer; none for what is no JSON, and of no route. Fails for a status that no document tells."""
    told = build_openapi()
    try:
        route, _ = functions().bind("").match(path, method, return_rule=True)
    except HTTPException:
        return None
    responses = told["paths"][route.rule.replace("<id>", "{id}")][method.lower()]["responses"]
    assert status >= 500 or str(status) in responses, (
        f"{method} {path} answers {status}, which its document does not tell"
    )
    content = responses.get(str(status), {}).get("content", {})
    return (
        {**content["application/json"]["schema"], "components": told["components"]}
        if "application/json" in content
        else None
    )


@pytest.fixture
def admin(real: Services) -> dict[str, str]:
    return bearer(real, User("anna", "anna@example.org", "admin"))


def bearer(real: Services, user: User, seconds: int = 600) -> dict[str, str]:
    from lookalike.adapters.local_auth import LocalAuth

    assert isinstance(real.auth, LocalAuth)
    return {"Authorization": f"Bearer {real.auth.issue(user, seconds)}"}


def drawn(seed: int = 1, worn: bool = False) -> Image.Image:
    return draw_scene(seed, worn).image


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
