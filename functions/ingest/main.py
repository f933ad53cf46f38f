"""A storage event: POST / with a CloudEvent for an object under incoming/."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def ingest(request: flask.Request) -> flask.Response:
    return handle_request("ingest", request)
