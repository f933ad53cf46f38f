"""Stored garments and their product details: /image_detail, /splitted_images, /thumbnails."""

import flask
import functions_framework

from lookalike.http.pipeline import answer


@functions_framework.http
def detail(request: flask.Request) -> flask.Response:
    return answer("detail", request)
