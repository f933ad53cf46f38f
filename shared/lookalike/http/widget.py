"""Serve the web widget: the script of the element `<lookalike-search>`, for pages of any origin."""

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import flask
from werkzeug.wrappers import Request

import lookalike

WIDGET_PATH = "/widget/lookalike-search.js"
CONTENT_TYPE = "text/javascript; charset=utf-8"
MAX_AGE = 300
"""Seconds for which a browser uses the script without asking whether it has changed."""


@dataclass(frozen=True, slots=True)
class Widget:
    """The script of the web widget."""

    script: bytes
    compressed: bytes
    """The script, compressed by gzip."""
    digest: bytes
    """SHA-384 of the script."""

    @property
    def version(self) -> str:
        """A short name that differs between different scripts."""
        return self.digest.hex()[:16]

    @property
    def integrity(self) -> str:
        """Value of the attribute `integrity` of a script element (subresource integrity)."""
        return f"sha384-{base64.b64encode(self.digest).decode()}"


@cache
def load_widget() -> Widget:
    """Return the widget of this version."""
    script = (Path(lookalike.__file__).parent / "web" / "lookalike-search.js").read_bytes()
    return Widget(script, gzip.compress(script, mtime=0), hashlib.sha384(script).digest())


def serve_widget(request: Request) -> flask.Response | None:
    """Return the response for the widget, and `None` for other paths. It is 304 if the browser has the script."""
    if request.path != WIDGET_PATH or request.method not in ("GET", "HEAD"):
        return None
    widget = load_widget()
    is_compressed = request.accept_encodings.quality("gzip") > 0
    response = flask.Response(widget.compressed if is_compressed else widget.script, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE}"
    response.headers["Vary"] = "Accept-Encoding"
    # the script is public, and says nothing about the catalog: each page may load it, whatever CORS_ORIGINS permits
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{widget.version}-gzip" if is_compressed else widget.version)
    return response.make_conditional(request)  # type: ignore[return-value]
