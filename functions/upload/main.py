"""Photos in: POST /upload_image, /split_image, /image/split, /upload_single_image."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def upload(request: flask.Request) -> flask.Response:
    return handle_request("upload", request)
