"""Request pipeline: routing, authentication, client addresses and unexpected errors."""

import json
import time
from typing import Any

import flask
import jwt
import pytest

from lookalike.bootstrap import Services
from lookalike.bootstrap.secrets import local_secrets
from lookalike.http.pipeline import client_address, json_response
from lookalike.settings import Settings
from tests.functions.harness import PHOTO, Client, encode_base64

FORWARDED = "127.0.0.1, 198.51.100.7, 192.0.2.1"


def test_wrong_method_lists_allowed_methods(client: Client) -> None:
    response = client("relay").get("/relay_image")
    assert response.status_code == 405 and response.get_json()["error"]["details"]["allowed"] == ["POST"]


def test_unknown_path_is_not_found(client: Client) -> None:
    response = client("relay").post("/nothing/here")
    assert response.status_code == 404 and response.get_json()["success"] is False


def valid_claims() -> dict[str, Any]:
    """Return the claims of a local access token without a role."""
    return {"iss": "lookalike-local", "aud": "authenticated", "sub": "a", "exp": time.time() + 60}


@pytest.mark.parametrize(
    "defect", ["algorithm none", "expired", "another key", "audience", "issuer", "subject", "garbage", "Basic"]
)
def test_invalid_token_is_rejected(client: Client, real: Services, defect: str) -> None:
    key = local_secrets(real.settings.lookalike_home).tokens
    claims = {**valid_claims(), "app_metadata": {"role": "admin"}}
    scheme, algorithm = "Bearer", "HS256"
    match defect:
        case "algorithm none":
            key, algorithm = "", "none"
        case "expired":
            claims["exp"] = time.time() - 5
        case "another key":
            key = "0" * 64
        case "audience":
            claims["aud"] = "others"
        case "issuer":
            claims["iss"] = "others"
        case "subject":
            del claims["sub"]
        case "Basic":
            scheme = "Basic"
    token = "garbage" if defect == "garbage" else jwt.encode(claims, key, algorithm)
    headers = {"Authorization": f"{scheme} {token}"}
    response = client("upload").post("/upload_image", json={"image_base64": encode_base64(PHOTO)}, headers=headers)
    assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
    assert token not in response.get_data(as_text=True)


def test_role_in_user_metadata_grants_nothing(client: Client, real: Services) -> None:
    """Users can write `user_metadata` themselves; only `app_metadata` is trusted."""
    key = local_secrets(real.settings.lookalike_home).tokens
    claims = {**valid_claims(), "user_metadata": {"role": "admin"}, "is_admin": True, "role": "admin"}
    headers = {"Authorization": f"Bearer {jwt.encode(claims, key, 'HS256')}"}
    assert client("upload").post("/upload_image", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/", "/reindex"])
def test_local_browser_page_is_not_the_platform(client: Client, path: str) -> None:
    """Rejects pages of other origins, including names that resolve to the loopback address (DNS rebinding)."""
    function = client("reindex" if path == "/reindex" else "ingest")
    for origin in ("https://evil.example", "null", "http://localhost:3000"):
        assert function.post(path, headers={"Origin": origin}).status_code == 401
    assert function.post(path).status_code in (202, 400)


@pytest.mark.parametrize(
    ("service", "proxies", "forwarded", "address"),
    [
        ("", 0, FORWARDED, "203.0.113.9"),
        ("", 1, FORWARDED, "192.0.2.1"),
        ("", 1, "", "203.0.113.9"),
        ("auth", 0, FORWARDED, "192.0.2.1"),
        ("auth", 1, FORWARDED, "198.51.100.7"),
        ("auth", 1, "198.51.100.7", "198.51.100.7"),
        ("auth", 0, "", "203.0.113.9"),
    ],
)
def test_client_address_uses_only_entries_of_trusted_proxies(
    service: str, proxies: int, forwarded: str, address: str
) -> None:
    """Forged entries would give a caller any number of sign-in attempts."""
    settings = Settings.model_construct(k_service=service, trusted_proxies=proxies)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    environ = {"REMOTE_ADDR": "203.0.113.9"}
    with flask.Flask("any").test_request_context(headers=headers, environ_base=environ) as context:
        assert client_address(settings, context.request) == address


def test_unexpected_error_reveals_no_internals(client: Client, real: Services) -> None:
    class Broken:
        def __getattr__(self, name: str) -> None:
            raise RuntimeError("SELECT secret FROM insides")

    real.lazy_values["segments"] = Broken()
    response = client("detail").get("/splitted_images/x")
    assert response.status_code == 500 and response.get_json()["error"]["code"] == "internal"
    assert "secret" not in response.get_data(as_text=True) and response.get_json()["request_id"]


@pytest.mark.parametrize("text", ["Café 👗", "half \ud800"])
def test_response_contains_any_text(text: str) -> None:
    """A lone surrogate has no UTF-8 encoding, but it is valid in a JSON string."""
    content = json_response({"name": text}, "1").get_data()
    assert json.loads(content) == {"request_id": "1", "name": text}
