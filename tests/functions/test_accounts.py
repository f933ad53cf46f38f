"""Accounts: registering, signing in and out, with local accounts and with an emulator of Supabase Auth."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from lookalike.bootstrap import Services, services
from lookalike.domain.model import User
from lookalike.usecases.sign_in import MAX_LOGINS_PER_ACCOUNT
from tests.conftest import bearer_header
from tests.emulators.auth_server import AuthServer, auth_server
from tests.functions.harness import Client

ANNA = {"email": "anna@example.com", "password": "correct horse"}


@pytest.fixture(params=["local", "supabase"])
def auth(request: pytest.FixtureRequest, home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """Client of `auth`, with local accounts or with Supabase."""
    if request.param == "local":
        yield request.getfixturevalue("client")("auth")
        return
    with auth_server() as server:
        monkeypatch.setenv("AUTH_URL", server.url)
        monkeypatch.setenv("SUPABASE_KEY", server.PUBLIC)
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", server.SERVICE)
        services.cache_clear()
        yield request.getfixturevalue("client")("auth")
        services.cache_clear()


def post(auth: FlaskClient, action: str, **fields: Any) -> TestResponse:
    """Send the fields to `/api/auth/<action>`."""
    return auth.post(f"/api/auth/{action}", json=fields)


def register_and_sign_in(auth: FlaskClient) -> dict[str, Any]:
    """Return the session of a new account."""
    assert post(auth, "register", **ANNA).status_code == 201
    data: dict[str, Any] = post(auth, "login", **ANNA).get_json()["data"]
    return data


def token_header(data: dict[str, Any]) -> dict[str, str]:
    """Return the Authorization header of a session."""
    return {"Authorization": f"Bearer {data['access_token']}"}


def test_session_from_registration_to_sign_out(auth: FlaskClient) -> None:
    response = post(auth, "register", **ANNA)
    assert response.status_code == 201 and response.get_json()["success"]
    registered = response.get_json()["data"]
    assert registered["email"] == ANNA["email"]
    data = post(auth, "login", **ANNA).get_json()["data"]
    assert (data["user_id"], data["role"], data["email"]) == (registered["user_id"], "user", ANNA["email"])
    user = auth.get("/api/auth/user", headers=token_header(data)).get_json()["data"]
    assert user == {"user_id": data["user_id"], "email": ANNA["email"], "role": "user", "is_admin": False}
    refreshed = post(auth, "refresh", refresh_token=data["refresh_token"]).get_json()["data"]
    assert refreshed["refresh_token"] != data["refresh_token"]
    assert auth.post("/api/auth/logout", headers=token_header(refreshed)).get_json()["success"]
    assert post(auth, "refresh", refresh_token=refreshed["refresh_token"]).status_code == 401


def test_refresh_ignores_expired_access_token(auth: FlaskClient) -> None:
    data = register_and_sign_in(auth)
    for stale in ("Bearer ran.out.long-ago", "Basic eDp5"):
        fields, headers = {"refresh_token": data["refresh_token"]}, {"Authorization": stale}
        response = auth.post("/api/auth/refresh", json=fields, headers=headers)
        assert response.status_code == 200
        data = response.get_json()["data"]


@pytest.mark.parametrize(
    "extra", [{"is_admin": True}, {"role": "admin"}, {"app_metadata": {"role": "admin"}}, {"data": {"role": "admin"}}]
)
def test_registration_cannot_grant_admin_role(auth: FlaskClient, extra: dict[str, Any]) -> None:
    assert post(auth, "register", **ANNA, **extra).status_code == 201
    data = post(auth, "login", **ANNA, **extra).get_json()["data"]
    user = auth.get("/api/auth/user", headers=token_header(data)).get_json()["data"]
    assert data["role"] == user["role"] == "user" and user["is_admin"] is False


def test_wrong_password_and_unknown_email_have_the_same_response(auth: FlaskClient) -> None:
    register_and_sign_in(auth)
    mistakes: tuple[dict[str, str], ...] = ({"password": "wrong"}, {"email": "nobody@example.com"})
    responses = [post(auth, "login", **ANNA | mistake) for mistake in mistakes]
    assert [response.status_code for response in responses] == [401, 401]
    bodies = [{**response.get_json(), "request_id": ""} for response in responses]
    assert bodies[0] == bodies[1] and bodies[0]["success"] is False and bodies[0]["message"]


def test_errors_name_the_invalid_field(auth: FlaskClient) -> None:
    assert post(auth, "register", **ANNA).status_code == 201
    assert post(auth, "register", **ANNA).status_code == 409
    invalid: list[tuple[str, dict[str, Any], str]] = [
        ("register", {"email": "no address", "password": "correct horse"}, "email"),
        ("register", {"email": "bert@example.com", "password": "short"}, "password"),
        ("register", {"email": "bert@example.com"}, "password"),
        ("login", {"email": 5, "password": "x"}, "email"),
        ("refresh", {}, "refresh_token"),
    ]
    for action, fields, name in invalid:
        response = post(auth, action, **fields)
        assert response.status_code == 422 and response.get_json()["error"]["details"]["field"] == name, (
            action,
            fields,
        )


def test_failed_logins_are_limited(auth: FlaskClient) -> None:
    register_and_sign_in(auth)
    for number in range(MAX_LOGINS_PER_ACCOUNT):
        assert post(auth, "login", **ANNA | {"password": f"wrong {number}"}).status_code == 401
    response = post(auth, "login", **ANNA)
    assert response.status_code == 429 and int(response.headers["Retry-After"]) == 900
    assert response.get_json()["error"]["code"] == "too_many_attempts"


def test_granted_role_applies_to_the_next_token(auth: FlaskClient) -> None:
    data = register_and_sign_in(auth)
    services().accounts.set_role(ANNA["email"], "admin")
    assert not auth.get("/api/auth/user", headers=token_header(data)).get_json()["data"]["is_admin"]
    refreshed = post(auth, "refresh", refresh_token=data["refresh_token"]).get_json()["data"]
    assert auth.get("/api/auth/user", headers=token_header(refreshed)).get_json()["data"]["is_admin"]


def test_passwords_and_tokens_are_not_logged(auth: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("lookalike").propagate = True
    data = register_and_sign_in(auth)
    auth.get("/api/auth/user", headers=token_header(data))
    post(auth, "login", **ANNA | {"password": "wrong secret"})
    post(auth, "refresh", refresh_token=data["refresh_token"])
    post(auth, "refresh", refresh_token="unknown secret")
    auth.post("/api/auth/logout", headers=token_header(data))
    logged = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records)])
    secrets = [ANNA["password"], "wrong secret", "unknown secret", data["access_token"], data["refresh_token"]]
    assert not [secret for secret in secrets if secret in logged] and "sb_secret_" not in logged


def test_unavailable_auth_service_returns_503(home: object, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    server: AuthServer
    with auth_server() as server:
        monkeypatch.setenv("AUTH_URL", server.url)
        monkeypatch.setenv("SUPABASE_KEY", server.PUBLIC)
        services.cache_clear()
        server.is_unavailable = True
        response = post(client("auth"), "login", **ANNA)
    assert response.status_code == 503 and response.headers["Retry-After"]


def test_current_user_shows_id_and_role(client: Client, admin: dict[str, str], real: Services) -> None:
    auth = client("auth")
    data = auth.get("/api/auth/user", headers=admin).get_json()["data"]
    assert data == {"user_id": "anna", "email": "anna@example.org", "role": "admin", "is_admin": True}
    user = bearer_header(real, User("bert", "bert@example.org"))
    assert auth.get("/api/auth/user", headers=user).get_json()["data"]["is_admin"] is False
    assert auth.get("/api/auth/user").status_code == 401
