"""Request pipeline: route matching, authentication, body parsing and error responses."""

import json
import logging
from contextlib import suppress
from typing import Any

import flask
import jwt
from pydantic_core import PydanticSerializationError, to_json
from werkzeug.exceptions import HTTPException

from lookalike import logs
from lookalike.bootstrap import Services, services
from lookalike.domain.api_keys import KEY_PREFIX
from lookalike.domain.errors import BadRequest, Forbidden, LookalikeError, Unauthenticated
from lookalike.domain.model import Caller
from lookalike.http.api_keys import authenticate_key, authorize_key
from lookalike.http.cors import add_cors_headers, preflight_response
from lookalike.http.docs import serve_docs
from lookalike.http.rate_limit_headers import rate_limit_headers
from lookalike.http.request import ApiRequest, Body, limit_body_size, read_body, requested_job_id
from lookalike.http.request_schemas import HandlerResult
from lookalike.http.request_timing import respond_timed
from lookalike.http.routes import DOCS_PATHS, Role, Route, allowed_methods, function_url_map, match_route, route_pattern
from lookalike.http.widget import serve_widget
from lookalike.settings import Settings
from lookalike.usecases.jobs import validate_or_create_job_id
from lookalike.usecases.rate_limits import require_quota

log = logging.getLogger("lookalike.http")


def handle_request(function: str, request: flask.Request) -> flask.Response:
    """Handle a request to one of the functions. Never raises: every error becomes a response.

    `function` is the name of the function, such as "relay".
    """
    route = route_pattern(function_url_map(function), request.method, request.path)
    return respond_timed(request, route, lambda: _respond_with_cors(function, request))


def _respond_with_cors(function: str, request: flask.Request) -> flask.Response:
    response = _respond(function, request)
    # Invalid settings raise here again. The response already reports them.
    with suppress(LookalikeError):
        response = add_cors_headers(services().settings, request, response)
    return response


def _respond(function: str, request: flask.Request) -> flask.Response:
    headers: dict[str, str] = {}
    response = _respond_or_report(function, request, headers)
    response.headers.update(headers)
    return response


def _respond_or_report(function: str, request: flask.Request, headers: dict[str, str]) -> flask.Response:
    """Respond, or turn an error into a response. Adds to `headers` what every response of this request gets."""
    try:
        limit_body_size(request)
        return _preflight_or_file(function, request) or _call_handler(function, request, headers)
    except LookalikeError as error:
        return error_response(error, logs.request_id.get())
    except HTTPException as error:
        bad_request = BadRequest(error.description or "The request cannot be parsed")
        return error_response(bad_request, logs.request_id.get())
    except Exception:
        # The message of an unexpected error may contain SQL, paths or headers. The caller only gets the id, by which
        # the operator finds the error in the log.
        log.exception("Unexpected error")
        message = "Internal error. The server's log has the details under this request_id"
        return error_response(LookalikeError(message), logs.request_id.get())


def _preflight_or_file(function: str, request: flask.Request) -> flask.Response | None:
    """Respond to OPTIONS, and to the paths of the API documentation and the widget; `None` for everything else."""
    if request.method == "OPTIONS":
        methods = allowed_methods(function_url_map(function), request.path)
        return preflight_response(services().settings, request, methods)
    if function == "relay" and (widget := serve_widget(request)):
        return widget
    if request.method == "GET" and request.path in DOCS_PATHS:
        return serve_docs(request.path, function, services().settings.public_url)
    return None


def _call_handler(function: str, request: flask.Request, headers: dict[str, str]) -> flask.Response:
    """Match the route, authenticate, authorize and count the caller, parse the body, and call the handler."""
    route, path_parameters = match_route(function_url_map(function), request.method, request.path)
    assert isinstance(route, Route)
    caller = authenticate(services(), request, route.role)
    if not (route.role is Role.PLATFORM and is_local_platform(services(), request, caller)):
        authorize(services(), caller, route)
        if route.role is not Role.OPEN:
            check_rate_limits(services(), caller, headers)
    body = read_body(request, route.accepted_body) if route.accepts_fields else Body({})
    requested_id = requested_job_id(request, body.fields)
    job_id = validate_or_create_job_id(requested_id)
    logs.request_id.set(job_id)
    token = bearer_token(request) if caller.user else ""
    api_request = ApiRequest(caller, job_id, body, path_parameters, not requested_id, token)
    return json_response(route.handler(services(), api_request), job_id)


def authenticate(services: Services, request: flask.Request, role: Role) -> Caller:
    """Return the caller. Raises `Unauthenticated` for an invalid token, even on routes that need no token.

    Routes with `Role.OPEN` ignore tokens, so that a client with an expired access token can refresh it.
    """
    address = client_address(services.settings, request)
    if role is Role.OPEN or not (token := bearer_token(request)):
        return Caller(address=address)
    if token.startswith(KEY_PREFIX):
        return authenticate_key(services, token, request.headers.get("Origin", ""), address)
    if role is Role.PLATFORM and (account := platform_account(services, token)):
        return Caller(account, True, address, account)
    user = services.auth.verify_token(token)
    services.revoked_tokens.check(user)
    return Caller(user.id, user.is_admin, address, user.email)


def client_address(settings: Settings, request: flask.Request) -> str:
    """Return the caller's address. Uses only entries of X-Forwarded-For that trusted proxies added.

    Cloud Run's front end appends one entry. Google's load balancer appends two: the client's address and its own.
    Entries to the left of those were sent by the client and may be forged.
    """
    trusted = settings.trusted_proxies + bool(settings.k_service)
    entries = [entry.strip() for entry in request.headers.get("X-Forwarded-For", "").split(",")]
    return (entries[-trusted:][0] if trusted else "") or request.remote_addr or ""


def bearer_token(request: flask.Request) -> str:
    """Return the token, or "" if there is none. Raises `Unauthenticated` for other authorization schemes."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme and (scheme.lower() != "bearer" or not token.strip()):
        raise Unauthenticated("The Authorization header must be 'Bearer <token>'")
    return token.strip()


def platform_account(services: Services, token: str) -> str | None:
    """Return the service account of the event trigger or scheduler, if PLATFORM_ACCOUNTS names it.

    The signature is not verified here: PLATFORM_ACCOUNTS is set only on private services, where Cloud Run has verified
    the token and removed its signature before.
    """
    allowed = {account.strip() for account in services.settings.platform_accounts.split(",")} - {""}
    if not (services.settings.k_service and allowed):
        return None
    try:
        email = jwt.decode(token, options={"verify_signature": False}).get("email")
    except jwt.InvalidTokenError:
        return None
    return email if email in allowed else None


def is_local_platform(services: Services, request: flask.Request, caller: Caller) -> bool:
    """Return whether the caller is a local process, which has the role of the platform on a development server.

    Requests with an `Origin` header are not treated as local platform calls: they come from a page in a browser. Neither
    are requests through a proxy on this machine, which may come from anywhere.
    """
    is_direct = not any(header in request.headers for header in ("Origin", "Forwarded", "X-Forwarded-For"))
    is_local = caller.address in ("127.0.0.1", "::1") and is_direct
    # a caller with an API key has the rights of the key alone, wherever it runs
    return is_local and caller.key is None and not services.settings.k_service


def authorize(services: Services, caller: Caller, route: Route) -> None:
    """Check whether the caller may use the route. Raises `Unauthenticated` or `Forbidden`."""
    if caller.key is not None:
        authorize_key(caller, route)
        return
    role = route.role
    needs_user = role in (Role.USER, Role.ADMIN, Role.PLATFORM)
    if role in (Role.ANYONE, Role.OWNER):
        needs_user = services.settings.search_needs_sign_in
    if needs_user and caller.user is None:
        raise Unauthenticated("Sign in first, and send 'Authorization: Bearer <token>'")
    if role in (Role.ADMIN, Role.PLATFORM) and not caller.is_admin:
        raise Forbidden("This route requires the role admin")


def check_rate_limits(services: Services, caller: Caller, headers: dict[str, str]) -> None:
    """Count the request and add the state of its limits to `headers`. Raises `RateLimited`."""
    limits = services.rate_limits.count(caller)
    headers.update(rate_limit_headers(limits))
    require_quota(limits)


def json_response(result: HandlerResult, request_id: str) -> flask.Response:
    """Turn a handler's result into a response. The request id is added to the body and to the headers."""
    if isinstance(result, flask.Response):
        result.headers["X-Request-Id"] = request_id
        return result
    body, status = result if isinstance(result, tuple) else (result, 200)
    if status == 204:
        return flask.Response(status=204, headers={"X-Request-Id": request_id})
    return _json({"request_id": request_id, **body}, status, request_id)


def error_response(error: LookalikeError, request_id: str) -> flask.Response:
    """Turn an error into a response. Errors with status 500 or above are logged.

    `message` and `status` have the names that clients of the original system read.
    """
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
    response = flask.Response(_encode(body), status, mimetype="application/json")
    response.headers["X-Request-Id"] = request_id
    return response


def _encode(body: dict[str, Any]) -> bytes | str:
    """Return the body, which must consist of JSON types, as JSON.

    pydantic needs about a third of the time that `json` needs for five images in base64.
    """
    try:
        return to_json(body)
    except PydanticSerializationError:
        # lone surrogates, which UTF-8 cannot represent but JSON's escapes can
        return json.dumps(body)
