"""Between the host and a handler: the route, the caller, the body; and every error as an answer."""

import json
import logging
from contextlib import suppress
from typing import Any

import flask
import jwt
from werkzeug.exceptions import HTTPException

from lookalike import logs
from lookalike.bootstrap import Services, services
from lookalike.domain.errors import (
    BadRequest,
    Forbidden,
    LookalikeError,
    Unauthenticated,
)
from lookalike.domain.model import Caller
from lookalike.http.cors import preflight, shown_to
from lookalike.http.docs import serve_docs
from lookalike.http.request import ApiRequest, bound, read_body, wanted_id
from lookalike.http.request_schemas import HandlerResult
from lookalike.http.routes import Role, Route, match, methods_of, routes_of
from lookalike.settings import Settings
from lookalike.usecases.jobs import job_id

log = logging.getLogger("lookalike.http")


def handle_request(function: str, request: flask.Request) -> flask.Response:
    """What that function says to the request, for the page that asked to read. Never raises."""
    response = _answered(function, request)
    with suppress(LookalikeError):  # settings that cannot be read are what it says then
        response = shown_to(services().settings, request, response)
    return response


def _answered(function: str, request: flask.Request) -> flask.Response:
    logs.begin(job_id(None), "", "")
    try:
        bound(request)
        return _other_than_a_route(function, request) or _handled(function, request)
    except LookalikeError as error:
        return error_response(error, logs.request_id.get())
    except HTTPException as error:
        return error_response(
            BadRequest(error.description or "The request cannot be understood"), logs.request_id.get()
        )
    except Exception:
        # the caller learns nothing of our insides but the id to ask about
        log.exception("Unexpected fault")
        told = "Something went wrong here; it is noted under this request_id"
        return error_response(LookalikeError(told), logs.request_id.get())


def _other_than_a_route(function: str, request: flask.Request) -> flask.Response | None:
    """What browsers ask before they ask, and the document of the API."""
    if request.method == "OPTIONS":
        return preflight(services().settings, request, methods_of(routes_of(function), request.path))
    return serve_docs(request.path, function) if request.method == "GET" else None


def _handled(function: str, request: flask.Request) -> flask.Response:
    """Raises what the door, the body and the handler say against it."""
    route, parts = match(routes_of(function), request.method, request.path)
    assert isinstance(route, Route)
    caller = authenticate(services(), request, route.role)
    if not (route.role is Role.PLATFORM and is_local_platform(services(), request, caller)):
        authorize(services(), caller, route.role)
    fields, photo, typed = read_body(request) if route.has_body else ({}, None, True)
    chosen = job_id(wanted_id(request, fields))
    logs.begin(chosen, request.headers.get("X-Cloud-Trace-Context", ""), services().settings.google_cloud_project)
    token = bearer(request) if caller.user else ""
    asked = ApiRequest(caller, chosen, fields, photo, parts, typed, token)
    return json_response(route.handler(services(), asked), chosen)


def authenticate(services: Services, request: flask.Request, role: Role) -> Caller:
    """Raises `Unauthenticated` for a token that does not hold, even where none is needed; but one that ran out refreshes."""
    address = address_of(services.settings, request)
    if role is Role.OPEN or not (token := bearer(request)):
        return Caller(address=address)
    if role is Role.PLATFORM and (account := platform_account(services, token)):
        return Caller(account, True, address, account)
    user = services.auth.user(token)
    return Caller(user.id, user.is_admin, address, user.email)


def address_of(settings: Settings, request: flask.Request) -> str:
    """The caller's, as the nearest proxies that are ours or Google's have it; what comes before, anyone may have written.

    Cloud Run's front end writes one entry into X-Forwarded-For. A load balancer of Google's writes two, the caller's and its own.
    """
    trusted = settings.trusted_proxies + bool(settings.k_service)
    entries = [one.strip() for one in request.headers.get("X-Forwarded-For", "").split(",")]
    return (entries[-trusted:][0] if trusted else "") or request.remote_addr or ""


def bearer(request: flask.Request) -> str:
    """The token, empty where there is none. Raises `Unauthenticated` for another kind of authorisation."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind and (kind.lower() != "bearer" or not token.strip()):
        raise Unauthenticated("Authorization must be 'Bearer <token>'")
    return token.strip()


def platform_account(services: Services, token: str) -> str | None:
    """The account of the trigger or the scheduler, if PLATFORM_ACCOUNTS names it.

    Only set on private services: there Cloud Run has verified the token before, and took its signature away.
    """
    named = {one.strip() for one in services.settings.platform_accounts.split(",")} - {""}
    if not (services.settings.k_service and named):
        return None
    try:
        email = jwt.decode(token, options={"verify_signature": False}).get("email")
    except jwt.InvalidTokenError:
        return None
    return email if email in named else None


def is_local_platform(services: Services, request: flask.Request, caller: Caller) -> bool:
    """In local emulation, whoever is on the machine; not a page in their browser, which always says of what origin it is."""
    is_here = caller.address in ("127.0.0.1", "::1") and "Origin" not in request.headers
    return is_here and not services.settings.k_service


def authorize(services: Services, caller: Caller, role: Role) -> None:
    """Raises `Unauthenticated` or `Forbidden`."""
    needs_user = role in (Role.USER, Role.ADMIN, Role.PLATFORM)
    if role in (Role.ANYONE, Role.OWNER):
        needs_user = services.settings.search_needs_sign_in
    if needs_user and caller.user is None:
        raise Unauthenticated("Sign in first: send 'Authorization: Bearer <token>'")
    if role in (Role.ADMIN, Role.PLATFORM) and not caller.is_admin:
        raise Forbidden("Only an administrator may do this")


def json_response(said: HandlerResult, request_id: str) -> flask.Response:
    if isinstance(said, flask.Response):
        said.headers["X-Request-Id"] = request_id
        return said
    body, status = said if isinstance(said, tuple) else (said, 200)
    if status == 204:
        return flask.Response(status=204, headers={"X-Request-Id": request_id})
    return _json({"request_id": request_id, **body}, status, request_id)


def error_response(error: LookalikeError, request_id: str) -> flask.Response:
    """The error's status and code, with `message` and `status` where the original's client looks."""
    if error.status >= 500:
        log.warning("%s: %s", error.code, error.message, exc_info=error)
    body = {
        "success": False,
        "status": error.status_text,
        "message": error.message,
        "error": {"code": error.code, "details": error.details},
        "request_id": request_id,
    }
    response = _json(body, error.status, request_id)
    if error.status == 405:
        response.headers["Allow"] = ", ".join(map(str, error.details.get("allowed", ())))  # type: ignore[call-overload]
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _json(body: dict[str, Any], status: int, request_id: str) -> flask.Response:
    response = flask.Response(json.dumps(body), status, mimetype="application/json")
    response.headers["X-Request-Id"] = request_id
    return response
