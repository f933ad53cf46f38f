"""Similar garments out: POST /relay_image."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def relay(request: flask.Request) -> flask.Response:
    return handle_request("relay", request)
