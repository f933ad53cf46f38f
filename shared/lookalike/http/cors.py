"""Cross-origin resource sharing (CORS): allowed origins, response headers and preflight responses."""

import re
from typing import TypeVar

import flask
from werkzeug.wrappers import Request, Response

from lookalike.settings import Settings

R = TypeVar("R", bound=Response)
LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
"""Origins that may call a local server, unless CORS_ORIGINS names others: pages served from the same machine."""
ALLOWED_HEADERS = "Authorization, Content-Type, X-Request-Id"
EXPOSED_HEADERS = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Server-Timing"
PREFLIGHT_MAX_AGE = 600
"""Seconds for which a browser may cache a preflight response."""


def preflight_response(settings: Settings, request: flask.Request, methods: list[str]) -> flask.Response:
    """Respond to OPTIONS on a path that supports these methods. Only allowed origins get CORS headers."""
    response = flask.Response(status=204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})
    if is_allowed_origin(settings, request.headers.get("Origin", "")):
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE)
    return response


def add_cors_headers(settings: Settings, request: Request, response: R) -> R:
    """Add the headers that let an allowed page read the response.

    `Access-Control-Allow-Credentials` is never needed: tokens are sent in a header, and cookies are not read.
    """
    # for other origins, too: otherwise a cache could serve them the response for an allowed origin, and vice versa
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin", "")
    if is_allowed_origin(settings, origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        # without it, browsers hide the durations from the page's Performance API
        response.headers["Timing-Allow-Origin"] = origin
    return response


def is_allowed_origin(settings: Settings, origin: str) -> bool:
    """Return whether pages of this origin may call the API."""
    if settings.cors_origins or settings.k_service:
        return origin in settings.allowed_origins
    return LOCAL_ORIGIN.fullmatch(origin) is not None
