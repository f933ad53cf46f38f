"""Roles that each route requires."""

import itertools
from typing import Any

import pytest

from lookalike.bootstrap import Services, services
from lookalike.domain.api_keys import KeyRole
from lookalike.domain.model import Caller, User
from lookalike.http.routes import ROUTES, Role, Route
from lookalike.usecases.api_keys import KeyRequest
from tests.conftest import bearer_header
from tests.functions.harness import PHOTO, REMOTE, Client, encode_base64

ACCOUNT_ROUTES = {f"POST /api/auth/{action}" for action in ("register", "login", "refresh")}
ACCOUNT_ROUTES_OF_USERS = {"POST /api/auth/logout", "GET /api/auth/user", "GET /me/export", "DELETE /me"}
SEARCH_ROUTES = {"POST /search", "POST /relay_image", "POST /split_image", "POST /image/split", "POST /image_detail"}
READ_ROUTES = {"GET /splitted_images/<id>", "GET /splitted_images/by_original/<id>", "GET /thumbnails/<id>"}
JOB_ROUTES = {
    "POST /cancel_request/<id>",
    "POST /cancel_processing/<id>",
    "GET /request_status/<id>",
    "GET /request_status/recent",
    "POST /cleanup_requests",
}
HISTORY_ROUTES = {f"{method} /search_history{suffix}" for method in ("GET", "DELETE") for suffix in ("", "/<id>")}
SINGLE_JOB_PATHS = {"/cancel_request/<id>", "/cancel_processing/<id>", "/request_status/<id>"}
BROWSE_ROUTES = {"GET /garments", "GET /products", "GET /products/<id>"}
SEARCH_KEY_ROUTES = (SEARCH_ROUTES | READ_ROUTES | BROWSE_ROUTES | JOB_ROUTES) - {"POST /cleanup_requests"}
"""Routes for API keys with the role `search`. Each must apply the key's filter."""
ALLOWED: dict[Role, tuple[bool, bool, bool]] = {
    # without a token, user, administrator
    Role.OPEN: (True, True, True),
    Role.ANYONE: (True, True, True),
    Role.OWNER: (True, True, True),
    Role.USER: (False, True, True),
    Role.ADMIN: (False, False, True),
    Role.PLATFORM: (False, False, True),
}


def test_only_listed_routes_are_open_to_other_roles_than_admin() -> None:
    """Repeats the route table on purpose: a new route is for administrators unless it is added here, too."""
    routes: dict[Role, set[str]] = {role: set() for role in Role}
    for route in ROUTES:
        routes[route.role].add(f"{route.method} {route.path}")
    assert routes[Role.OPEN] == ACCOUNT_ROUTES
    assert routes[Role.ANYONE] == SEARCH_ROUTES | READ_ROUTES | BROWSE_ROUTES
    assert routes[Role.OWNER] == JOB_ROUTES
    assert routes[Role.USER] == HISTORY_ROUTES | ACCOUNT_ROUTES_OF_USERS | {"POST /feedback"}
    assert routes[Role.PLATFORM] == {"POST /", "POST /reindex"}


def test_only_listed_routes_are_open_to_search_keys() -> None:
    """Repeats the route table on purpose: a new route is closed to search keys unless it is added here, too."""
    assert {f"{route.method} {route.path}" for route in ROUTES if route.allows_search_keys} == SEARCH_KEY_ROUTES


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_route_admits_exactly_the_keys_that_may_use_it(client: Client, real: Services, route: Route) -> None:
    path, function = route.path.replace("<id>", "mine"), client(route.function)
    keys = {role: real.api_keys.create(KeyRequest(role))[1] for role in KeyRole}
    is_allowed = {
        KeyRole.SEARCH: route.role is Role.OPEN or f"{route.method} {route.path}" in SEARCH_KEY_ROUTES,
        KeyRole.ADMIN: route.role is not Role.USER,
    }
    # requests from this machine, too: a key has its own rights alone, and not those of the platform
    for role, environment in itertools.product(KeyRole, (REMOTE, {})):
        headers = {"Authorization": f"Bearer {keys[role]}"}
        response = function.open(path, method=route.method, json={}, headers=headers, environ_overrides=environment)
        if route.role is not Role.OPEN:
            assert (response.status_code == 403) != is_allowed[role], response.get_data(as_text=True)
            assert response.status_code != 401


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_route_admits_exactly_its_role(client: Client, real: Services, route: Route) -> None:
    """Other errors than 401 and 403 come after authorization. Only administrators see the job of another user."""
    path, function = route.path.replace("<id>", "mine"), client(route.function)
    real.catalog.start_job("mine", "search", Caller("bert"))
    callers: tuple[dict[str, str], ...] = (
        {},
        bearer_header(real, User("clara", "c@example.org")),
        bearer_header(real, User("anna", "a@example.org", "admin")),
    )
    for headers, is_allowed in zip(callers, ALLOWED[route.role], strict=True):
        response = function.open(path, method=route.method, json={}, headers=headers, environ_overrides=REMOTE)
        assert (response.status_code not in (401, 403)) == is_allowed, response.get_data(as_text=True)
        if route.path in SINGLE_JOB_PATHS:
            is_admin = headers is callers[2]
            assert (response.status_code == 404) != is_admin


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.role is Role.ADMIN],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_admin_route_rejects_other_callers(client: Client, real: Services, route: Any) -> None:
    path = route.path.replace("<id>", "x")
    function = client(route.function)
    assert function.open(path, method=route.method, json={}).status_code == 401
    user = bearer_header(real, User("bert", "bert@example.org"))
    assert function.open(path, method=route.method, json={}, headers=user).status_code == 403


def test_search_requires_sign_in_if_configured(client: Client, home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_NEEDS_SIGN_IN", "true")
    services.cache_clear()
    relay, body = client("relay"), {"image_base64": encode_base64(PHOTO)}
    assert relay.post("/relay_image", json=body).status_code == 401
    user = bearer_header(services(), User("bert", "bert@example.org"))
    assert relay.post("/relay_image", json=body, headers=user).status_code == 200
