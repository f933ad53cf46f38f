"""Running requests: POST /cancel_request/<id>, GET /request_status, POST /cleanup_requests."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def cancel(request: flask.Request) -> flask.Response:
    return handle_request("cancel", request)
