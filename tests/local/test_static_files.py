"""Tests of the static files of the web page."""

import json
from pathlib import Path

import pytest

from lookalike.local.static_files import WEB_FOLDER, serve_static


def test_root_serves_html_page() -> None:
    response = serve_static("/")
    assert response is not None and response.data == (WEB_FOLDER / "index.html").read_bytes()
    assert response.content_type == "text/html; charset=utf-8"


@pytest.mark.parametrize("file", sorted((WEB_FOLDER / "js").iterdir()), ids=lambda file: file.name)
def test_module_is_served_as_javascript(file: Path) -> None:
    response = serve_static(f"/web/js/{file.name}")
    assert response is not None and response.content_type == "text/javascript; charset=utf-8"


def test_stylesheet_is_served_as_css() -> None:
    response = serve_static("/web/style.css")
    assert response is not None and response.content_type == "text/css; charset=utf-8"


def test_every_file_has_security_headers() -> None:
    for path in ("/", "/web/style.css", "/web/js/main.js"):
        response = serve_static(path)
        assert response is not None and response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    "path",
    ["/web/index.html", "/web/", "/web/js", "/web/../settings.py", "/web/js/../../settings.py", "/web//style.css"],
)
def test_other_paths_are_not_served(path: str) -> None:
    assert serve_static(path) is None


def test_samples_lists_photos_that_are_served_as_jpeg() -> None:
    listed = serve_static("/samples")
    assert listed is not None
    samples = json.loads(listed.data)
    assert len(samples) == 3
    for sample in samples:
        photo = serve_static(sample["url"])
        assert photo is not None and photo.content_type == "image/jpeg" and photo.data.startswith(b"\xff\xd8")
