"""Cloud Run function that stores photos and garments, and cuts garments out of photos."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def upload(request: flask.Request) -> flask.Response:
    """Handle /upload_image, /upload_single_image, /splitted_images, /split_image, /image/split and health checks."""
    return handle_request("upload", request)
