"""Static files of the web page: HTML, CSS and JavaScript modules."""

from functools import cache
from pathlib import Path

from werkzeug.wrappers import Response

import lookalike

WEB_FOLDER = Path(lookalike.__file__).parent / "web"
CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
"""By file suffix. Not `mimetypes`, which reads the system's table: browsers reject a module with a wrong type."""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def serve_static(path: str) -> Response | None:
    """Return the file of the web page at this URL path, or `None` if there is none."""
    file = _files().get(path)
    if file is None:
        return None
    content_type = f"{CONTENT_TYPES[file.suffix]}; charset=utf-8"
    return Response(file.read_bytes(), content_type=content_type, headers=SECURITY_HEADERS)


@cache
def _files() -> dict[str, Path]:
    """Return the files by URL path. Only listed files are served, so no path can leave the folder."""
    files = {
        f"/web/{file.relative_to(WEB_FOLDER).as_posix()}": file
        for file in WEB_FOLDER.rglob("*")
        if file.suffix in (".css", ".js")
    }
    return {"/": WEB_FOLDER / "index.html"} | files
