"""Every function behind one port, under the original's paths, with the page and the bucket beside them."""

import mimetypes
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import functions_framework
from werkzeug.wrappers import Request, Response

from lookalike.bootstrap import services
from lookalike.domain.errors import LookalikeError, Misconfigured, NotFound
from lookalike.http.cors import shown_to
from lookalike.http.docs import serve_docs
from lookalike.http.pipeline import error_response
from lookalike.http.routes import functions, match, methods_of
from lookalike.local.static_files import serve_static
from lookalike.usecases.jobs import job_id

FUNCTIONS = ("upload", "relay", "detail", "cancel", "auth", "ingest", "reindex")
BUCKET = "/bucket/"


class Gateway:
    """A WSGI application. Dispatches by the whole path, and asks each function's own application."""

    def __init__(self, folder: Path) -> None:
        self._apps = {name: load(name, folder) for name in FUNCTIONS}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            application = self._choose(request)
        except LookalikeError as error:
            application = error_response(error, job_id(None))
        if isinstance(application, Response):
            # a function shows its own answers
            application = shown_to(services().settings, request, application)
        answered: Iterable[bytes] = application(environ, start_response)
        return answered

    def _choose(self, request: Request) -> Any:
        if "\n" in request.path:
            # functions-framework knows no such path, and would answer with a page of its own
            raise NotFound("No such address")
        if request.method in ("GET", "HEAD"):
            if response := serve_static(request.path) or serve_docs(request.path):
                return response
            if request.path.startswith(BUCKET):
                return object_of(request)
        if request.path in ("/healthz", "/readyz"):
            return self._apps["relay"]
        # a preflight is answered by the function that it asks for
        method = methods_of(functions(), request.path)[0] if request.method == "OPTIONS" else request.method
        function, _ = match(functions(), method, request.path)
        return self._apps[str(function)]


def load(name: str, folder: Path) -> Any:
    """The function's application, as functions-framework makes it in its container."""
    source = folder / name / "main.py"
    if not source.exists():
        raise Misconfigured(f"There is no {source}: run `lookalike serve` from a clone of the project")
    make: Callable[..., Any] = functions_framework.create_app
    return make(name, str(source), "http")


def object_of(request: Request) -> Response:
    """An object of the bucket, for whoever holds a signed address of it."""
    path = request.path.removeprefix(BUCKET)
    store: Any = services().store
    if not hasattr(store, "open_url"):
        raise NotFound("The bucket is elsewhere")
    data = store.open_url(path, request.args.get("expires", ""), request.args.get("signature", ""))
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return Response(data, HTTPStatus.OK, content_type=kind, headers={"X-Content-Type-Options": "nosniff"})
