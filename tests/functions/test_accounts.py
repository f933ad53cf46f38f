"""Registering and signing in through the functions, over accounts of this machine and over a stand-in for Supabase."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from lookalike.bootstrap import Services, services
from lookalike.domain.model import User
from lookalike.http.pipeline import client_address
from lookalike.http.routes import ROUTES, Role, Route
from lookalike.settings import Settings
from lookalike.usecases.sign_in import MAX_LOGINS_PER_ACCOUNT
from tests.conftest import bearer_header
from tests.emulators.auth_server import AuthServer, auth_server

Client = Callable[[str], FlaskClient]
ANNA = {"email": "anna@example.com", "password": "correct horse"}


@pytest.fixture(params=["local", "supabase"])
def auth(request: pytest.FixtureRequest, home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The function, signing in here or there."""
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


def call(auth: FlaskClient, what: str, **fields: Any) -> TestResponse:
    return auth.post(f"/api/auth/{what}", json=fields)


def signed_in(auth: FlaskClient) -> dict[str, Any]:
    assert call(auth, "register", **ANNA).status_code == 201
    data: dict[str, Any] = call(auth, "login", **ANNA).get_json()["data"]
    return data


def with_token(data: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {data['access_token']}"}


def test_from_registering_to_signing_out(auth: FlaskClient) -> None:
    said = call(auth, "register", **ANNA)
    assert said.status_code == 201 and said.get_json()["success"]
    registered = said.get_json()["data"]
    assert registered["email"] == ANNA["email"]
    data = call(auth, "login", **ANNA).get_json()["data"]
    assert (data["user_id"], data["role"], data["email"]) == (registered["user_id"], "user", ANNA["email"])
    who = auth.get("/api/auth/user", headers=with_token(data)).get_json()["data"]
    assert who == {"user_id": data["user_id"], "email": ANNA["email"], "role": "user", "is_admin": False}
    fresh = call(auth, "refresh", refresh_token=data["refresh_token"]).get_json()["data"]
    assert fresh["refresh_token"] != data["refresh_token"]
    assert auth.post("/api/auth/logout", headers=with_token(fresh)).get_json()["success"]
    assert call(auth, "refresh", refresh_token=fresh["refresh_token"]).status_code == 401


def test_who_refreshes_may_send_a_token_that_ran_out(auth: FlaskClient) -> None:
    data = signed_in(auth)
    for stale in ("Bearer ran.out.long-ago", "Basic eDp5"):
        fields, headers = {"refresh_token": data["refresh_token"]}, {"Authorization": stale}
        said = auth.post("/api/auth/refresh", json=fields, headers=headers)
        assert said.status_code == 200
        data = said.get_json()["data"]


@pytest.mark.parametrize(
    "more", [{"is_admin": True}, {"role": "admin"}, {"app_metadata": {"role": "admin"}}, {"data": {"role": "admin"}}]
)
def test_nobody_registers_as_an_administrator(auth: FlaskClient, more: dict[str, Any]) -> None:
    assert call(auth, "register", **ANNA, **more).status_code == 201
    data = call(auth, "login", **ANNA, **more).get_json()["data"]
    who = auth.get("/api/auth/user", headers=with_token(data)).get_json()["data"]
    assert data["role"] == who["role"] == "user" and who["is_admin"] is False


def test_a_wrong_password_is_said_where_the_client_looks(auth: FlaskClient) -> None:
    signed_in(auth)
    said = [call(auth, "login", **ANNA | wrong) for wrong in ({"password": "wrong"}, {"email": "nobody@example.com"})]
    assert [one.status_code for one in said] == [401, 401]
    bodies = [{**one.get_json(), "request_id": ""} for one in said]
    assert bodies[0] == bodies[1] and bodies[0]["success"] is False and bodies[0]["message"]


def test_what_is_wrong_is_named(auth: FlaskClient) -> None:
    assert call(auth, "register", **ANNA).status_code == 201
    assert call(auth, "register", **ANNA).status_code == 409
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("register", {"email": "no address", "password": "correct horse"}, "email"),
        ("register", {"email": "bert@example.com", "password": "short"}, "password"),
        ("register", {"email": "bert@example.com"}, "password"),
        ("login", {"email": 5, "password": "x"}, "email"),
        ("refresh", {}, "refresh_token"),
    ]
    for what, fields, name in wrong:
        said = call(auth, what, **fields)
        assert said.status_code == 422 and said.get_json()["error"]["details"]["field"] == name, (what, fields)


def test_passwords_are_not_tried_for_long(auth: FlaskClient) -> None:
    signed_in(auth)
    wrong = [call(auth, "login", **ANNA | {"password": f"wrong {number}"}) for number in range(MAX_LOGINS_PER_ACCOUNT)]
    assert {one.status_code for one in wrong} == {401}
    said = call(auth, "login", **ANNA)
    assert said.status_code == 429 and int(said.headers["Retry-After"]) == 900
    assert said.get_json()["error"]["code"] == "too_many_attempts"


def test_a_role_that_was_granted_opens_doors_with_the_next_token(auth: FlaskClient) -> None:
    data = signed_in(auth)
    services().accounts.set_role(ANNA["email"], "admin")
    assert not auth.get("/api/auth/user", headers=with_token(data)).get_json()["data"]["is_admin"]
    fresh = call(auth, "refresh", refresh_token=data["refresh_token"]).get_json()["data"]
    assert auth.get("/api/auth/user", headers=with_token(fresh)).get_json()["data"]["is_admin"]


def test_neither_passwords_nor_tokens_are_logged(auth: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("lookalike").propagate = True
    data = signed_in(auth)
    auth.get("/api/auth/user", headers=with_token(data))
    call(auth, "login", **ANNA | {"password": "wrong secret"})
    call(auth, "refresh", refresh_token=data["refresh_token"])
    call(auth, "refresh", refresh_token="unknown secret")
    auth.post("/api/auth/logout", headers=with_token(data))
    logged = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records)])
    secrets = [ANNA["password"], "wrong secret", "unknown secret", data["access_token"], data["refresh_token"]]
    assert not [one for one in secrets if one in logged] and "sb_secret_" not in logged


def test_the_service_away_is_a_503(home: object, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    server: AuthServer
    with auth_server() as server:
        monkeypatch.setenv("AUTH_URL", server.url)
        monkeypatch.setenv("SUPABASE_KEY", server.PUBLIC)
        services.cache_clear()
        server.is_unavailable = True
        said = call(client("auth"), "login", **ANNA)
    assert said.status_code == 503 and said.headers["Retry-After"]


AUTH = {f"POST /api/auth/{what}" for what in ("register", "login", "refresh")}
SEARCHING = {"POST /relay_image", "POST /split_image", "POST /image/split", "POST /image_detail"}
LOOKING = {"GET /splitted_images/<id>", "GET /splitted_images/by_original/<id>", "GET /thumbnails/<id>"}
JOBS = {
    "POST /cancel_request/<id>",
    "POST /cancel_processing/<id>",
    "GET /request_status/<id>",
    "GET /request_status/recent",
}
OWN = {f"{method} /search_history{which}" for method in ("GET", "DELETE") for which in ("", "/<id>")}


def test_whoever_is_no_administrator_may_do_this_and_no_more() -> None:
    """A second writing of the table: what is not here is an administrator's, or the platform's."""
    routes: dict[Role, set[str]] = {role: set() for role in Role}
    for route in ROUTES:
        routes[route.role].add(f"{route.method} {route.path}")
    assert routes[Role.OPEN] == AUTH
    assert routes[Role.ANYONE] == SEARCHING | LOOKING
    assert routes[Role.OWNER] == JOBS | {"POST /cleanup_requests"}
    assert routes[Role.USER] == OWN | {"POST /api/auth/logout", "GET /api/auth/user"}
    assert routes[Role.PLATFORM] == {"POST /", "POST /reindex"}


OWNED = {"/cancel_request/<id>", "/cancel_processing/<id>", "/request_status/<id>"}
MAY: dict[Role, tuple[bool, bool, bool]] = {
    # without a token, a user, an administrator
    Role.OPEN: (True, True, True),
    Role.ANYONE: (True, True, True),
    Role.OWNER: (True, True, True),
    Role.USER: (False, True, True),
    Role.ADMIN: (False, False, True),
    Role.PLATFORM: (False, False, True),
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_lets_in_whom_its_role_says(client: Client, real: Services, route: Route) -> None:
    """Another's job is nobody's but an administrator's, and everything else is past the door, whatever comes behind it."""
    path, function = route.path.replace("<id>", "mine"), client(route.function)
    real.catalog.start_job("mine", "search", caller("bert"))
    callers: tuple[dict[str, str], ...] = (
        {},
        bearer_header(real, User("clara", "c@example.org")),
        bearer_header(real, User("anna", "a@example.org", "admin")),
    )
    # as from another machine: on this one, whoever runs it is the platform
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    for headers, may in zip(callers, MAY[route.role], strict=True):
        said = function.open(path, method=route.method, json={}, headers=headers, environ_overrides=elsewhere)
        assert (said.status_code not in (401, 403)) == may, said.get_data(as_text=True)
        if route.path in OWNED:
            is_admin = headers is callers[2]
            assert (said.status_code == 404) != is_admin


def caller(user: str) -> Any:
    from lookalike.domain.model import Caller

    return Caller(user)


@pytest.mark.parametrize("path", ["/", "/reindex"])
def test_a_page_in_the_browser_of_this_machine_is_not_its_platform(client: Client, path: str) -> None:
    """Neither a stranger's, nor one whose name was made to lead here."""
    function = client("reindex" if path == "/reindex" else "ingest")
    for origin in ("https://evil.example", "null", "http://localhost:3000"):
        assert function.post(path, headers={"Origin": origin}).status_code == 401
    assert function.post(path).status_code in (202, 400)


FORWARDED = "127.0.0.1, 198.51.100.7, 192.0.2.1"


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
def test_a_callers_address_is_what_our_own_proxies_say(
    service: str, proxies: int, forwarded: str, address: str
) -> None:
    """Not what a caller writes of themselves, who could sign in as often as they can count."""
    settings = Settings.model_construct(k_service=service, trusted_proxies=proxies)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with flask.Flask("any").test_request_context(
        headers=headers, environ_base={"REMOTE_ADDR": "203.0.113.9"}
    ) as context:
        assert client_address(settings, context.request) == address


def test_another_users_jobs_are_neither_listed_nor_swept(client: Client, real: Services) -> None:
    cancel = client("cancel")
    real.catalog.start_job("berts", "search", caller("bert"))
    clara = bearer_header(real, User("clara", "c@example.org"))
    assert cancel.get("/request_status/recent", headers=clara).get_json()["requests"] == []
    assert cancel.post("/cleanup_requests", json={"max_age_seconds": 0}, headers=clara).status_code == 200
    assert real.catalog.job("berts") is not None
    bert = bearer_header(real, User("bert", "b@example.org"))
    assert cancel.post("/cancel_request/berts", headers=bert).get_json()["success"]
