"""Scheduled: POST /reindex builds and publishes the index."""

import flask
import functions_framework

from lookalike.http.pipeline import answer


@functions_framework.http
def reindex(request: flask.Request) -> flask.Response:
    return answer("reindex", request)
