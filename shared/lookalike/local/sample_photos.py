"""The photos that the web page offers for a first search. Only the local server has them."""

import json
from functools import cache
from http import HTTPStatus
from pathlib import Path

from werkzeug.wrappers import Response

from lookalike.batch.sample_closet import query_photos
from lookalike.local.static_files import SECURITY_HEADERS

SAMPLES = "/samples"


def serve_sample(path: str) -> Response | None:
    """Return the list of sample photos as JSON, or one of them as JPEG, or `None` for other URL paths.

    The list has objects with `name`, a file name, and `url`, relative to the page.
    """
    if path == SAMPLES:
        samples = [{"name": name, "url": f"samples/{name}"} for name in _photos()]
        return Response(json.dumps(samples), content_type="application/json", headers=SECURITY_HEADERS)
    photo = _photos().get(path.removeprefix(f"{SAMPLES}/"))
    if photo is None or not path.startswith(SAMPLES):
        return None
    return Response(photo.read_bytes(), HTTPStatus.OK, content_type="image/jpeg", headers=SECURITY_HEADERS)


@cache
def _photos() -> dict[str, Path]:
    """Return the photos by file name. Only listed files are served, so no path can leave the folder."""
    return {photo.name: photo for photo in query_photos()}
