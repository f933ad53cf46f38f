"""Cross-origin requests: allowed origins and preflight responses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.bootstrap import services
from lookalike.domain.errors import Misconfigured
from lookalike.http.cors import is_allowed_origin
from lookalike.http.routes import ROUTES, Route
from lookalike.settings import Settings, read_settings
from tests.functions.harness import Client

LOCAL_ORIGIN = "http://localhost:3000"
OTHER_ORIGINS = [
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
def test_preflight_allows_method_and_headers(client: Client, route: Route) -> None:
    headers = {
        "Origin": LOCAL_ORIGIN,
        "Access-Control-Request-Method": route.method,
        "Access-Control-Request-Headers": "authorization",
    }
    response = client(route.function).options(route.path.replace("<id>", "x"), headers=headers)
    assert response.status_code == 204 and response.headers["Access-Control-Allow-Origin"] == LOCAL_ORIGIN
    assert route.method in response.headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "Content-Type"} <= set(response.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_preflight_of_an_unknown_path_is_not_found(client: Client) -> None:
    assert client("detail").options("/nowhere", headers={"Origin": LOCAL_ORIGIN}).status_code == 404


def test_responses_and_errors_have_cors_headers(client: Client) -> None:
    json_headers = {"Origin": LOCAL_ORIGIN, "Content-Type": "application/json"}
    for response in (
        client("cancel").get("/request_status/recent", headers={"Origin": LOCAL_ORIGIN}),
        client("upload").post("/upload_image", json={}, headers={"Origin": LOCAL_ORIGIN}),
        client("relay").post("/relay_image", data=b"{", headers=json_headers),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == LOCAL_ORIGIN and "Origin" in response.headers["Vary"]
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_other_origin_gets_no_cors_headers(client: Client, origin: str) -> None:
    assert not is_allowed_origin(Settings(), origin)
    # the test client cannot send a header with a line break
    if origin.strip() == origin:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        response = client("upload").options("/upload_image", headers=headers)
        assert response.status_code == 204
        assert not [name for name in dict(response.headers) if name.startswith("Access-Control")]


@given(st.text())
def test_only_origins_of_local_hosts_are_allowed(origin: str) -> None:
    assert not is_allowed_origin(Settings(cors_origins="https://shop.example, https://other.example:8443"), origin)
    if is_allowed_origin(Settings(), origin):
        assert origin.split("://")[1].split(":")[0] in ("localhost", "127.0.0.1", "[")


def test_configured_origins_replace_local_ones(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://shop.example,https://other.example:8443")
    services.cache_clear()
    for origin, is_allowed in {
        "https://shop.example": True,
        "https://other.example:8443": True,
        LOCAL_ORIGIN: False,
        "http://shop.example": False,
    }.items():
        response = client("cancel").get("/request_status/recent", headers={"Origin": origin})
        assert (response.headers.get("Access-Control-Allow-Origin") == origin) == is_allowed


def test_no_origin_is_allowed_by_default_on_cloud_run() -> None:
    assert not is_allowed_origin(Settings.model_construct(cors_origins="", k_service="relay"), LOCAL_ORIGIN)


@pytest.mark.parametrize(
    "value", ["*", "null", "shop.example", "https://shop.example/", "https://a.example;https://b.example"]
)
def test_settings_reject_invalid_origins(home: object, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", value)
    with pytest.raises(Misconfigured, match="CORS_ORIGINS"):
        read_settings()
