"""Stored garments and their product details: /image_detail, /splitted_images, /thumbnails."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def detail(request: flask.Request) -> flask.Response:
    return handle_request("detail", request)
