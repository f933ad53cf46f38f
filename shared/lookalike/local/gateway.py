"""All functions behind one port, together with the web page, the API documentation and the local bucket."""

import mimetypes
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import functions_framework
from werkzeug.wrappers import Request, Response

from lookalike import logs
from lookalike.bootstrap import services
from lookalike.domain.errors import LookalikeError, Misconfigured, NotFound
from lookalike.http.cors import add_cors_headers
from lookalike.http.docs import serve_docs
from lookalike.http.pipeline import error_response
from lookalike.http.request_timing import HEALTH_CHECKS, respond_timed
from lookalike.http.routes import allowed_methods, gateway_url_map, match_route, route_pattern
from lookalike.http.widget import WIDGET_PATH
from lookalike.local.static_files import PAGES, serve_static

FUNCTION_NAMES = ("upload", "relay", "detail", "cancel", "auth", "ingest", "reindex")
BUCKET = "/bucket/"


class Gateway:
    """WSGI application that forwards each request to the function whose route it is.

    It matches full paths instead of mounting the functions with a dispatcher middleware, which would redirect POST
    requests without a trailing slash.
    """

    def __init__(self, folder: Path) -> None:
        self._apps = {name: load_function(name, folder) for name in FUNCTION_NAMES}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        application: Any
        try:
            application = self._apps[find_function(request)]
        except LookalikeError as error:
            application = respond_timed(request, own_pattern(request), partial(respond_itself, request, error))
        response: Iterable[bytes] = application(environ, start_response)
        return response


def find_function(request: Request) -> str:
    """Return the name of the function that the request is for. Raises `NotFound` and `MethodNotAllowed`."""
    if "\n" in request.path:
        # functions-framework matches no route for such a path and would respond with its own HTML
        raise NotFound("No such route")
    if request.path in HEALTH_CHECKS or request.path == WIDGET_PATH:
        return "relay"
    # a preflight request goes to the function that the announced request will go to
    method = allowed_methods(gateway_url_map(), request.path)[0] if request.method == "OPTIONS" else request.method
    function, _ = match_route(gateway_url_map(), method, request.path)
    return str(function)


def own_pattern(request: Request) -> str:
    """Return the pattern of a path that the gateway itself serves; "" for other paths without a route."""
    folder, _, name = request.path[1:].partition("/")
    if name and folder in ("web", "samples", "bucket"):
        return f"/{folder}/<path>"
    is_page = request.path in PAGES or request.path == "/samples"
    return request.path if is_page else route_pattern(gateway_url_map(), request.method, request.path)


def respond_itself(request: Request, error: LookalikeError) -> Response:
    """Respond with a static file, the API documentation or an object of the local bucket, otherwise with the error."""
    try:
        response = _find_file(request) or error_response(error, logs.request_id.get())
    except LookalikeError as refusal:
        response = error_response(refusal, logs.request_id.get())
    # functions add CORS headers to their own responses
    return add_cors_headers(services().settings, request, response)


def _find_file(request: Request) -> Response | None:
    if request.method not in ("GET", "HEAD"):
        return None
    if request.path.startswith(BUCKET):
        return serve_object(request)
    return serve_static(request.path) or serve_docs(request.path, public_url=services().settings.public_url)


def load_function(name: str, folder: Path) -> Any:
    """Create a function's application as functions-framework does in its container."""
    source = folder / name / "main.py"
    if not source.exists():
        raise Misconfigured(f"{source} does not exist; run `lookalike serve` from a clone of the project")
    make: Callable[..., Any] = functions_framework.create_app
    return make(name, str(source), "http")


def serve_object(request: Request) -> Response:
    """Serve an object of the local bucket to a client with a signed URL. Raises `NotFound` and `Forbidden`."""
    path = request.path.removeprefix(BUCKET)
    store: Any = services().store
    if not hasattr(store, "open_url"):
        raise NotFound("The bucket is not on this machine; use the signed URLs from the API")
    data = store.open_url(path, request.args.get("expires", ""), request.args.get("signature", ""))
    content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return Response(data, HTTPStatus.OK, content_type=content_type, headers={"X-Content-Type-Options": "nosniff"})
