"""All functions behind one port, together with the web page, the API documentation and the local bucket."""

import mimetypes
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import functions_framework
from werkzeug.wrappers import Request, Response

from lookalike.bootstrap import services
from lookalike.domain.errors import LookalikeError, Misconfigured, NotFound
from lookalike.http.cors import add_cors_headers
from lookalike.http.docs import serve_docs
from lookalike.http.pipeline import error_response
from lookalike.http.routes import allowed_methods, gateway_url_map, match_route
from lookalike.local.static_files import serve_static
from lookalike.usecases.jobs import validate_or_create_job_id

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
        try:
            application = self._find_application(request)
        except LookalikeError as error:
            application = error_response(error, validate_or_create_job_id(None))
        if isinstance(application, Response):
            # functions add CORS headers to their own responses; these responses are the gateway's
            application = add_cors_headers(services().settings, request, application)
        response: Iterable[bytes] = application(environ, start_response)
        return response

    def _find_application(self, request: Request) -> Any:
        if "\n" in request.path:
            # functions-framework matches no route for such a path and would respond with its own HTML
            raise NotFound("No such route")
        if request.method in ("GET", "HEAD"):
            if response := serve_static(request.path) or serve_docs(request.path):
                return response
            if request.path.startswith(BUCKET):
                return serve_object(request)
        if request.path in ("/healthz", "/readyz"):
            return self._apps["relay"]
        # a preflight request goes to the function that the announced request will go to
        method = allowed_methods(gateway_url_map(), request.path)[0] if request.method == "OPTIONS" else request.method
        function, _ = match_route(gateway_url_map(), method, request.path)
        return self._apps[str(function)]


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
