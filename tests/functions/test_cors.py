"""Pages of other origins: who may read the answers, and what browsers are told before they ask."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from lookalike.bootstrap import services
from lookalike.domain.errors import Misconfigured
from lookalike.http.cors import is_allowed_origin
from lookalike.http.routes import ROUTES, Route
from lookalike.settings import Settings, read_settings

Client = Callable[[str], FlaskClient]
PAGE = "http://localhost:3000"
STRANGERS = [
    "null",
    "",
    "http://evil.example",
    "http://localhost.evil.example",
    "http://localhost:3000.evil.example",
    "http://evil.example/http://localhost:3000",
    "http://localhost:3000/",
    "http://localhost:3000\n",
    "HTTP://LOCALHOST:3000@evil.example",
    "file://localhost",
    "http://127.0.0.10",
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_browsers_are_told_what_they_may_ask(client: Client, route: Route) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": route.method,
        "Access-Control-Request-Headers": "authorization",
    }
    said = client(route.function).options(route.path.replace("<id>", "x"), headers=asked)
    assert said.status_code == 204 and said.headers["Access-Control-Allow-Origin"] == PAGE
    assert route.method in said.headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "Content-Type"} <= set(said.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in said.headers


def test_answers_and_errors_alike_may_be_read(client: Client) -> None:
    for call in (
        client("cancel").get("/request_status/recent", headers={"Origin": PAGE}),
        client("upload").post("/upload_image", json={}, headers={"Origin": PAGE}),
        client("relay").post("/relay_image", data=b"{", headers={"Origin": PAGE, "Content-Type": "application/json"}),
    ):
        assert call.headers["Access-Control-Allow-Origin"] == PAGE and "Origin" in call.headers["Vary"]
        assert "Retry-After" in call.headers["Access-Control-Expose-Headers"]
    assert client("detail").options("/nowhere", headers={"Origin": PAGE}).status_code == 404


@pytest.mark.parametrize("origin", STRANGERS)
def test_a_strangers_page_reads_nothing(client: Client, origin: str) -> None:
    headers = {"Origin": origin.strip(), "Access-Control-Request-Method": "POST"}
    if origin.strip() == origin:
        said = client("upload").options("/upload_image", headers=headers)
        assert said.status_code == 204 and not [
            name for name in dict(said.headers) if name.startswith("Access-Control")
        ]
    assert not is_allowed_origin(Settings(), origin)


@given(st.text())
def test_no_other_text_is_an_origin_of_ours(origin: str) -> None:
    assert not is_allowed_origin(Settings(cors_origins="https://shop.example, https://other.example:8443"), origin)
    welcome = is_allowed_origin(Settings(), origin)
    assert not welcome or origin.split("://")[1].split(":")[0] in ("localhost", "127.0.0.1", "[")


def test_named_origins_are_all_there_are(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://shop.example,https://other.example:8443")
    services.cache_clear()
    for origin, welcome in {
        "https://shop.example": True,
        "https://other.example:8443": True,
        PAGE: False,
        "http://shop.example": False,
    }.items():
        said = client("cancel").get("/request_status/recent", headers={"Origin": origin})
        assert (said.headers.get("Access-Control-Allow-Origin") == origin) == welcome


def test_in_the_cloud_nobody_is_by_default() -> None:
    assert not is_allowed_origin(Settings.model_construct(cors_origins="", k_service="relay"), PAGE)


@pytest.mark.parametrize(
    "wrong", ["*", "null", "shop.example", "https://shop.example/", "https://a.example;https://b.example"]
)
def test_what_is_no_origin_is_refused_at_the_start(home: object, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", wrong)
    with pytest.raises(Misconfigured, match="CORS_ORIGINS"):
        read_settings()
