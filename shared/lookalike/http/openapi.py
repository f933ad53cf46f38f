"""The document of the API (OpenAPI 3.1), made of the one table of routes and the schemas of their bodies."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import lookalike
from lookalike.http.request_schemas import PhotoRequest
from lookalike.http.response_schemas import ErrorResponse
from lookalike.http.routes import ROUTES, Role, Route, own_routes

REF = "#/components/schemas/{model}"
ROLES = {
    Role.OPEN: "Anyone.",
    Role.ANYONE: "Anyone, unless `SEARCH_NEEDS_SIGN_IN` is set.",
    Role.OWNER: "Whose job it is; an administrator; of an anonymous job, whoever knows its id.",
    Role.USER: "Whoever is signed in.",
    Role.ADMIN: "Administrators.",
    Role.PLATFORM: "The platform's own accounts, and administrators.",
}
MEANS = {
    400: "Not understood, or not a photo",
    401: "No token, or one that does not hold",
    403: "Not for this caller",
    404: "No such thing",
    409: "Another thing of that name exists, or it is too late",
    413: "Too large",
    415: "A format that is not accepted",
    422: "A field is wrong; `error.details.field` names it",
    429: "Too many at once: come again after `Retry-After` seconds",
    503: "Away for now: come again after `Retry-After` seconds",
    504: "Out of time; nothing was stored",
}
Json = dict[str, Any]
Refs = Mapping[Any, Json]


@cache
def build_openapi(function: str | None = None) -> Json:
    """Of one function's routes, or of all."""
    routes = own_routes(function) if function else ROUTES
    models = {route.answer for route in routes} | {route.body for route in routes if route.body} | {ErrorResponse}
    named, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda one: one.__name__)], ref_template=REF
    )
    refs: Refs = {model: schema for (model, _), schema in named.items()}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(_path(route), {})[route.method.lower()] = _operation(route, refs, schemas["$defs"])
    tokens = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    about = {"title": "lookalike", "version": lookalike.__version__, "license": {"name": "MIT", "identifier": "MIT"}}
    return {
        "openapi": "3.1.0",
        "info": {**about, "summary": "Finds similar fashion items in photographs"},
        "paths": paths,
        "components": {"schemas": schemas["$defs"], "securitySchemes": tokens},
    }


def _path(route: Route) -> str:
    return re.sub(r"<(\w+)>", r"{\1}", route.path)


def _operation(route: Route, refs: Refs, schemas: Json) -> Json:
    summary, *more = (route.handler.__doc__ or "").strip().split("\n", 1)
    if route.body and issubclass(route.body, PhotoRequest):
        more.append("Where the body is the photo itself, the other fields stand in the address.")
    found: Json = {
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z]+', '_', route.path.lower()).strip('_') or 'root'}",
        "summary": summary.rstrip("."),
        "description": " ".join([*" ".join(more).split(), f"For: {ROLES[route.role]}"]),
        "tags": [route.function],
        "responses": _responses(route, refs),
    }
    if parameters := _parameters(route, schemas):
        found["parameters"] = parameters
    if route.body and route.method != "GET":
        found["requestBody"] = _request(route.body, refs[route.body])
    if route.role in (Role.USER, Role.ADMIN, Role.PLATFORM):
        found["security"] = [{"token": []}]
    elif route.role is not Role.OPEN:
        found["security"] = [{}, {"token": []}]
    return found


def _parameters(route: Route, schemas: Json) -> list[Json]:
    inside = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"<(\w+)>", route.path)
    ]
    if not (route.body and route.method == "GET"):
        return inside
    fields = schemas[route.body.__name__]["properties"]
    return [*inside, *({"name": name, "in": "query", "schema": schema} for name, schema in fields.items())]


def _request(body: type[BaseModel], ref: Json) -> Json:
    """Photos may come as base64 in JSON, as a file in a form, or as the body itself, with the other fields in the address."""
    content: Json = {"application/json": {"schema": ref}}
    if issubclass(body, PhotoRequest):
        photo = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
        form = {"allOf": [ref, {"type": "object", "properties": {"image": photo}}]}
        content["multipart/form-data"] = {"schema": form}
        content |= {f"image/{kind}": {"schema": photo} for kind in ("jpeg", "png", "webp", "avif")}
    return {"required": True, "content": content}


def _responses(route: Route, refs: Refs) -> Json:
    good = refs[route.answer]
    if route.is_job:
        good = {"anyOf": [good, refs[ErrorResponse]]}
    content = {route.media: {"schema": good if route.media == "application/json" else {"type": "string"}}}
    answer: Json = {"description": "Done"} | ({"content": content} if route.status != 204 else {})
    refused = {"application/json": {"schema": refs[ErrorResponse]}}
    errors = {str(one): {"description": MEANS[one], "content": refused} for one in statuses(route)}
    return {str(route.status): answer, **errors}


def statuses(route: Route) -> Sequence[int]:
    """What may be answered besides: whatever any request may meet, and what this one may."""
    found = {400, 401, 413, 503}
    found |= {403} if route.role in (Role.ADMIN, Role.PLATFORM) else set()
    found |= {404} if "<" in route.path else set()
    found |= {415, 422} if route.has_body else set()
    found |= {409, 429, 504} if route.is_job else set()
    return sorted(found | set(route.statuses))
