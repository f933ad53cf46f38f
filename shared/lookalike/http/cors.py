"""Which pages of other origins may call us, and what browsers ask before they do."""

import re
from typing import TypeVar

import flask
from werkzeug.wrappers import Request, Response

from lookalike.settings import Settings

R = TypeVar("R", bound=Response)
LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
"""Pages of this machine, which may call in local emulation where CORS_ORIGINS names no others."""
HEADERS = "Authorization, Content-Type, X-Request-Id"
SHOWN = "X-Request-Id, Retry-After"
KEPT = 600
"""Seconds for which a browser need not ask again."""


def preflight(settings: Settings, request: flask.Request, methods: list[str]) -> flask.Response:
    """The answer to OPTIONS of a path that knows these methods. To a stranger's page it allows nothing."""
    response = flask.Response(status=204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})
    if is_welcome(settings, request.headers.get("Origin", "")):
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        response.headers["Access-Control-Allow-Headers"] = HEADERS
        response.headers["Access-Control-Max-Age"] = str(KEPT)
    return response


def shown_to(settings: Settings, request: Request, response: R) -> R:
    """The same answer, for the page that asked to read if it may. Tokens come in a header: no cookie is ever looked at."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin", "")
    if is_welcome(settings, origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = SHOWN
    return response


def is_welcome(settings: Settings, origin: str) -> bool:
    if settings.cors_origins or settings.k_service:
        return origin in settings.origins
    return LOCAL.fullmatch(origin) is not None
