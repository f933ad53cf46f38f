"""Build the OpenAPI 3.1 document from the route table and the request and response schemas.

A handler's docstring becomes the summary (first line) and description of its operation.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import lookalike
from lookalike.http.event_schemas import (
    HEADER_PREFIX,
    STRUCTURED,
    CloudEventAttributes,
    CloudEventBody,
    StoredObjectData,
)
from lookalike.http.request import FORM, JSON_PART
from lookalike.http.response_schemas import ErrorResponse
from lookalike.http.routes import ROUTES, Role, Route, routes_of_function

REF_TEMPLATE = "#/components/schemas/{model}"
ROLE_DESCRIPTIONS = {
    Role.OPEN: "everyone.",
    Role.ANYONE: "everyone, or only signed-in users if the server requires sign-in.",
    Role.OWNER: "the owner of the request, and administrators. For anonymous requests, everyone who knows the id.",
    Role.USER: "signed-in users.",
    Role.ADMIN: "administrators.",
    Role.PLATFORM: "service accounts of the platform, and administrators. On a development server also processes of "
    "the same machine, without a token.",
}
STATUS_DESCRIPTIONS = {
    400: "The request is malformed, or the image cannot be decoded",
    401: "The token is missing or invalid",
    403: "The caller may not do this",
    404: "Not found, or not visible to the caller",
    409: "The name or id is already in use, or the request has already ended",
    413: "The body or the image is too large",
    415: "The content type or image format is not supported",
    422: "A field is invalid; `error.details.field` names it",
    429: "Too many requests; retry after `Retry-After` seconds",
    503: "Temporarily unavailable; retry after `Retry-After` seconds",
    504: "The request timed out; nothing was stored",
}
"""Meaning of each error status. The response body has the specific error."""
SECURITY_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Access token of a user",
    },
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "lk_…",
        "description": "API key; one with the role `search` can only be used for searches, within its own filter",
    },
}
"""Two kinds of credentials in the same header."""
EVENT_MODELS: dict[str, type[BaseModel]] = {"application/json": StoredObjectData, STRUCTURED: CloudEventBody}
"""Body of a CloudEvent by content type: in binary mode the data alone, in structured mode the whole event."""
BINARY = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
"""Schema of an image. OpenAPI 3.1 needs none, but generators of clients know `format: binary` of OpenAPI 3.0."""
REQUEST_ID_HEADER = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Like the field `request_id`, which has priority.",
    "schema": {"type": "string"},
}
"""Every route accepts it. It is documented for jobs, which can be looked up and canceled by it."""
Json = dict[str, Any]
Refs = Mapping[Any, Json]
"""A `$ref` object for each model."""


@cache
def build_openapi(function: str | None = None, public_url: str = "") -> Json:
    """Return the document of one function's routes and health checks, or of the routes of all functions.

    With `public_url`, the common address of all functions, a function also documents all routes that clients reach there.
    """
    routes = _documented_routes(function, bool(public_url))
    models = {route.response for route in routes} | {route.request for route in routes if route.request}
    models |= (
        {ErrorResponse, *EVENT_MODELS.values()} if any(route.accepts_events for route in routes) else {ErrorResponse}
    )
    named, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)], ref_template=REF_TEMPLATE
    )
    refs: Refs = {model: schema for (model, _), schema in named.items()}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(_path(route), {})[route.method.lower()] = _operation(route, refs, schemas["$defs"])
    info = {"title": "lookalike", "version": lookalike.__version__, "license": {"name": "MIT", "identifier": "MIT"}}
    return {
        "openapi": "3.1.0",
        "info": {**info, "summary": "Finds similar fashion items in photographs"},
        "servers": [_server(public_url)],
        "paths": paths,
        "components": {"schemas": _used_schemas(paths, schemas["$defs"]), "securitySchemes": SECURITY_SCHEMES},
    }


def _documented_routes(function: str | None, is_public: bool) -> Sequence[Route]:
    if function is None:
        return ROUTES
    own = routes_of_function(function)
    if not is_public:
        return own
    # The platform calls the private functions at their own addresses.
    public = [route for route in ROUTES if route.role is not Role.PLATFORM]
    return [*public, *(route for route in own if route not in ROUTES)]


def _server(public_url: str) -> Json:
    if public_url:
        return {"url": public_url.rstrip("/"), "description": "The address of all functions"}
    return {"url": "/", "description": "The server of this document"}


def _used_schemas(paths: Json, schemas: Json) -> Json:
    """Leave out schemas that nothing refers to: those of queries, which are parameters, and of empty responses."""
    reference = re.compile(re.escape('"' + REF_TEMPLATE.format(model="")) + '([^"]+)"')
    used, pending = set[str](), [json.dumps(paths)]
    while pending:
        found = set(reference.findall(pending.pop())) - used
        used |= found
        pending += [json.dumps(schemas[name]) for name in found]
    return {name: schema for name, schema in schemas.items() if name in used}


def _path(route: Route) -> str:
    return re.sub(r"<(\w+)>", r"{\1}", route.path)


def _operation(route: Route, refs: Refs, schemas: Json) -> Json:
    summary, *more = (route.handler.__doc__ or "").strip().split("\n", 1)
    if route.accepts_photo:
        more.append("If the body is the photo itself, send the other fields in the query string.")
    operation: Json = {
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z]+', '_', route.path.lower()).strip('_') or 'root'}",
        "summary": summary.rstrip("."),
        "description": " ".join([*" ".join(more).split(), f"Allowed for: {ROLE_DESCRIPTIONS[route.role]}"]),
        "tags": [route.function],
        "responses": _responses(route, refs),
    }
    if parameters := _parameters(route, schemas):
        operation["parameters"] = parameters
    if route.request and route.method != "GET":
        operation["requestBody"] = _request_body(route, refs[route.request])
    if route.accepts_events:
        content = {media_type: {"schema": refs[model]} for media_type, model in EVENT_MODELS.items()}
        operation["requestBody"] = {"required": True, "content": content}
    operation["security"] = [] if route.role is Role.OPEN else _security(route)
    return operation


def _security(route: Route) -> list[Json]:
    """List the alternatives: no credentials (the empty object), a user's token, or an API key.

    No credentials are listed if there are settings or callers for which they are not needed.
    """
    token: Json = {"token": []}
    if route.role is Role.USER:
        return [token]
    anonymous: list[Json] = [] if route.role is Role.ADMIN else [{}]
    return [*anonymous, token, {"key": []}]


def _parameters(route: Route, schemas: Json) -> list[Json]:
    if route.accepts_events:
        return _event_headers()
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"<(\w+)>", route.path)
    ]
    if route.is_job:
        return [*in_path, REQUEST_ID_HEADER]
    if not (route.request and route.method == "GET"):
        return in_path
    # OpenAPI has no query schema as a whole, so each field becomes a parameter
    fields = schemas[route.request.__name__]["properties"]
    return [*in_path, *({"name": name, "in": "query", "schema": schema} for name, schema in fields.items())]


def _event_headers() -> list[Json]:
    """Describe the headers of binary mode. OpenAPI cannot say that a header is required with one content type only.

    Structured mode ignores them, so their schemas have no limits.
    """
    return [
        {
            "name": HEADER_PREFIX + name,
            "in": "header",
            "required": False,
            "description": f"{'Required with' if field.is_required() else 'With'} the content type `application/json`: "
            f"the event's `{name}`.",
            "schema": {"type": "string"},
        }
        for name, field in CloudEventAttributes.model_fields.items()
    ]


def _request_body(route: Route, ref: Json) -> Json:
    """Describe a body. A photo may be sent as base64 in JSON, as a file in a form, or as the body itself."""
    assert route.request is not None
    content: Json = {"application/json": {"schema": ref}}
    if route.accepts_files:
        form: Json = {"type": "object", "required": [JSON_PART], "properties": {JSON_PART: ref}}
        content[FORM] = {"schema": {**form, "additionalProperties": BINARY}}
    if route.accepts_photo:
        form = {"allOf": [ref, {"type": "object", "properties": {"image": BINARY}}]}
        content[FORM] = {"schema": form}
        content |= {f"image/{kind}": {"schema": BINARY} for kind in ("jpeg", "png", "webp", "avif")}
    return {"required": not route.is_body_optional, "content": content}


def _responses(route: Route, refs: Refs) -> Json:
    success = refs[route.response]
    if route.is_job:
        # a canceled job also has status 200
        success = {"anyOf": [success, refs[ErrorResponse]]}
    content = {route.media_type: {"schema": success if route.media_type == "application/json" else BINARY}}
    response: Json = {"description": "Success"} | ({"content": content} if route.status != 204 else {})
    error = {"application/json": {"schema": refs[ErrorResponse]}}
    errors = {
        str(status): {"description": STATUS_DESCRIPTIONS[status], "content": error} for status in error_statuses(route)
    }
    return {str(route.status): response, **errors}


def error_statuses(route: Route) -> Sequence[int]:
    """List the error statuses of a route: those of all routes of its kind, and its own."""
    statuses = {400, 401, 413, 503}
    # an API key can be refused by every route that reads credentials, and its rate limits apply there
    statuses |= {403, 429} if route.role is not Role.OPEN else set()
    statuses |= {404} if "<" in route.path else set()
    statuses |= {415, 422} if route.accepts_fields else set()
    statuses |= {409, 504} if route.is_job else set()
    return sorted(statuses | set(route.extra_error_statuses))
