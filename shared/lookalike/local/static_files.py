"""Static files of the web page, and the sample photos that it offers."""

import json
from functools import cache
from pathlib import Path

from werkzeug.wrappers import Response

import lookalike
from lookalike.batch.sample_closet import query_photos

WEB_FOLDER = Path(lookalike.__file__).parent / "web"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jpg": "image/jpeg",
}
"""By file suffix. Not `mimetypes`, which reads the system's table: browsers reject a module with a wrong type."""
PAGES = {"/": "index.html", "/searches.html": "searches.html", "/admin": "admin/index.html"}
"""Pages by URL path."""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def serve_static(path: str) -> Response | None:
    """Return the file at this URL path, or the list of sample photos; `None` if there is neither."""
    if path == "/samples":
        samples = [{"name": name.removeprefix("/samples/"), "url": name} for name in _sample_files()]
        return Response(json.dumps(samples), content_type="application/json", headers=SECURITY_HEADERS)
    file = _files().get(path)
    if file is None:
        return None
    return Response(file.read_bytes(), content_type=CONTENT_TYPES[file.suffix], headers=SECURITY_HEADERS)


@cache
def _files() -> dict[str, Path]:
    """Return the files by URL path. Only listed files are served, so no path can leave the folder."""
    files = {
        f"/web/{file.relative_to(WEB_FOLDER).as_posix()}": file
        for file in WEB_FOLDER.rglob("*")
        if file.suffix in (".css", ".js", ".json")
    }
    pages = {path: WEB_FOLDER / name for path, name in PAGES.items()}
    return pages | files | _sample_files()


def _sample_files() -> dict[str, Path]:
    return {f"/samples/{photo.name}": photo for photo in query_photos()}
