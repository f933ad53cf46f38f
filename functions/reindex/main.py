"""Scheduled: POST /reindex builds and publishes the index."""

import flask
import functions_framework

from lookalike.http.pipeline import handle_request


@functions_framework.http
def reindex(request: flask.Request) -> flask.Response:
    return handle_request("reindex", request)
