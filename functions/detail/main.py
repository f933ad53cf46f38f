"""Cloud Run function that reads, changes and erases stored garments and their product details."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def detail(request: flask.Request) -> flask.Response:
    """Handle /image_detail, /splitted_images, /thumbnails and /erase, and health checks."""
    return handle_request("detail", request)
